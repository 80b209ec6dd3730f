package httpwrap_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// layers is edge → one → two → bottom, each with two instances, and a client
// at each edge that makes up to three attempts within a budget of a fifth.
func layers(w *world, coordinated bool) (edge *httpwrap.Transport, bottom *atomic.Int64, down *atomic.Bool) {
	bottom, down = new(atomic.Int64), new(atomic.Bool)
	for _, addr := range []string{"bottom-a:80", "bottom-b:80"} {
		w.serve(addr, func(w http.ResponseWriter, _ *http.Request) {
			if bottom.Add(1); down.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
	}
	client := func(below string) *httpwrap.Transport {
		cfg := config{Services: services{host: {Settings: resilience.Settings{Budget: resilience.BudgetSettings{Floor: -1}}}}}
		return w.transport(cfg, below+"-a:80", below+"-b:80")
	}
	for _, layer := range [][2]string{{"two", "bottom"}, {"one", "two"}} {
		tr := client(layer[1])
		var h http.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			req, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, w.proto.url("/"), nil)
			resp, err := tr.RoundTrip(req)
			if err != nil {
				rw.WriteHeader(http.StatusBadGateway)
				return
			}
			defer resp.Body.Close()
			rw.WriteHeader(resp.StatusCode)
			_, _ = io.Copy(rw, resp.Body)
		})
		if coordinated {
			h = httpwrap.Serve(h, func(*http.Request) bool { return true })
		}
		for _, instance := range []string{"-a:80", "-b:80"} {
			w.serve(layer[0]+instance, h.ServeHTTP)
		}
	}
	return client("one"), bottom, down
}

// load makes n requests, eight at a time, and waits for all.
func load(t *testing.T, w *world, tr *httpwrap.Transport, n int) (failed int) {
	var bad atomic.Int64
	for range n / 8 {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if got := send(t, tr, request(t, "GET", w.proto.url("/"), "")); got.err != nil || got.code != 200 {
					bad.Add(1)
				}
			})
		}
		all.Wait()
		time.Sleep(10 * ms) //nolint:forbidigo // synctest bubble
	}
	return int(bad.Load())
}

// TestLayersDoNotMultiply: three real layers of three attempts, the bottom
// down. What reaches the bottom stays within the first layer's budget, a fifth
// of what succeeded, but for what those in flight at its end did not know of
// each other; without Serve it does not.
func TestLayersDoNotMultiply(t *testing.T) {
	t.Parallel()
	const healthy, ill, share = 1600, 1600, 0.2
	for _, coordinated := range []bool{true, false} {
		t.Run("serve="+strconv.FormatBool(coordinated), func(t *testing.T) {
			t.Parallel()
			inBubbles(t, func(t *testing.T, w *world) {
				edge, bottom, down := layers(w, coordinated)
				if failed := load(t, w, edge, healthy); failed != 0 || bottom.Load() != healthy {
					t.Fatalf("healthy: %d failed, %d at the bottom; want 0 and %d", failed, bottom.Load(), healthy)
				}
				bottom.Store(0)
				down.Store(true)
				if failed := load(t, w, edge, ill); failed != ill {
					t.Fatalf("%d failed of %d with the bottom down", failed, ill)
				}
				extra := bottom.Load() - ill
				t.Logf("%d requests, %d attempts at the bottom: %.2f", ill, bottom.Load(), float64(bottom.Load())/ill)
				switch most := int64(share*healthy + 8*2); {
				case extra <= 0:
					t.Error("no retry reached the bottom: the bound means nothing")
				case coordinated && extra > most:
					t.Errorf("%d retries at the bottom, want at most %d, the first layer's budget", extra, most)
				case !coordinated && extra <= most:
					t.Errorf("%d retries at the bottom without Serve: within the bound of %d, which then shows nothing", extra, most)
				}
			})
		})
	}
}

