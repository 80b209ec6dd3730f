package httpwrap_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func with(s settings) services { return services{host: {Settings: s}} }

// TestAttemptTimeout: a hung node is left at the attempt timeout, where the
// request may be sent again.
func TestAttemptTimeout(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, w *world) {
		w.serve("a:1", hang)
		w.serve("b:1", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Header.Get("X-Retry-Attempt"))
		})
		tr := w.transport(config{Services: with(settings{AttemptTimeout: 100 * ms})}, "a:1", "b:1")
		got := send(t, tr, request(t, "GET", http1.url("/"), ""))
		if got.err != nil || got.body != "2" || w.elapsed() != 100*ms || got.facts.Attempts != 2 || got.facts.Ambiguous {
			t.Errorf("%q after %v, %v, %+v; want the second attempt's answer after 100ms", got.body, w.elapsed(), got.err, got.facts)
		}
		if s := statusOf(t, tr, "a:1"); s.Failures != 1 || s.InFlight != 0 {
			t.Errorf("the hung node: %+v", s)
		}
	})
}

// TestTimeoutCutsNoUnsafeRequest is failsafe-go's defect, a POST that was
// repeated after a timeout: here it goes on to the caller's deadline, the node
// is told to be slow, and the error says that it may have been carried out.
func TestTimeoutCutsNoUnsafeRequest(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, w *world) {
		var effects atomic.Int64
		w.serve("a:1", func(rw http.ResponseWriter, r *http.Request) {
			effects.Add(1)
			hang(rw, r)
		})
		w.serve("b:1", func(http.ResponseWriter, *http.Request) { effects.Add(1) })
		tr := w.transport(config{Services: with(settings{AttemptTimeout: 100 * ms})}, "a:1", "b:1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got := send(t, tr, requestWith(ctx, t, "POST", http1.url("/"), "x"))
		if !errors.Is(got.err, context.DeadlineExceeded) || !resilience.IsAmbiguous(got.err) || !got.facts.Ambiguous {
			t.Errorf("%v, %+v; want an ambiguous deadline", got.err, got.facts)
		}
		if to, ok := find[interface {
			error
			Timeout() bool
		}](got.err); !ok || !to.Timeout() {
			t.Errorf("%v is no timeout to net.Error users", got.err)
		}
		if effects.Load() != 1 || w.elapsed() != time.Second || got.facts.Attempts != 1 {
			t.Errorf("%d effects after %v, %d attempts; want 1 after 1s", effects.Load(), w.elapsed(), got.facts.Attempts)
		}
		if s := statusOf(t, tr, "a:1"); s.Failures != 1 {
			t.Errorf("%d failures at the slow node, want 1", s.Failures)
		}
	})
}

// TestTimeoutAloneIsNoFailure: a POST that is only slow succeeds.
func TestTimeoutAloneIsNoFailure(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, w *world) {
		w.serve("a:1", func(rw http.ResponseWriter, r *http.Request) { pause(r, 900*ms) })
		tr := w.transport(config{Services: with(settings{AttemptTimeout: 100 * ms})}, "a:1")
		if got := send(t, tr, request(t, "POST", http1.url("/"), "x")); got.code != 200 || w.elapsed() != 900*ms {
			t.Errorf("%d, %v after %v", got.code, got.err, w.elapsed())
		}
	})
}

// TestKeyedRequestIsCut: with a key the POST may be sent again, with the same
// key.
func TestKeyedRequestIsCut(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, w *world) {
		var keys []string
		w.serve("a:1", func(rw http.ResponseWriter, r *http.Request) {
			keys = append(keys, r.Header.Get("Idempotency-Key"))
			hang(rw, r)
		})
		w.serve("b:1", func(_ http.ResponseWriter, r *http.Request) { keys = append(keys, r.Header.Get("Idempotency-Key")) })
		tr := w.transport(config{AssumeServerDeduplicates: true, Services: with(settings{AttemptTimeout: 100 * ms})}, "a:1", "b:1")
		got := send(t, tr, request(t, "POST", http1.url("/"), "x"))
		if got.err != nil || w.elapsed() != 100*ms || len(keys) != 2 || keys[0] == "" || keys[0] != keys[1] || got.facts.Key != keys[0] {
			t.Errorf("%v after %v, keys %q, told %q; want one key twice, after 100ms", got.err, w.elapsed(), keys, got.facts.Key)
		}
	})
}

