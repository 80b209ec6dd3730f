package httpwrap_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// TestEjectionDropsConnections: of the ejected node, and of no other; what is
// in flight there ends as it would, and its connection is not used again.
func TestEjectionDropsConnections(t *testing.T) {
	t.Parallel()
	for _, p := range protos {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			finish := make(chan struct{})
			serve := func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					_ = http.NewResponseController(w).Flush()
					<-finish
					_, _ = io.WriteString(w, "done")
				}
			}
			ill, well := p.serve(t, serve), p.serve(t, serve)
			tr := p.newTransport(t, config{}, ill.addr(), well.addr())
			sel := tr.Client(host).Selector()
			ready := func(yes bool) {
				if err := sel.SetReady(well.addr(), yes); err != nil {
					t.Fatal(err)
				}
			}
			for range 6 {
				send(t, tr, request(t, "GET", p.url("/"), ""))
			}
			before, _ := well.conns()
			ready(false)
			resp, err := tr.RoundTrip(request(t, "GET", p.url("/slow"), ""))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			send(t, tr, request(t, "GET", p.url("/"), "")) // HTTP/1: a second connection, idle then
			ready(true)
			if err := sel.Eject(ill.addr(), "by hand"); err != nil {
				t.Fatal(err)
			}
			eventually(t, "only the connection in use is left", func() bool { _, open := ill.conns(); return open == 1 })
			for range 5 {
				if got := send(t, tr, request(t, "GET", p.url("/"), "")); got.err != nil {
					t.Fatal(got.err)
				}
			}
			close(finish)
			if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "done" {
				t.Errorf("what was in flight got %q, %v", b, err)
			}
			resp.Body.Close()
			eventually(t, "that one is gone too", func() bool { _, open := ill.conns(); return open == 0 })
			if err := sel.Readmit(ill.addr(), ""); err != nil {
				t.Fatal(err)
			}
			ready(false)
			old, _ := ill.conns()
			for range 10 {
				send(t, tr, request(t, "GET", p.url("/"), ""))
			}
			if opened, _ := ill.conns(); opened-old > 2 {
				t.Errorf("%d connections for 10 calls after the readmission", opened-old)
			}
			if opened, open := well.conns(); opened != before || open == 0 {
				t.Errorf("the other node: %d opened, %d before, %d open; want no change", opened, before, open)
			}
		})
	}
}

// source is a selector.Source that a test changes.
type source struct{ report func([]selector.Node, error) }

func (s *source) Watch(report func([]selector.Node, error)) error {
	s.report = report
	return nil
}
func (s *source) Close() error { return nil }

func (s *source) set(addrs ...string) {
	var nodes []selector.Node
	for _, a := range addrs {
		nodes = append(nodes, selector.Node{Addr: a})
	}
	s.report(nodes, nil)
}

// TestConnectionsFollowTheSet: they stay with nodes that stay, and go with
// those that leave.
func TestConnectionsFollowTheSet(t *testing.T) {
	t.Parallel()
	serve := func(http.ResponseWriter, *http.Request) {}
	a, b := http1.serve(t, serve), http1.serve(t, serve)
	nodes := new(source)
	tr := http1.newTransport(t, config{Services: services{host: {Nodes: nodes}}})
	call := func() {
		for range 4 {
			if got := send(t, tr, request(t, "GET", http1.url("/"), "")); got.err != nil {
				t.Fatal(got.err)
			}
		}
	}
	nodes.set(a.addr(), b.addr())
	call()
	nodes.set(b.addr(), a.addr(), deadAddr(t))
	call()
	if opened, _ := a.conns(); opened != 1 {
		t.Errorf("%d connections to a node that stayed, want 1", opened)
	}
	nodes.set(a.addr())
	eventually(t, "no connection to the node that left", func() bool { _, open := b.conns(); return open == 0 })
	call()
	if opened, open := a.conns(); opened != 1 || open != 1 {
		t.Errorf("the node that stayed: %d opened, %d open", opened, open)
	}
}

