package httpwrap_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/resilience"
)

// Each test here is named after a defect of a peer that was reproduced, and
// shows that this transport does not have it.

// net/http sends a request with an Idempotency-Key again by itself, on every
// connection that it loses: one call, no error, three effects and more.
func TestNetHTTPDefect_KeyedRequestReplayed(t *testing.T) {
	t.Parallel()
	l := newLoser(t)
	tr := http1.newTransport(t, config{Base: l.base(), Services: with(settings{Attempts: 1})}, l.addr())
	l.warm(t, tr, http1.url("/"), 3) // bare net/http: 4 effects, see TestKeyedRequestIsNotReplayedUnderneath
	req := request(t, "POST", http1.url("/"), "x")
	req.Header.Set("Idempotency-Key", `"k"`)
	if got := send(t, tr, req); l.effects.Load() != 1 || !resilience.IsAmbiguous(got.err) || got.facts.Replays != 0 {
		t.Errorf("%d effects, %v, %+v; want one, and doubt", l.effects.Load(), got.err, got.facts)
	}
}

// failsafe-go repeats a POST after a timeout.
func TestFailsafeDefect_PostRepeatedAfterTimeout(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, w *world) {
		var effects atomic.Int64
		for _, addr := range []string{"a:1", "b:1"} {
			w.serve(addr, func(rw http.ResponseWriter, r *http.Request) { effects.Add(1); hang(rw, r) })
		}
		tr := w.transport(config{Services: with(settings{AttemptTimeout: 100 * ms, Timeout: time.Second})}, "a:1", "b:1")
		got := send(t, tr, request(t, "POST", http1.url("/"), "x"))
		if effects.Load() != 1 || !resilience.IsAmbiguous(got.err) || !errors.Is(got.err, context.DeadlineExceeded) {
			t.Errorf("%d effects, %v; want one, and doubt", effects.Load(), got.err)
		}
	})
}

// go-micro, with a connection timeout of 100 ms and a handler that takes 300:
// one call, six executions, and an error.
func TestGoMicroDefect_OneCallSixExecutions(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, w *world) {
		var effects atomic.Int64
		for _, addr := range []string{"a:1", "b:1"} {
			w.serve(addr, func(_ http.ResponseWriter, r *http.Request) { effects.Add(1); pause(r, 300*ms) })
		}
		tr := w.transport(config{Services: with(settings{AttemptTimeout: 100 * ms})}, "a:1", "b:1")
		if got := send(t, tr, request(t, "POST", http1.url("/"), "x")); effects.Load() != 1 || got.code != 200 || w.elapsed() != 300*ms {
			t.Errorf("%d effects, %d, %v after %v; want one that is waited for", effects.Load(), got.code, got.err, w.elapsed())
		}
	})
}

// Of three responses failsafe-go opens it closes one, and 30 requests take 21
// connections.
func TestFailsafeDefect_DiscardedBodiesLeftOpen(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, w *world) {
		w.serve("a:1", func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(500)
			_, _ = io.WriteString(rw, "sorry")
		})
		dials := 0
		base := w.proto.base()
		base.MaxIdleConnsPerHost = 3
		base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials++
			return w.dial(ctx, network, addr)
		}
		defer base.CloseIdleConnections()
		bodies := &counting{rt: base}
		tr := w.proto.newTransport(t, config{Base: bodies, Services: with(settings{Budget: resilience.BudgetSettings{Share: -1}})}, "a:1")
		for range 30 {
			got := send(t, tr, request(t, "GET", http1.url("/"), ""))
			synctest.Wait() // for the drains of the first two answers
			if opened, closed := bodies.opened.Load(), bodies.closed.Load(); got.code != 500 || got.facts.Attempts != 3 || opened != closed {
				t.Fatalf("%d after %d attempts, %v; %d bodies opened, %d closed", got.code, got.facts.Attempts, got.err, opened, closed)
			}
		}
		if dials > 3 { // an attempt does not wait for the drain of the one before
			t.Errorf("%d connections for 90 answers, want 3 at most", dials)
		}
	})
}

