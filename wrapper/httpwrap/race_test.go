package httpwrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
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

// TestTimeoutMeetsHeaders: the settings' timeout ends as the headers arrive,
// and has not cancelled the attempt's context yet. That is an error, and no
// response with a closed body.
func TestTimeoutMeetsHeaders(t *testing.T) {
	t.Parallel()
	errOwn := errors.New("own")
	for name, tt := range map[string]struct {
		meet func(a *attempt, end func())
		want error
	}{
		"a wrapper's context": {func(a *attempt, end func()) {
			a.links[0]() // context.AfterFunc has started its func, which has not run
			end()
		}, errOwn},
		"the attempt's timeout": {func(a *attempt, _ func()) { a.phase.Store(cutLate) }, resilience.ErrAttemptTimeout},
	} {
		closed := false
		var end func()
		tr, err := New(Config{
			Base: roundTrip(func(r *http.Request) (*http.Response, error) {
				tt.meet(r.Context().(*attempt), end)
				return &http.Response{StatusCode: 200, ProtoMajor: 1, Body: &noted{strings.NewReader("x"), &closed}}, nil
			}),
			Services: map[string]resilience.Config{"users": {
				Settings: resilience.Settings{Attempts: 1},
				WrapAttempt: []resilience.Wrapper{func(next resilience.Func) resilience.Func {
					return func(ctx context.Context, call *resilience.Call) error {
						ctx, cancel := context.WithCancelCause(ctx)
						end = func() { cancel(errOwn) }
						return next(ctx, call)
					}
				}},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://users/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tr.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		if !errors.Is(err, tt.want) || !closed {
			t.Errorf("%s: %v, body closed: %v; want %v", name, err, closed, tt.want)
		}
		_ = tr.Close()
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type noted struct {
	io.Reader
	closed *bool
}

func (n *noted) Close() error {
	*n.closed = true
	return nil
}

// TestStreamErrorByType: HTTP/2's own error, as a RoundTripper may pass it on.
func TestStreamErrorByType(t *testing.T) {
	t.Parallel()
	for code, want := range map[uint32]bool{refusedStream: true, 1: false, 8: false} {
		o, known := http2(fmt.Errorf("wrapped: %w", streamError{StreamID: 1, Code: code}))
		if known != want || (known && o.Effect != retry.None) {
			t.Errorf("code %d: known %v, %v; want %v", code, known, o, want)
		}
	}
}
