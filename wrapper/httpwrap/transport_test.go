package httpwrap_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// TestAddressedAsTheURLSays: attempts go to the nodes, and a node is told
// nothing of that: Host, server name and certificate are the service's.
func TestAddressedAsTheURLSays(t *testing.T) {
	t.Parallel()
	for _, p := range protos {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			handler := func(w http.ResponseWriter, r *http.Request) {
				name := ""
				if r.TLS != nil {
					name = r.TLS.ServerName
				}
				fmt.Fprintf(w, "%s %s %q %s", r.Host, r.Proto, name, r.URL.Path)
			}
			a, b := p.serve(t, handler), p.serve(t, handler)
			tr := p.newTransport(t, config{}, a.addr(), b.addr())
			want := map[proto]string{
				http1:    `example.com HTTP/1.1 "" /x`,
				http1TLS: `example.com HTTP/1.1 "example.com" /x`,
				h2c:      `example.com HTTP/2.0 "" /x`,
				h2TLS:    `example.com HTTP/2.0 "example.com" /x`,
			}[p]
			for range 4 {
				if got := send(t, tr, request(t, "GET", p.url("/x"), "")); got.body != want || got.err != nil {
					t.Fatalf("served %q (%v), want %q", got.body, got.err, want)
				}
			}
			for _, n := range []*node{a, b} {
				if opened, _ := n.conns(); opened != 1 {
					t.Errorf("%d connections to a node, want 1, used again", opened)
				}
			}
		})
	}
}

// TestOwnHost: a Host of the request's own goes before the URL's.
func TestOwnHost(t *testing.T) {
	t.Parallel()
	n := http1.serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })
	for name, base := range map[string]http.RoundTripper{"transport": http1.base(), "foreign": foreign{http1.base()}} {
		tr := http1.newTransport(t, config{Base: base}, n.addr())
		req := request(t, "GET", http1.url("/"), "")
		if got := send(t, tr, req.Clone(t.Context())); got.body != host {
			t.Errorf("%s: served as %q, want %q", name, got.body, host)
		}
		req.Host = "virtual"
		if got := send(t, tr, req); got.body != "virtual" {
			t.Errorf("%s: served as %q, want the request's own Host", name, got.body)
		}
	}
}

// foreign is a RoundTripper of which nothing is known.
type foreign struct{ rt http.RoundTripper }

func (f foreign) RoundTrip(req *http.Request) (*http.Response, error) { return f.rt.RoundTrip(req) }

// TestDeadNode: callers do not notice a node that is down, whatever the
// method, for nothing was sent there.
func TestDeadNode(t *testing.T) {
	t.Parallel()
	for _, p := range protos {
		for _, method := range []string{"GET", "POST", "PATCH"} {
			t.Run(p.name+"/"+method, func(t *testing.T) {
				t.Parallel()
				var effects atomic.Int64
				alive := p.serve(t, func(_ http.ResponseWriter, r *http.Request) {
					if b, _ := io.ReadAll(r.Body); string(b) == "once" {
						effects.Add(1)
					}
				})
				tr := p.newTransport(t, config{}, deadAddr(t), alive.addr())
				const calls = 20
				retried := 0
				for range calls {
					got := send(t, tr, request(t, method, p.url("/"), "once"))
					if got.err != nil || got.code != 200 {
						t.Fatal(got.err, got.code)
					}
					retried += got.facts.Attempts - 1
				}
				if effects.Load() != calls || retried == 0 {
					t.Errorf("%d effects of %d calls, %d retries; want one each, and some", effects.Load(), calls, retried)
				}
			})
		}
	}
}

// TestAllNodesDead: the error names what happened, and that nothing was done.
func TestAllNodesDead(t *testing.T) {
	t.Parallel()
	tr := http1.newTransport(t, config{}, deadAddr(t), deadAddr(t))
	got := send(t, tr, request(t, "POST", http1.url("/"), "x"))
	var e *resilience.Error
	if !errors.As(got.err, &e) || e.Ambiguous() || resilience.IsAmbiguous(got.err) || len(e.Attempts) != 3 {
		t.Fatalf("%v: want three attempts of which none did anything", got.err)
	}
	if f := got.facts; f.Ambiguous || f.Attempts != 3 || f.Why != retry.Exhausted || f.Service != host || f.Method != "POST" || len(f.History) != 3 {
		t.Errorf("facts %+v", f)
	}
	for _, a := range e.Attempts {
		if a.Outcome.Name != resilience.NotSent.Name || a.Outcome.Effect != retry.None {
			t.Errorf("outcome %+v, want not sent", a.Outcome)
		}
	}
}