// TestStreamingBody: timeouts of the settings bound the time to the headers
// and leave the body alone.
func TestStreamingBody(t *testing.T) {
	t.Parallel()
	stream := func(w http.ResponseWriter, r *http.Request) {
		for range 10 {
			_, _ = io.WriteString(w, "part ")
			_ = http.NewResponseController(w).Flush()
			pause(r, 500*ms)
		}
	}
	for name, s := range map[string]settings{
		"attempt": {AttemptTimeout: 100 * ms},
		"call":    {Timeout: 300 * ms},
		"both":    {AttemptTimeout: 100 * ms, Timeout: 300 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubbles(t, func(t *testing.T, w *world) {
				w.serve("a:1", stream)
				tr := w.transport(config{Services: with(s)}, "a:1")
				got := send(t, tr, request(t, "GET", http1.url("/"), ""))
				if got.err != nil || got.body != strings.Repeat("part ", 10) || w.elapsed() != 5*time.Second {
					t.Errorf("%q after %v, %v; want ten parts after 5s", got.body, w.elapsed(), got.err)
				}
			})
		})
	}
}

// TestCallerGovernsBody: the request's context ends the body, whatever
// contexts the settings have put in between.
func TestCallerGovernsBody(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]settings{"plain": {}, "call": {Timeout: 300 * ms}, "attempt": {AttemptTimeout: 100 * ms}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubbles(t, func(t *testing.T, w *world) {
				w.serve("a:1", func(rw http.ResponseWriter, r *http.Request) {
					_ = http.NewResponseController(rw).Flush()
					<-r.Context().Done()
				})
				tr := w.transport(config{Services: with(s)}, "a:1")
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				resp, err := tr.RoundTrip(requestWith(ctx, t, "GET", http1.url("/"), ""))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if inFlight := statusOf(t, tr, "a:1").InFlight; inFlight != 1 {
					t.Errorf("%d in flight while the body is being read, want 1", inFlight)
				}
				_, err = io.ReadAll(resp.Body)
				if !errors.Is(err, context.DeadlineExceeded) || w.elapsed() != time.Second {
					t.Errorf("%v after %v; want the caller's deadline", err, w.elapsed())
				}
				resp.Body.Close()
				if inFlight := statusOf(t, tr, "a:1").InFlight; inFlight != 0 {
					t.Errorf("%d in flight after that, want 0", inFlight)
				}
			})
		})
	}
}

// TestCallTimeout: Settings.Timeout bounds all attempts together, and is a
// deadline to the caller.
func TestCallTimeout(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, w *world) {
		w.serve("a:1", hang)
		tr := w.transport(config{Services: with(settings{Timeout: 300 * ms})}, "a:1")
		got := send(t, tr, request(t, "GET", http1.url("/"), ""))
		if !errors.Is(got.err, context.DeadlineExceeded) || errors.Is(got.err, context.Canceled) || w.elapsed() != 300*ms {
			t.Errorf("%v after %v; want a deadline after 300ms", got.err, w.elapsed())
		}
		if got.facts.Attempts != 3 {
			t.Errorf("%d attempts, want 3 of 100ms", got.facts.Attempts)
		}
	})
}

// TestCallerCancels: who gives up is told so, and the node is not blamed.
func TestCallerCancels(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, w *world) {
		w.serve("a:1", hang)
		events := new(recorder)
		tr := w.transport(config{Services: services{host: {Observer: events, Settings: settings{AttemptTimeout: 10 * time.Second}}}}, "a:1")
		ctx, cancel := cancellable(t)
		time.AfterFunc(70*ms, cancel)
		got := send(t, tr, requestWith(ctx, t, "GET", http1.url("/"), ""))
		if !errors.Is(got.err, context.Canceled) || w.elapsed() != 70*ms {
			t.Errorf("%v after %v; want context.Canceled after 70ms", got.err, w.elapsed())
		}
		if o := lastAttempt(events).Outcome; o.Name != resilience.Abandoned.Name || o.Node != breaker.Ignored || o.Effect != retry.Possible {
			t.Errorf("outcome %+v, want abandoned", o)
		}
		if s := statusOf(t, tr, "a:1"); s.Failures != 0 || s.InFlight != 0 || s.Picks != 0 {
			t.Errorf("the node: %+v", s)
		}
	})
}
