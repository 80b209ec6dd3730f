package httpwrap_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
	"github.com/holdfast-go/holdfast/wrapper/idempotency"
)

// guarded is a service of n nodes that carries out each key once.
func guarded(t testing.TB, n int, cfg idempotency.Config, h http.HandlerFunc) (addrs []string) {
	t.Helper()
	if cfg.Store == nil {
		cfg.Store = idempotency.NewMemory(idempotency.MemoryConfig{})
	}
	for range n {
		g, err := idempotency.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, http1.serve(t, g.Wrap(h).ServeHTTP).addr())
	}
	return addrs
}

func keyedPost(ctx context.Context, t testing.TB, key, body string) *http.Request {
	t.Helper()
	return requestWith(httpwrap.WithHint(ctx, resilience.Hint{Key: key}), t, "POST", http1.url("/pay"), body)
}

// TestInProgressIsWaitedFor: attempts that time out find their own execution
// under way elsewhere, wait, and get its answer: one effect, no failure. It
// takes more questions than attempts are allowed.
func TestInProgressIsWaitedFor(t *testing.T) {
	t.Parallel()
	var effects, asked atomic.Int64
	release := make(chan struct{})
	addrs := guarded(t, 2, idempotency.Config{OnEvent: func(e idempotency.Event) {
		if e.Status != idempotency.InProgress {
			return
		}
		if e.Request.Close {
			t.Error("a question takes a connection of its own")
		}
		if asked.Add(1) == 5 {
			close(release)
		}
	}}, func(w http.ResponseWriter, r *http.Request) {
		effects.Add(1)
		<-release
		w.WriteHeader(201)
		fmt.Fprint(w, "paid")
	})
	events := new(recorder)
	tr := http1.newTransport(t, config{Services: services{host: {
		Observer: events, Settings: settings{AttemptTimeout: 50 * time.Millisecond, Budget: resilience.BudgetSettings{Floor: 1}},
	}}}, addrs...)
	got := send(t, tr, keyedPost(t.Context(), t, "k", "10"))
	if got.err != nil || got.code != 201 || got.body != "paid" || got.head.Get(idempotency.HeaderStatus) != idempotency.Replayed {
		t.Fatalf("%d %q %v, %v", got.code, got.body, got.head, got.err)
	}
	if effects.Load() != 1 || got.facts.Attempts < 6 {
		t.Errorf("%d effects, %+v", effects.Load(), got.facts)
	}
	for _, addr := range addrs {
		if s := statusOf(t, tr, addr); s.State != breaker.Closed {
			t.Errorf("%s is %v: to be asked is no fault", addr, s.State)
		}
	}
	for _, e := range events.of(resilience.AttemptDone) {
		if e.Outcome.Pending && (e.Outcome.Node != breaker.Success || e.Outcome.Name != "in progress") {
			t.Errorf("%+v", e.Outcome)
		}
	}
}

// TestOtherConflict: a 409 that is not marked, or is not of a key, is the
// service's own answer; so is 422, marked or not.
func TestOtherConflict(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code      int
		word, key string
		attempts  int
	}{
		{409, "", "k", 1},
		{409, "in-progress", "", 1},
		{409, "not-kept", "k", 1},
		{409, "nonsense", "k", 1},
		{422, "not-executed", "k", 1},
		{422, "", "k", 1},
		{400, "not-executed", "k", 1},
		{404, "in-progress", "k", 1},
		{500, "", "k", 3},
		{500, "replayed", "k", 1},
		{503, "not-executed", "k", 3},
		{503, "not-executed", "", 1},
	} {
		var served atomic.Int64
		n := http1.serve(t, func(w http.ResponseWriter, _ *http.Request) {
			served.Add(1)
			w.Header().Set("Idempotency-Status", tt.word)
			w.WriteHeader(tt.code)
		})
		tr := http1.newTransport(t, config{}, n.addr())
		req := keyedPost(t.Context(), t, tt.key, "10")
		got := send(t, tr, req)
		if got.err != nil || got.code != tt.code || int(served.Load()) != tt.attempts {
			t.Errorf("%+v: %d, %v after %d attempts", tt, got.code, got.err, served.Load())
		}
		if ambiguous := tt.code == 500 || tt.code == 503 && tt.key == ""; got.facts.Ambiguous != ambiguous {
			t.Errorf("%+v: %+v", tt, got.facts)
		}
		if s := statusOf(t, tr, n.addr()); tt.word != "" && s.Failures > 0 && tt.key != "" {
			t.Errorf("%+v: the node is blamed: %+v", tt, s)
		}
	}
}

