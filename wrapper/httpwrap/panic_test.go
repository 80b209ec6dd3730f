package httpwrap_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// TestPanicsLeaveNothing: a panic of an observer, a hook or a wrapper after
// the headers closes the response and both bodies, and the node is idle again.
func TestPanicsLeaveNothing(t *testing.T) {
	t.Parallel()
	for name, panics := range map[string]func(armed *bool) resilience.Config{
		"observer": func(armed *bool) resilience.Config {
			return resilience.Config{Observer: resilience.ObserverFunc(func(e resilience.Event) {
				if *armed && e.Kind == resilience.AttemptDone {
					panic("observer")
				}
			})}
		},
		"hook": func(*bool) resilience.Config {
			return resilience.Config{RetryIf: func(retry.Try) (bool, error) { panic("hook") }}
		},
		"wrapper": func(*bool) resilience.Config {
			return resilience.Config{WrapAttempt: []resilience.Wrapper{func(next resilience.Func) resilience.Func {
				return func(ctx context.Context, call *resilience.Call) error {
					_ = next(ctx, call)
					panic("wrapper")
				}
			}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := http1.serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(503)
				_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
			})
			armed := true
			bodies := &counting{rt: http1.base()}
			tr := http1.newTransport(t, config{Base: bodies, Services: services{host: panics(&armed)}}, n.addr())
			req := request(t, "PUT", http1.url("/"), "")
			upload := &tracked{Reader: strings.NewReader("x")}
			req.Body = upload
			func() {
				defer func() {
					if recover() == nil {
						t.Error("no panic")
					}
				}()
				resp, err := tr.RoundTrip(req)
				if err == nil {
					resp.Body.Close()
				}
			}()
			armed = false
			if s := statusOf(t, tr, n.addr()); s.InFlight != 0 {
				t.Errorf("%d in flight for ever", s.InFlight)
			}
			if opened, closed := bodies.opened.Load(), bodies.closed.Load(); opened != 1 || closed != 1 {
				t.Errorf("%d responses, %d closed", opened, closed)
			}
			eventually(t, "request's body closed", func() bool { return upload.closed.Load() > 0 })
			eventually(t, "connection closed", func() bool { _, open := n.conns(); return open == 0 })
		})
	}
}

// TestPanicEndsTheAttempt: one inside a RoundTripper of the user's, so that
// nothing is left of the attempt's context.
func TestPanicEndsTheAttempt(t *testing.T) {
	t.Parallel()
	var ctx context.Context
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		ctx = r.Context()
		panic("base")
	})
	tr := http1.newTransport(t, config{Base: base, Services: with(settings{AttemptTimeout: time.Hour})}, "a:1")
	defer func() {
		if recover() == nil || ctx.Err() == nil {
			t.Errorf("no panic, or the attempt's context lives on: %v", ctx.Err())
		}
	}()
	send(t, tr, request(t, "GET", http1.url("/"), ""))
}
