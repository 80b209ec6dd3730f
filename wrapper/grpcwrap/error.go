package grpcwrap

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-go/holdfast/resilience"
)

// Error is a call that did not succeed, and was not simply answered by an
// error of the service's own at its first attempt: that is returned as it is.
// It unwraps to the [*resilience.Error] that tells of every attempt, so that
// resilience.IsAmbiguous, errors.Is and errors.As see what there is, and
// status.Code is the last attempt's.
type Error struct {
	Method string // "/users.Users/Get"
	Key    string // the idempotency key that was sent, if any

	// KeyExpires is when the server forgets the key, a little early, as far as
	// it has said: see [Resume]. Zero: it has not.
	KeyExpires time.Time

	Err error
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// GRPCStatus makes the error one of package status.
func (e *Error) GRPCStatus() *status.Status {
	return status.New(e.code(), e.Err.Error())
}

func (e *Error) code() codes.Code {
	err := e.Err
	var whole *resilience.Error
	if errors.As(err, &whole) {
		err = whole.Err
	}
	var s interface{ GRPCStatus() *status.Status }
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		return codes.Canceled
	case errors.As(err, &s):
		return s.GRPCStatus().Code()
	case errors.Is(err, ErrBadKey), errors.Is(err, resilience.ErrNoKey):
		return codes.InvalidArgument
	}
	return codes.Unavailable
}
