package httpwrap

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// Facts are what is known of a call that has ended.
type Facts struct {
	Service string // empty: the request went to a host that is not configured, and nothing is known
	Method  string // as the settings name it
	Key     string // the idempotency key that was sent, if any, as it was sent

	// KeyExpires is when the server forgets the key, a little early, as far as
	// it has said: see [Resume]. Zero: it has not.
	KeyExpires time.Time

	// Attempts is how many were made.
	Attempts int

	// Replays is how many times, at most, connections underneath have sent an
	// attempt again by themselves: see [Transport.Replays].
	Replays int

	// Ambiguous says that the call has failed (its response, if any, is an
	// error), and that it may have been carried out in spite of that.
	Ambiguous bool

	// Why is why there was no further attempt; retry.Granted for a success.
	Why retry.Reason

	// BodyTooLarge says that there was none because the request's body could
	// not be sent again.
	BodyTooLarge bool

	// History is what every attempt came to, where the call failed and more
	// is to be told than its own response says.
	History []resilience.Attempt
}

// Result tells what is known of a call, from what RoundTrip or http.Client
// returned: the response, even of a failing status and after its body was
// closed, or the error.
func Result(resp *http.Response, err error) Facts {
	var e *Error
	if errors.As(err, &e) {
		return e.Facts
	}
	if resp == nil || resp.Request == nil {
		return Facts{}
	}
	if x, ok := resp.Request.Context().Value(factsKey{}).(*exchange); ok {
		return x.facts(x.err)
	}
	return Facts{}
}

type factsKey struct{}

// facts are those of the call that ended with err.
func (x *exchange) facts(err error) Facts {
	f := Facts{
		Service: x.s.name, Method: x.method, Key: x.key, Attempts: x.attempts, Replays: x.replays,
		KeyExpires:   x.expires,
		BodyTooLarge: errors.Is(err, ErrBodyTooLarge),
	}
	if err == nil {
		return f
	}
	f.Why = retry.Final
	var e *resilience.Error
	if errors.As(err, &e) {
		f.Why, f.Ambiguous, f.History = e.Why, e.Ambiguous(), e.Attempts
	}
	return f
}

// Error is a call that ended without a response. It unwraps to the
// [*resilience.Error] that tells of every attempt, so that
// resilience.IsAmbiguous, errors.Is and errors.As see what there is.
type Error struct {
	Facts Facts
	Err   error
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Timeout tells http.Client and net.Error users whether it was one.
func (e *Error) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.Is(e.Err, context.DeadlineExceeded) || (errors.As(e.Err, &t) && t.Timeout())
}