// failsafe-go leaks a goroutine for each request whose context does not end.
func TestFailsafeDefect_GoroutinePerRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel) // after the check
	leaktest.Check(t)
	n := http1.serve(t, func(http.ResponseWriter, *http.Request) {})
	tr := http1.newTransport(t, config{Services: with(settings{Timeout: time.Hour, AttemptTimeout: time.Minute})}, deadAddr(t), n.addr())
	for range 50 {
		if got := send(t, tr, requestWith(ctx, t, "GET", http1.url("/"), "")); got.err != nil {
			t.Error(got.err)
		}
	}
}

// failsafe-go jitters a server's Retry-After: half of the clients come back
// before they were asked to.
func TestFailsafeDefect_RetryAfterJittered(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, w *world) {
		var asked time.Duration
		w.serve("a:1", func(rw http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Retry-Attempt") == "" {
				asked = w.elapsed() + 7*time.Second
				rw.Header()["Date"] = nil
				rw.Header().Set("Retry-After", "7")
				rw.WriteHeader(429)
				return
			}
			if early := asked - w.elapsed(); early > 0 || early < -50*ms {
				t.Errorf("came %v early, want not at all, and up to 50ms late", early)
			}
		})
		tr := w.transport(config{Services: with(settings{Backoff: resilience.BackoffSettings{Initial: 50 * ms}})}, "a:1")
		for range 30 {
			if got := send(t, tr, request(t, "POST", http1.url("/"), "x")); got.code != 200 || got.facts.Attempts != 2 {
				t.Errorf("%d after %d attempts, %v", got.code, got.facts.Attempts, got.err)
			}
		}
	})
}

// Envoy's retries know no method safety: a payout that was answered by a 503
// was paid twice.
func TestEnvoyDefect_UnsafeRetried(t *testing.T) {
	t.Parallel()
	for _, code := range []int{500, 502, 503, 504} {
		var paid atomic.Int64
		pay := func(w http.ResponseWriter, _ *http.Request) { paid.Add(1); w.WriteHeader(code) }
		tr := http1.newTransport(t, config{}, http1.serve(t, pay).addr(), http1.serve(t, pay).addr())
		if got := send(t, tr, request(t, "POST", http1.url("/payout"), "x")); paid.Load() != 1 || got.code != code || !got.facts.Ambiguous {
			t.Errorf("%d: paid %d times, answer %d, %+v; want once, and doubt", code, paid.Load(), got.code, got.facts)
		}
	}
}

// go-micro does not retry a refused connection, which is safe for a POST too:
// with one of two nodes dead, 1769 of 5000 calls fail.
func TestGoMicroDefect_RefusedConnectionNotRetried(t *testing.T) {
	t.Parallel()
	n := http1.serve(t, func(http.ResponseWriter, *http.Request) {})
	tr := http1.newTransport(t, config{}, deadAddr(t), n.addr())
	again := 0
	for range 50 {
		got := send(t, tr, request(t, "POST", http1.url("/"), "x"))
		if got.err != nil || got.code != 200 {
			t.Fatal(got.code, got.err)
		}
		again += got.facts.Attempts - 1
	}
	if again == 0 {
		t.Error("nothing went to the dead node: the test shows nothing")
	}
}

// go-micro's client does not pass the caller's deadline on: what is sent runs
// on when nobody waits any more.
func TestGoMicroDefect_DeadlineNotPropagated(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, w *world) {
		ended := make(chan time.Duration, 10)
		w.serve("a:1", func(rw http.ResponseWriter, r *http.Request) { hang(rw, r); ended <- w.elapsed() })
		tr := w.transport(config{}, "a:1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got := send(t, tr, requestWith(ctx, t, "POST", http1.url("/"), "x"))
		if at := <-ended; !errors.Is(got.err, context.DeadlineExceeded) || at != time.Second {
			t.Errorf("%v, and the handler ended after %v; want the deadline, and 1s", got.err, at)
		}
	})
}