// TestInDoubt: an execution whose end nobody knows is an error with its key and
// its attempts; asked again later with the same key, the answer is there.
func TestInDoubt(t *testing.T) {
	t.Parallel()
	for _, bare := range []bool{false, true} { // a key that the caller sends as it is
		var effects atomic.Int64
		var words atomic.Value
		words.Store("")
		release := make(chan struct{})
		done := make(chan struct{})
		addrs := guarded(t, 2, idempotency.Config{Lease: 30 * time.Millisecond, Unquoted: bare, OnEvent: func(e idempotency.Event) {
			if e.Status == "" {
				close(done)
			} else {
				words.Store(words.Load().(string) + " " + e.Status)
			}
		}}, func(w http.ResponseWriter, r *http.Request) {
			effects.Add(1)
			<-release
			w.WriteHeader(201)
			fmt.Fprint(w, "paid")
		})
		tr := http1.newTransport(t, config{Services: with(settings{AttemptTimeout: 100 * time.Millisecond})}, addrs...)
		req := keyedPost(t.Context(), t, "k", "10")
		want := `"k"`
		if bare {
			req = request(t, "POST", http1.url("/pay"), "10")
			req.Header["Idempotency-Key"] = []string{"k"}
			want = "k"
		}
		first := send(t, tr, req)
		err := first.err
		var e *httpwrap.Error
		if !errors.As(err, &e) || !resilience.IsAmbiguous(err) || e.Facts.Key != want || !e.Facts.Ambiguous || e.Facts.Attempts != 3 {
			t.Fatalf("%d, %v", first.code, err)
		}
		var re *resilience.Error
		if !errors.As(err, &re) || re.Key != want || re.Why != retry.Exhausted || len(re.Attempts) != 3 || !strings.Contains(words.Load().(string), "unknown") {
			t.Errorf("%v; the server said%s", err, words.Load())
		}
		if left := time.Until(e.Facts.KeyExpires); left < 23*time.Hour || left > 24*time.Hour {
			t.Errorf("the key expires in %v", left)
		}
		close(release)
		<-done
		again := request(t, "POST", http1.url("/pay"), "10")
		if bare {
			again.Header["Idempotency-Key"] = []string{"k"}
		}
		got := send(t, tr, again.WithContext(httpwrap.Resume(t.Context(), e.Facts)))
		if got.err != nil || got.code != 201 || got.body != "paid" || got.facts.Key != want || effects.Load() != 1 {
			t.Errorf("resumed: %d %q %+v, %v; %d effects", got.code, got.body, got.facts, got.err, effects.Load())
		}
		if !bare { // the key alone, as after a restart
			got = send(t, tr, request(t, "POST", http1.url("/pay"), "10").WithContext(httpwrap.Resume(t.Context(), httpwrap.Facts{Key: e.Facts.Key})))
			if got.err != nil || got.code != 201 || effects.Load() != 1 {
				t.Errorf("resumed by key: %d %v; %d effects", got.code, got.err, effects.Load())
			}
		}
	}
}

