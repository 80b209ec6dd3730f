package httpwrap_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// TestBlackHole: what has no connection yet was not sent, so its timeout may
// cut it whatever it is.
func TestBlackHole(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, w *world) {
		var effects atomic.Int64
		w.serve("b:1", func(http.ResponseWriter, *http.Request) { effects.Add(1) })
		events := new(recorder)
		tr := w.transport(config{Services: services{host: {Observer: events, Settings: settings{AttemptTimeout: 100 * ms}}}}, "hole:1", "b:1")
		got := send(t, tr, request(t, "POST", http1.url("/"), "x"))
		if got.err != nil || w.elapsed() != 100*ms || effects.Load() != 1 || got.facts.Ambiguous {
			t.Errorf("%v after %v, %d effects, %+v; want success after 100ms", got.err, w.elapsed(), effects.Load(), got.facts)
		}
		first := events.of(resilience.AttemptDone)[0]
		if first.Outcome.Effect != retry.None || first.Outcome.Node != breaker.Failure || !errors.Is(first.Err, resilience.ErrAttemptTimeout) {
			t.Errorf("the cut attempt: %+v", first)
		}
	})
}

// TestBlackHoleWithoutRetry: nothing was sent when the deadline came, and the
// error does not claim otherwise.
func TestBlackHoleWithoutRetry(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, w *world) {
		tr := w.transport(config{Services: with(settings{Attempts: 1})}, "hole:1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got := send(t, tr, requestWith(ctx, t, "POST", http1.url("/"), "x"))
		if !errors.Is(got.err, context.DeadlineExceeded) || resilience.IsAmbiguous(got.err) || w.elapsed() != time.Second {
			t.Errorf("%v after %v; want a deadline and no doubt", got.err, w.elapsed())
		}
	})
}

// TestCutMeetsConnection: the timeout and the connection come at the same
// instant. Whoever is first, the request is carried out once.
func TestCutMeetsConnection(t *testing.T) {
	t.Parallel()
	for range 50 {
		inBubbles(t, func(t *testing.T, w *world) {
			var effects atomic.Int64
			serve := func(http.ResponseWriter, *http.Request) { effects.Add(1) }
			w.serve("a:1", serve)
			w.serve("b:1", serve)
			base := w.proto.base()
			base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr == "a:1" {
					<-time.After(100 * ms)
				}
				return w.dial(context.WithoutCancel(ctx), network, addr)
			}
			tr := w.proto.newTransport(t, config{Base: base, Services: with(settings{AttemptTimeout: 100 * ms})}, "a:1", "b:1")
			got := send(t, tr, request(t, "POST", http1.url("/"), "x"))
			synctest.Wait()
			if got.err != nil || effects.Load() != 1 {
				t.Errorf("%v, %d effects; want one", got.err, effects.Load())
			}
		})
	}
}

// TestBlackHoleIsBlamed: a deadline that runs out without a connection tells
// something about the node, if calls usually take much less.
func TestBlackHoleIsBlamed(t *testing.T) {
	t.Parallel()
	for wait, blamed := range map[time.Duration]bool{20 * ms: false, time.Second: true} {
		t.Run(wait.String(), func(t *testing.T) {
			t.Parallel()
			inBubbles(t, func(t *testing.T, w *world) {
				w.serve("a:1", func(_ http.ResponseWriter, r *http.Request) { pause(r, 10*ms) })
				tr := w.transport(config{Services: with(settings{Attempts: 1})}, "a:1", "hole:1")
				for range 4 { // in turn; of the hole's, at least one after it is known what is usual
					ctx, cancel := context.WithTimeout(t.Context(), wait)
					send(t, tr, requestWith(ctx, t, "POST", http1.url("/"), "x"))
					cancel()
				}
				if s := statusOf(t, tr, "hole:1"); (s.Failures > 0) != blamed || s.InFlight != 0 {
					t.Errorf("after %v: %+v, want it blamed: %v", wait, s, blamed)
				}
				if s := statusOf(t, tr, "a:1"); s.Failures != 0 || s.Picks != 2 {
					t.Errorf("the other: %+v", s)
				}
			})
		})
	}
}