// TestServe: who is trusted is believed and told, nobody else.
func TestServe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name            string
		trusted         func(*http.Request) bool
		credit, attempt string
		calls           int // that fail once each at the bottom
		attempts        int // made at the bottom
		spent           string
	}{
		{name: "no header", trusted: always, calls: 2, attempts: 4, spent: "2"},
		{name: "nothing spent", trusted: always, credit: "5", calls: 0},
		{name: "credit", trusted: always, credit: "1", calls: 3, attempts: 4, spent: "1"},
		{name: "no credit", trusted: always, credit: "0", calls: 2, attempts: 2},
		{name: "no number", trusted: always, credit: "-1", calls: 1, attempts: 1},
		{name: "a long number", trusted: always, credit: "99999999999999999999", calls: 1, attempts: 1},
		{name: "a retry", trusted: always, attempt: "2", calls: 1, attempts: 2, spent: "1"},
		{name: "a retry with credit", trusted: always, attempt: "2", credit: "1", calls: 1, attempts: 2, spent: "1"},
		{name: "a stranger", trusted: func(*http.Request) bool { return false }, credit: "0", calls: 2, attempts: 4},
		{name: "nobody is trusted", credit: "0", calls: 2, attempts: 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var attempts int
			n := http1.serve(t, func(w http.ResponseWriter, r *http.Request) {
				attempts++
				if r.Header.Get("X-Retry-Attempt") == "" {
					w.WriteHeader(http.StatusInternalServerError)
				}
			})
			tr := http1.newTransport(t, config{}, n.addr())
			h := httpwrap.Serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				for range c.calls {
					send(t, tr, request(t, "GET", http1.url("/"), "").WithContext(r.Context()))
				}
			}), c.trusted)
			req := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
			if c.credit != "" {
				req.Header.Set("X-Retry-Credit", c.credit)
			}
			if c.attempt != "" {
				req.Header.Set("X-Retry-Attempt", c.attempt)
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, req)
			if attempts != c.attempts || rec.Header().Get("X-Retry-Spent") != c.spent {
				t.Errorf("%d attempts, spent %q; want %d, %q", attempts, rec.Header().Get("X-Retry-Spent"), c.attempts, c.spent)
			}
		})
	}
}

func always(*http.Request) bool { return true }

// TestNoCreditSaysSo: the error of a call that could not be retried for want
// of the caller's credit says that, and still that it may have been carried out.
func TestNoCreditSaysSo(t *testing.T) {
	t.Parallel()
	n := http1.serve(t, dead)
	tr := http1.newTransport(t, config{}, n.addr())
	ctx, account := resilience.WithUpstream(t.Context(), resilience.Upstream{Limited: true})
	got := send(t, tr, request(t, "GET", http1.url("/"), "").WithContext(ctx))
	var e *resilience.Error
	if !errors.As(got.err, &e) || e.Why != retry.NoCredit || !strings.Contains(e.Error(), "caller's retry budget") {
		t.Errorf("%v: want one that says the caller's budget is exhausted", got.err)
	}
	if !resilience.IsAmbiguous(got.err) || account.Retries() != 0 {
		t.Errorf("ambiguous %v, %d retries; want true and none", resilience.IsAmbiguous(got.err), account.Retries())
	}
}

// dead hangs up.
func dead(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// TestCreditTravels: a low budget is told to the server, what it spends is
// taken from that budget, and a credit that a proxy has copied is not sent on.
func TestCreditTravels(t *testing.T) {
	t.Parallel()
	var credits []string
	spend := ""
	n := http1.serve(t, func(w http.ResponseWriter, r *http.Request) {
		credits = append(credits, r.Header.Get("X-Retry-Credit"))
		if spend != "" {
			w.Header().Set("X-Retry-Spent", spend)
		}
	})
	budget := resilience.BudgetSettings{Share: 1e-9, Floor: 1e-9}
	cfg := config{Services: services{host: {Settings: resilience.Settings{Budget: budget}}}}
	tr := http1.newTransport(t, cfg, n.addr()) // one retry can be saved up
	one := func(credit string) {
		req := request(t, "GET", http1.url("/"), "")
		if credit != "" {
			req.Header.Set("X-Retry-Credit", credit)
		}
		if got := send(t, tr, req); got.err != nil || got.code != 200 {
			t.Fatal(got.code, got.err)
		}
	}
	one("7")
	spend = "1"
	one("")
	one("7")
	spend = "no number"
	one("")
	if want := []string{"", "", "0", "0"}; !slices.Equal(credits, want) {
		t.Errorf("credits %q, want %q", credits, want)
	}
}

// TestServeKeepsTheWriter: a handler can flush, hijack and upgrade through it.
func TestServeKeepsTheWriter(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(httpwrap.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/flush" {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 299 Hijacked\r\nContent-Length: 0\r\n\r\n")
	}), always))
	defer s.Close()
	for path, want := range map[string]int{"/flush": 200, "/hijack": 299} {
		resp, err := http.Get(s.URL + path) //nolint:noctx // the test's own server
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
}