// TestPassesThrough: hosts that are not configured, and what net/http itself
// finds fault with, are none of our business.
func TestPassesThrough(t *testing.T) {
	t.Parallel()
	var attempts atomic.Int64
	n := http1.serve(t, func(w http.ResponseWriter, r *http.Request) {
		attempts.Add(1)
		if r.Header.Get("Idempotency-Key") != "as it was" {
			t.Error("the key is gone")
		}
		w.WriteHeader(503)
	})
	tr := http1.newTransport(t, config{AssumeServerDeduplicates: true}, deadAddr(t))
	req := request(t, "POST", n.URL, "x")
	req.Header.Set("Idempotency-Key", "as it was")
	got := send(t, tr, req)
	if got.code != 503 || attempts.Load() != 1 || got.facts.Service != "" || got.facts.Attempts != 0 {
		t.Errorf("%d after %d attempts, facts %+v: want the server's own answer", got.code, attempts.Load(), got.facts)
	}
	if _, err := tr.RoundTrip(&http.Request{}); err == nil { //nolint:bodyclose // there is none
		t.Error("a request without URL: no error")
	}
	empty, err := httpwrap.New(httpwrap.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close() //nolint:errcheck // it has no services
	if empty.Client("anything") != nil {
		t.Error("the zero Config has services")
	}
}

// TestRedirectToForeignHost: a service may send its clients elsewhere.
func TestRedirectToForeignHost(t *testing.T) {
	t.Parallel()
	elsewhere := http1.serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "elsewhere") })
	n := http1.serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) })
	tr := http1.newTransport(t, config{}, n.addr())
	if got := send(t, tr, request(t, "GET", http1.url("/"), "")); got.body != "elsewhere" {
		t.Errorf("%q, %v: want to be led elsewhere", got.body, got.err)
	}
}

// TestServiceByHost: with and without port, whatever the case.
func TestServiceByHost(t *testing.T) {
	t.Parallel()
	say := func(s string) *node {
		return http1.serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) })
	}
	named, ported := say("named"), say("ported")
	tr, err := httpwrap.New(config{Services: services{
		"Users":      {Nodes: selector.Addrs(named.addr())},
		"users:8080": {Nodes: selector.Addrs(ported.addr())},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close() //nolint:errcheck // its nodes are static
	for url, want := range map[string]string{
		"http://users/": "named", "http://USERS/": "named", "http://users:80/": "named", "http://users:81/": "named",
		"http://users:8080/": "ported", "http://Users:8080/": "ported",
	} {
		if got := send(t, tr, request(t, "GET", url, "")); got.body != want {
			t.Errorf("%s: %q, %v; want %q", url, got.body, got.err, want)
		}
	}
	if tr.Client("users") == nil || tr.Client("USERS:1") != tr.Client("users") || tr.Client("users:8080") == tr.Client("users") || tr.Client("else") != nil {
		t.Error("Client finds other services than URLs do")
	}
}

// TestOneNode: without addresses the node is what the host resolves to, and a
// retry takes a new connection, which may lead elsewhere.
func TestOneNode(t *testing.T) {
	t.Parallel()
	var conns []string
	n := http1.serve(t, func(w http.ResponseWriter, r *http.Request) {
		conns = append(conns, r.RemoteAddr)
		if len(conns) == 2 {
			w.WriteHeader(500)
		}
	})
	at := strings.TrimPrefix(n.URL, "http://")
	tr, err := httpwrap.NewService(at)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close() //nolint:errcheck // its nodes are static
	for range 2 {    // the second has to be tried again
		if got := send(t, tr, request(t, "GET", n.URL, "")); got.code != 200 {
			t.Fatal(got.code, got.err)
		}
	}
	if len(conns) != 3 || conns[0] != conns[1] || conns[1] == conns[2] {
		t.Errorf("attempts came from %q: want the second call's first attempt on the connection of the first call, and its retry on another", conns)
	}
}

// TestAttemptNumber: the attempt's number travels, from the second on, and a
// caller's own header is left alone on the first.
func TestAttemptNumber(t *testing.T) {
	t.Parallel()
	var seen []string
	n := http1.serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("X-Retry-Attempt"))
		w.WriteHeader(500)
	})
	tr := http1.newTransport(t, config{}, n.addr())
	req := request(t, "GET", http1.url("/"), "")
	req.Header.Set("X-Retry-Attempt", "outer")
	send(t, tr, req)
	if want := []string{"outer", "2", "3"}; !slices.Equal(seen, want) {
		t.Errorf("X-Retry-Attempt %q, want %q", seen, want)
	}
	if req.Header.Get("X-Retry-Attempt") != "outer" {
		t.Error("the request was changed")
	}
}

// TestAfterClose: calls to services fail at once and close their bodies.
func TestAfterClose(t *testing.T) {
	t.Parallel()
	n := http1.serve(t, func(http.ResponseWriter, *http.Request) {})
	tr := http1.newTransport(t, config{}, n.addr())
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	body := &tracked{Reader: strings.NewReader("x")}
	req := request(t, "POST", http1.url("/"), "")
	req.Body = body
	got := send(t, tr, req)
	if !errors.Is(got.err, selector.ErrClosed) || body.closed.Load() != 1 {
		t.Errorf("%v, body closed %d times; want selector.ErrClosed, and once", got.err, body.closed.Load())
	}
}

// tracked is a body that counts who closes it.
type tracked struct {
	io.Reader
	closed atomic.Int64
}

func (b *tracked) Close() error {
	b.closed.Add(1)
	return nil
}