// TestTimeIsUpInProgress: at the deadline the call ends in an error that can be
// resumed, and not in the 409.
func TestTimeIsUpInProgress(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	addrs := guarded(t, 1, idempotency.Config{}, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	tr := http1.newTransport(t, config{Services: with(settings{AttemptTimeout: 20 * time.Millisecond})}, addrs...)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	got := send(t, tr, keyedPost(ctx, t, "k", "10"))
	if !resilience.IsAmbiguous(got.err) || got.facts.Key != `"k"` || got.facts.KeyExpires.IsZero() {
		t.Errorf("%d, %v: %+v", got.code, got.err, got.facts)
	}
}

// TestSettledAnswer: a reply is lost, and the same request is then answered
// with an error: that is what came of it, and no doubt is left. Without a key
// the doubt would stay.
func TestSettledAnswer(t *testing.T) {
	t.Parallel()
	for _, lost := range []string{"request", "reply"} {
		var served, effects atomic.Int64
		g, err := idempotency.New(idempotency.Config{})
		if err != nil {
			t.Fatal(err)
		}
		h := g.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			effects.Add(1)
			w.WriteHeader(402)
		}))
		n := http1.serve(t, func(w http.ResponseWriter, r *http.Request) {
			if served.Add(1) == 1 {
				if lost == "reply" {
					h.ServeHTTP(discard{http.Header{}}, r)
				} else {
					_, _ = io.Copy(io.Discard, r.Body)
				}
				panic(http.ErrAbortHandler)
			}
			h.ServeHTTP(w, r)
		})
		tr := http1.newTransport(t, config{}, n.addr())
		got := send(t, tr, keyedPost(t.Context(), t, "k", "10"))
		if got.err != nil || got.code != 402 || got.facts.Ambiguous || got.facts.Attempts != 2 || effects.Load() != 1 {
			t.Errorf("%s lost: %d %v %+v, %d effects", lost, got.code, got.err, got.facts, effects.Load())
		}
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) WriteHeader(int)             {}
func (d discard) Write(p []byte) (int, error) { return len(p), nil }

// TestReleasedIsTriedAgain: what the handler has not carried out is tried
// again, and leaves no doubt.
func TestReleasedIsTriedAgain(t *testing.T) {
	t.Parallel()
	for times, code := range map[int64]int{2: 200, 9: 503} {
		var runs atomic.Int64
		addrs := guarded(t, 1, idempotency.Config{}, func(w http.ResponseWriter, r *http.Request) {
			if runs.Add(1) <= times {
				idempotency.From(r.Context()).Release()
				w.WriteHeader(503)
			}
		})
		tr := http1.newTransport(t, config{}, addrs...)
		got := send(t, tr, keyedPost(t.Context(), t, "k", "10"))
		if got.err != nil || got.code != code || got.facts.Ambiguous || runs.Load() != 3 {
			t.Errorf("%d %v %+v, %d runs", got.code, got.err, got.facts, runs.Load())
		}
	}
}

// TestKeyExpires: no attempt begins when the server is about to forget the key.
func TestKeyExpires(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	n := http1.serve(t, func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		w.Header().Set("Idempotency-Expires", "0")
		w.WriteHeader(500)
	})
	tr := http1.newTransport(t, config{}, n.addr())
	got := send(t, tr, keyedPost(t.Context(), t, "k", "10"))
	if !errors.Is(got.err, httpwrap.ErrKeyExpired) || !resilience.IsAmbiguous(got.err) || served.Load() != 1 || got.facts.Attempts != 1 {
		t.Errorf("%d, %v after %d attempts: %+v", got.code, got.err, served.Load(), got.facts)
	}
	got = send(t, tr, request(t, "POST", http1.url("/pay"), "10").WithContext(httpwrap.Resume(t.Context(), got.facts)))
	if !errors.Is(got.err, httpwrap.ErrKeyExpired) || resilience.IsAmbiguous(got.err) || served.Load() != 1 {
		t.Errorf("resumed: %d, %v after %d attempts", got.code, got.err, served.Load())
	}
	got = send(t, tr, request(t, "POST", http1.url("/pay"), "10").WithContext(httpwrap.Resume(t.Context(), httpwrap.Facts{})))
	if !errors.Is(got.err, resilience.ErrNoKey) || served.Load() != 1 {
		t.Errorf("resumed without a key: %d, %v", got.code, got.err)
	}
}

// TestLifetimeIsLearned: what a service has said of one key is believed of the
// next, from its first attempt on.
func TestLifetimeIsLearned(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	n := http1.serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if served.Add(1) == 1 {
			w.Header().Set("Idempotency-Expires", "0")
			return
		}
		panic(http.ErrAbortHandler)
	})
	tr := http1.newTransport(t, config{}, n.addr())
	if got := send(t, tr, keyedPost(t.Context(), t, "a", "10")); got.code != 200 {
		t.Fatal(got.code, got.err)
	}
	got := send(t, tr, keyedPost(t.Context(), t, "b", "10"))
	if !errors.Is(got.err, httpwrap.ErrKeyExpired) || served.Load() != 2 {
		t.Errorf("%d, %v after %d attempts", got.code, got.err, served.Load())
	}
}
