package httpwrap_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// type names that the tests use all the time.
type (
	config   = httpwrap.Config
	services = map[string]resilience.Config
	settings = resilience.Settings
)

// host is the service that the tests call: a name in the test certificate.
const host = "example.com"

// proto is how a server and its clients speak.
type proto struct {
	name string
	tls  bool
	h2   bool
}

var (
	http1    = proto{name: "http1"}
	http1TLS = proto{name: "http1-tls", tls: true}
	h2c      = proto{name: "h2c", h2: true}
	h2TLS    = proto{name: "h2-tls", tls: true, h2: true}
	protos   = []proto{http1, http1TLS, h2c, h2TLS}
)

func (p proto) url(path string) string {
	if p.tls {
		return "https://" + host + path
	}
	return "http://" + host + path
}

// node is a real server on loopback. It counts its connections.
type node struct {
	*httptest.Server
	proto proto

	mu     sync.Mutex
	opened int
	open   map[net.Conn]bool
	closed chan net.Conn
}

func (p proto) serve(t testing.TB, handler http.HandlerFunc) *node {
	t.Helper()
	n := &node{proto: p, open: make(map[net.Conn]bool), closed: make(chan net.Conn, 1000)}
	n.Server = httptest.NewUnstartedServer(handler)
	n.Config.ErrorLog = log.New(io.Discard, "", 0)
	n.Config.ConnState = n.count
	n.EnableHTTP2 = p.h2
	switch {
	case p.tls:
		n.StartTLS()
	default:
		if p.h2 {
			n.Config.Protocols = new(http.Protocols)
			n.Config.Protocols.SetUnencryptedHTTP2(true)
		}
		n.Start()
	}
	t.Cleanup(n.Close)
	return n
}

func (n *node) addr() string { return n.Listener.Addr().String() }

func (n *node) count(c net.Conn, state http.ConnState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch state {
	case http.StateNew:
		n.opened++
		n.open[c] = true
	case http.StateClosed, http.StateHijacked:
		delete(n.open, c)
		n.closed <- c
	}
}

// conns returns how many connections were made, and how many are open.
func (n *node) conns() (opened, open int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.opened, len(n.open)
}

// certified trusts the test servers' certificate.
var certified = sync.OnceValue(func() *x509.CertPool {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
})

// base is a plain http.Transport as users have it.
func (p proto) base() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.Protocols = new(http.Protocols)
	switch {
	case p.h2 && p.tls:
		t.Protocols.SetHTTP2(true)
	case p.h2:
		t.Protocols.SetUnencryptedHTTP2(true)
	default:
		t.Protocols.SetHTTP1(true)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: certified()}
	return t
}

// newTransport serves host by nodes at addrs, in turn.
func (p proto) newTransport(t testing.TB, cfg config, addrs ...string) *httpwrap.Transport {
	t.Helper()
	if cfg.Base == nil {
		cfg.Base = p.base()
	}
	if cfg.Services == nil {
		cfg.Services = services{host: {}}
	}
	sc := cfg.Services[host]
	if sc.Nodes == nil && len(addrs) > 0 {
		sc.Nodes = selector.Addrs(addrs...)
	}
	if sc.Strategy == "" {
		sc.Strategy = "round-robin"
	}
	if sc.Backoff.Initial == 0 {
		sc.Backoff.Initial = -1
	}
	cfg.Services[host] = sc
	tr, err := httpwrap.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
		tr.CloseIdleConnections()
	})
	return tr
}

// answer is what came back, body read and closed.
type answer struct {
	code  int
	body  string
	head  http.Header
	facts httpwrap.Facts
	err   error
}

// send makes a request through an http.Client, and reads all of the answer.
func send(t testing.TB, rt http.RoundTripper, req *http.Request) answer {
	t.Helper()
	resp, err := (&http.Client{Transport: rt}).Do(req)
	a := answer{err: err, facts: httpwrap.Result(resp, err)}
	if err != nil {
		return a
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("body: %v", err)
	}
	a.code, a.body, a.head = resp.StatusCode, string(b), resp.Header
	return a
}

func request(t testing.TB, method, url, body string) *http.Request {
	t.Helper()
	return requestWith(t.Context(), t, method, url, body)
}

func requestWith(ctx context.Context, t testing.TB, method, url, body string) *http.Request {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, r)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// eventually waits for what another goroutine or process is about to do.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatalf("not in 10 s: %s", what)
}

// statusOf returns how the service's node at addr stands.
func statusOf(t testing.TB, tr *httpwrap.Transport, addr string) selector.Status {
	t.Helper()
	for _, s := range tr.Client(host).Selector().Nodes() {
		if s.Node.Addr == addr {
			return s
		}
	}
	t.Fatalf("no node at %s", addr)
	return selector.Status{}
}

// deadAddr is an address where nobody listens.
func deadAddr(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