// TestDiscardedResponsesAreClosed is failsafe-go's defect: of the responses
// that were not returned two of three stayed open, and 30 requests took 21
// connections.
func TestDiscardedResponsesAreClosed(t *testing.T) {
	t.Parallel()
	for _, p := range protos {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			page := bytes.Repeat([]byte("x"), 10_000)
			ill := p.serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(500)
				_, _ = w.Write(page)
			})
			well := p.serve(t, func(http.ResponseWriter, *http.Request) {})
			bodies := &counting{rt: p.base()}
			tr := p.newTransport(t, config{Base: bodies, DrainTime: time.Minute, Services: with(settings{
				Ejection: resilience.EjectionSettings{Off: true}, Budget: resilience.BudgetSettings{Share: -1},
			})}, ill.addr(), well.addr())
			direct := p.newTransport(t, config{DrainTime: time.Minute, Services: with(settings{
				Ejection: resilience.EjectionSettings{Off: true}, Budget: resilience.BudgetSettings{Share: -1},
			})}, ill.addr(), well.addr())
			for range 30 {
				for _, rt := range []http.RoundTripper{tr, direct} {
					if got := send(t, rt, request(t, "GET", p.url("/"), "")); got.code != 200 && !p.tls {
						t.Fatal(got.code, got.err) // a foreign RoundTripper does not know the server's name
					}
				}
				eventually(t, "discarded responses are closed", func() bool {
					return bodies.opened.Load() == bodies.closed.Load() && statusOf(t, direct, ill.addr()).InFlight == 0
				})
			}
			direct.CloseIdleConnections()
			if opened, _ := ill.conns(); opened > 2 {
				t.Errorf("%d connections to the ill node, want one for each transport", opened)
			}
		})
	}
}

// counting counts the bodies that are opened and closed.
type counting struct {
	rt             http.RoundTripper
	opened, closed atomic.Int64
}

func (c *counting) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.rt.RoundTrip(req)
	if err == nil {
		c.opened.Add(1)
		resp.Body = &countedBody{resp.Body, sync.OnceFunc(func() { c.closed.Add(1) })}
	}
	return resp, err
}

type countedBody struct {
	io.ReadCloser
	closed func()
}

func (b *countedBody) Close() error {
	b.closed()
	return b.ReadCloser.Close()
}

// TestProxy: nodes have addresses, and need none; other hosts do.
func TestProxy(t *testing.T) {
	t.Parallel()
	proxy := http1.serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "proxy") })
	n := http1.serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "node "+r.RequestURI) })
	base := http1.base()
	base.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy.URL) }
	tr := http1.newTransport(t, config{Base: base}, n.addr())
	for to, want := range map[string]string{http1.url("/"): "node /", "http://elsewhere.test/": "proxy"} {
		if got := send(t, tr, request(t, "GET", to, "")); got.body != want {
			t.Errorf("%s: %q, %v; want %q", to, got.body, got.err, want)
		}
	}
}

// TestCloseDropsConnections: all of them, where the Base is our own.
func TestCloseDropsConnections(t *testing.T) {
	t.Parallel()
	serve := func(http.ResponseWriter, *http.Request) {}
	ours, foreign := http1.serve(t, serve), http1.serve(t, serve)
	tr, err := httpwrap.NewService(host, ours.addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{http1.url("/"), foreign.URL} {
		if got := send(t, tr, request(t, "GET", url, "")); got.err != nil {
			t.Fatal(got.err)
		}
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*node{ours, foreign} {
		eventually(t, "connections closed", func() bool { _, open := n.conns(); return open == 0 })
	}
}

// TestRetiredConnectionIsClosed when what is in flight on it has ended,
// however late.
func TestRetiredConnectionIsClosed(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, w *world) {
		w.serve("a:1", func(rw http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(rw).Flush()
			pause(r, 20*time.Second)
		})
		tr := w.transport(config{}, "a:1")
		time.AfterFunc(time.Second, func() {
			if err := tr.Client(host).Selector().Eject("a:1", ""); err != nil {
				t.Error(err)
			}
		})
		if got := send(t, tr, request(t, "GET", http1.url("/"), "")); got.code != 200 || w.elapsed() != 20*time.Second {
			t.Errorf("%d, %v after %v", got.code, got.err, w.elapsed())
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.open) != 0 {
			t.Errorf("%d connections are open", len(w.open))
		}
	})
}
