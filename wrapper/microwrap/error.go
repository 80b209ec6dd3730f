package microwrap

import (
	"context"
	"errors"
	"net/http"

	"go-micro.dev/v5/client"
	merrors "go-micro.dev/v5/errors"

	"github.com/holdfast-go/holdfast/resilience"
)

// Error is a call that did not succeed. It reads as go-micro's own errors do,
// so that their Parse, FromError and As find what they look for, and unwraps to
// the [*resilience.Error] that tells of every attempt: resilience.IsAmbiguous,
// errors.Is and errors.As see what there is.
type Error struct {
	// Micro has the code of the last attempt's error; 408 where the time was
	// over, 500 where there is none. Its detail is Call's text.
	Micro *merrors.Error

	// Call has the key, the reason why there was no further attempt, and what
	// every attempt came to.
	Call *resilience.Error
}

func newError(call *resilience.Error) *Error {
	code := int32(http.StatusInternalServerError)
	switch last := lastError(call); {
	case errors.Is(call.Err, context.DeadlineExceeded), errors.Is(call.Err, resilience.ErrAttemptTimeout):
		code = http.StatusRequestTimeout
	case last != nil && merrors.Parse(last.Error()).Code != 0:
		code = merrors.Parse(last.Error()).Code
	}
	return &Error{Micro: merrors.FromError(merrors.New(clientID, call.Error(), code)), Call: call}
}

func lastError(call *resilience.Error) error {
	if n := len(call.Attempts); n > 0 {
		return call.Attempts[n-1].Err
	}
	return nil
}

// Error implements error: JSON, as all errors of go-micro are.
func (e *Error) Error() string { return e.Micro.Error() }

// Unwrap returns both.
func (e *Error) Unwrap() []error { return []error{e.Call, e.Micro} }

// unavailable is what go-micro says where it finds no node to try.
func unavailable(req client.Request, err error) error {
	return &notFoundError{merrors.FromError(merrors.InternalServerError(clientID, "service %s: %v", req.Service(), err)), err}
}

type notFoundError struct {
	micro *merrors.Error
	err   error
}

func (e *notFoundError) Error() string   { return e.micro.Error() }
func (e *notFoundError) Unwrap() []error { return []error{e.micro, e.err} }
