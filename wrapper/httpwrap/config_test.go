package httpwrap_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// closing is a source that notes its end.
type closing struct {
	selector.Source
	closed int
}

func (c *closing) Close() error {
	c.closed++
	return c.Source.Close()
}

// TestEverythingWrongAtOnce: one error, with each field and what it takes;
// and the sources are not left open.
func TestEverythingWrongAtOnce(t *testing.T) {
	t.Parallel()
	nodes := &closing{Source: selector.Addrs("a:1")}
	_, err := httpwrap.New(config{
		Services: services{
			"":              {},
			"http://users/": {},
			"a b":           {},
			"users":         {Nodes: nodes, Settings: settings{Attempts: -1, Timeout: -1}},
			"USERS":         {},
			"orders":        {Fallback: func(context.Context, *resilience.Call, error) error { return nil }},
		},
		Base:          &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return nil, nil }},
		DrainTime:     -time.Second,
		MaxRetryAfter: -1,
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`services[""]`, `services["http://users/"]`, `services["a b"]`, `"users" or "users:8080"`,
		`services["users"]: attempts -1`, `timeout -1ns`, `the same host as services["USERS"]`,
		`services["orders"]: fallback`, `DialTLSContext`, `drainTime -1s`, `maxRetryAfter -1ns`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %s in:\n%v", want, err)
		}
	}
	for line := range strings.Lines(err.Error()) {
		if !strings.HasPrefix(line, "httpwrap: ") || strings.Contains(line, "1ns") && !strings.Contains(line, `services["users"]: `) && !strings.Contains(line, "maxRetryAfter") {
			t.Errorf("a line that does not say where: %s", line)
		}
	}
	if nodes.closed != 1 {
		t.Errorf("source closed %d times, want once", nodes.closed)
	}
}

// TestSourceFails: what was begun is ended.
func TestSourceFails(t *testing.T) {
	t.Parallel()
	first, last := &closing{Source: selector.Addrs("a:1")}, &closing{Source: selector.Addrs("a:1")}
	_, err := httpwrap.New(config{Services: services{
		"a": {Nodes: first},
		"b": {Nodes: selector.Addrs("x:1", "x:1")}, // a duplicate
		"c": {Nodes: last},
	}})
	if err == nil || !strings.Contains(err.Error(), `services["b"]`) || first.closed != 1 || last.closed != 1 {
		t.Errorf("%v; sources closed %d and %d times", err, first.closed, last.closed)
	}
}

// TestNilTransport: a typed nil is no default.
func TestNilTransport(t *testing.T) {
	t.Parallel()
	if _, err := httpwrap.New(config{Base: (*http.Transport)(nil), Services: services{"a": {}}}); err == nil || !strings.Contains(err.Error(), "nil *http.Transport") {
		t.Error(err)
	}
	if _, err := httpwrap.NewService("not a host"); err == nil {
		t.Error("no error")
	}
}

// TestSettingsLive: thresholds and statistics are at hand while it runs.
func TestSettingsLive(t *testing.T) {
	t.Parallel()
	n := http1.serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	tr := http1.newTransport(t, config{}, n.addr())
	s := tr.Client(host).Settings()
	s.Attempts = 2
	if err := tr.Client(host).Update(s); err != nil {
		t.Fatal(err)
	}
	if got := send(t, tr, request(t, "GET", http1.url("/"), "")); got.facts.Attempts != 2 {
		t.Errorf("%d attempts, want 2", got.facts.Attempts)
	}
}

// TestBaseKeepsItsWays: HTTP/2 is spoken where the user's own transport would.
func TestBaseKeepsItsWays(t *testing.T) {
	t.Parallel()
	n := h2TLS.serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Proto)) })
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	for name, tt := range map[string]struct {
		base *http.Transport
		want string
	}{
		"everything default": {&http.Transport{}, "HTTP/2.0"},
		"asked for":          {&http.Transport{ForceAttemptHTTP2: true, DialContext: dial}, "HTTP/2.0"},
		"own dialer":         {&http.Transport{DialContext: dial}, "HTTP/1.1"},
		"old dialer":         {&http.Transport{Dial: func(n, a string) (net.Conn, error) { return dial(context.Background(), n, a) }}, "HTTP/1.1"}, //nolint:staticcheck // SA1019: users still set it
		"switched off":       {&http.Transport{TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}, "HTTP/1.1"},
	} {
		if tt.base.TLSClientConfig == nil && name != "everything default" {
			tt.base.TLSClientConfig = &tls.Config{RootCAs: certified()}
		} else {
			tt.base.Clone() // settles HTTP/2, as its first request would
			tt.base.TLSClientConfig.RootCAs = certified()
		}
		tr := h2TLS.newTransport(t, config{Base: tt.base}, n.addr())
		if got := send(t, tr, request(t, "GET", h2TLS.url("/"), "")); got.body != tt.want {
			t.Errorf("%s: %q, %v; want %q", name, got.body, got.err, tt.want)
		}
	}
}
