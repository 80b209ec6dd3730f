package httpwrap_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// loser carries requests out and loses the replies of all but the first on
// each connection.
type loser struct {
	*node
	effects atomic.Int64 // of lost replies and others
	gather  atomic.Bool  // replies wait for each other, so that there are as many connections
	arrived atomic.Int64 // of those
	barrier chan struct{}

	mu   sync.Mutex
	seen map[string]bool
}

func newLoser(t testing.TB) *loser {
	t.Helper()
	l := &loser{seen: make(map[string]bool), barrier: make(chan struct{})}
	l.node = http1.serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if l.gather.Load() {
			l.arrived.Add(1)
			<-l.barrier
		}
		l.effects.Add(1)
		l.mu.Lock()
		again := l.seen[r.RemoteAddr]
		l.seen[r.RemoteAddr] = true
		l.mu.Unlock()
		if again {
			panic(http.ErrAbortHandler) // the connection is closed
		}
	})
	return l
}

// warm leaves the client with n idle connections.
func (l *loser) warm(t testing.TB, rt http.RoundTripper, url string, n int) {
	t.Helper()
	l.gather.Store(true)
	var calls sync.WaitGroup
	for range n {
		calls.Go(func() { send(t, rt, request(t, "GET", url, "")) })
	}
	eventually(t, "a request on each connection", func() bool { return l.arrived.Load() == int64(n) })
	l.gather.Store(false)
	close(l.barrier)
	calls.Wait()
	l.effects.Store(0)
}

func (l *loser) base() *http.Transport {
	b := http1.base()
	b.MaxIdleConnsPerHost = 10
	return b
}

// TestKeyedRequestIsNotReplayedUnderneath is net/http's defect: a request
// with an Idempotency-Key is sent again by the transport on each connection
// that it loses, one call, no error, several effects. (That net/http still
// does so is checked too: otherwise this test would show nothing.)
func TestKeyedRequestIsNotReplayedUnderneath(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		for _, body := range []string{"", "x"} {
			t.Run(name+"/"+body, func(t *testing.T) {
				t.Parallel()
				keyed := func(url string) *http.Request {
					req := request(t, "POST", url, body)
					req.Header.Set(name, `"k"`)
					return req
				}
				bare := newLoser(t)
				plain := bare.base()
				defer plain.CloseIdleConnections()
				bare.warm(t, plain, bare.URL, 3)
				if got := send(t, plain, keyed(bare.URL)); got.err != nil || bare.effects.Load() != 4 {
					t.Logf("bare net/http: %d effects, %v; it used to be 4 and no error", bare.effects.Load(), got.err)
				}
				if bare.effects.Load() < 2 {
					t.Fatal("net/http replays no more: what is this test for?")
				}

				l := newLoser(t)
				tr := http1.newTransport(t, config{Base: l.base(), Services: with(settings{Attempts: 1})}, l.addr())
				l.warm(t, tr, http1.url("/"), 3)
				got := send(t, tr, keyed(http1.url("/")))
				if l.effects.Load() != 1 || !resilience.IsAmbiguous(got.err) || got.facts.Replays != 0 || got.facts.Key != `"k"` {
					t.Errorf("%d effects, %v, %+v; want one, and doubt", l.effects.Load(), got.err, got.facts)
				}
			})
		}
	}
}

// TestKeyedRequestIsRepeatedOpenly: what net/http did in silence is done by
// attempts that count, with one key.
func TestKeyedRequestIsRepeatedOpenly(t *testing.T) {
	t.Parallel()
	l := newLoser(t)
	tr := http1.newTransport(t, config{Base: l.base()}, l.addr())
	l.warm(t, tr, http1.url("/"), 3)
	req := request(t, "POST", http1.url("/"), "x")
	req.Header.Set("Idempotency-Key", "k")
	got := send(t, tr, req)
	if got.err != nil || got.facts.Attempts != 2 || l.effects.Load() != 2 || got.facts.Replays != 0 {
		t.Errorf("%v, %d effects, %+v; want a second attempt, on a new connection", got.err, l.effects.Load(), got.facts)
	}
	if req.Header.Get("Idempotency-Key") != "k" {
		t.Error("the request was changed")
	}
}

// TestReplaysAreCounted: those that cannot be prevented.
func TestReplaysAreCounted(t *testing.T) {
	t.Parallel()
	l := newLoser(t)
	tr := http1.newTransport(t, config{Base: l.base()}, l.addr())
	l.warm(t, tr, http1.url("/"), 3)
	got := send(t, tr, request(t, "GET", http1.url("/"), ""))
	if got.err != nil || got.facts.Attempts != 1 || got.facts.Replays != 3 || l.effects.Load() != 4 || tr.Replays() != 3 {
		t.Errorf("%v, %d effects, %+v, %d replays in all; want one attempt and three replays", got.err, l.effects.Load(), got.facts, tr.Replays())
	}
}

// TestUnsafeGetIsNotReplayed: a GET with side effects, which its caller says.
func TestUnsafeGetIsNotReplayed(t *testing.T) {
	t.Parallel()
	l := newLoser(t)
	tr := http1.newTransport(t, config{Base: l.base()}, l.addr())
	l.warm(t, tr, http1.url("/"), 3)
	ctx := httpwrap.WithHint(t.Context(), resilience.Unsafe("GET /launch"))
	got := send(t, tr, requestWith(ctx, t, "GET", http1.url("/"), ""))
	if l.effects.Load() != 1 || !resilience.IsAmbiguous(got.err) || !strings.Contains(got.err.Error(), "by itself") {
		t.Errorf("%d effects, %v; want one, and doubt", l.effects.Load(), got.err)
	}
}

// TestGetBodyIsLeftToHTTP1: a POST on a connection that the server had
// closed while it was idle is net/http's to send again, if it is certain that
// nothing was sent; httpwrap leaves it the means.
func TestGetBodyIsLeftToHTTP1(t *testing.T) {
	t.Parallel()
	var offered []bool
	base := http1.base()
	n := http1.serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	tr := http1.newTransport(t, config{Base: base}, n.addr())
	for range 2 {
		req := request(t, "POST", http1.url("/"), "x")
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		offered = append(offered, resp.Request.GetBody != nil)
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	if offered[0] || !offered[1] {
		t.Errorf("GetBody passed on: %v; want it once the node is known to speak HTTP/1", offered)
	}
}
