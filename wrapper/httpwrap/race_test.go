package httpwrap

import (
	"context"
	"errors"
	"net/http/httptrace"
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// TestReplaysLeaveDoubt: what the last of several sendings came to is not
// what the earlier ones did.
func TestReplaysLeaveDoubt(t *testing.T) {
	t.Parallel()
	err := errors.New("http2: client conn could not be established")
	for replays, want := range []retry.Effect{retry.None, retry.Possible} {
		a := &attempt{replays: replays, rewinds: true, x: &exchange{}, pool: new(pool)}
		a.phase.Store(sent)
		if got := a.evidence(err).Effect; got != want {
			t.Errorf("%d replays: %v, want %v", replays, got, want)
		}
	}
}

// TestCutMeetsHTTP2Connection: between Cut's judgement, that nothing was sent,
// and its cancel, HTTP/2 gets its connection. It looks at the context alone.
func TestCutMeetsHTTP2Connection(t *testing.T) {
	t.Parallel()
	for _, method := range []retry.Idempotency{retry.NonIdempotent, retry.Safe} {
		a := &attempt{pool: &pool{h2c: true}, method: method, x: &exchange{}}
		a.Context, a.cancel = context.WithCancelCause(t.Context())
		a.phase.CompareAndSwap(unsent, cutOff) // so far has Cut come
		(&tracer{a: a}).gotConn(httptrace.GotConnInfo{})
		if cause := context.Cause(a); cause != resilience.ErrAttemptTimeout { //nolint:errorlint // it is the cause itself
			t.Errorf("%v: the attempt is judged as not sent, and goes on: %v", method, cause)
		}
	}
}
