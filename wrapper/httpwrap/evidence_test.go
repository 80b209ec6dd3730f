package httpwrap_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// TestNeverSent: without a connection, a POST goes to another node and the
// error, if all fail, has no doubt.
func TestNeverSent(t *testing.T) {
	t.Parallel()
	fail := func(err error) func(*http.Transport) {
		return func(b *http.Transport) {
			b.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, err }
		}
	}
	for _, tt := range []struct {
		name  string
		spoil func(*http.Transport)
		proto proto
		is    func(error) bool
	}{
		{"refused", func(*http.Transport) {}, http1, func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }},
		{"name", fail(&net.DNSError{Err: "no such host", Name: host, IsNotFound: true}), http1, func(err error) bool { _, ok := find[*net.DNSError](err); return ok }},
		{"no route", fail(&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}), http1, func(err error) bool { return errors.Is(err, syscall.EHOSTUNREACH) }},
		{"a dialer's own error", fail(io.ErrUnexpectedEOF), http1, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"unknown authority", func(b *http.Transport) { b.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()} }, h2TLS, func(err error) bool { _, ok := find[*tls.CertificateVerificationError](err); return ok }},
		{"no common protocol", func(b *http.Transport) { b.TLSClientConfig.MaxVersion = tls.VersionTLS11 }, h2TLS, func(err error) bool { return strings.Contains(err.Error(), "tls") }},
		{"no TLS there", func(*http.Transport) {}, http1TLS, func(err error) bool { _, ok := find[tls.RecordHeaderError](err); return ok }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			addr := deadAddr(t)
			switch tt.name {
			case "unknown authority", "no common protocol":
				addr = h2TLS.serve(t, func(http.ResponseWriter, *http.Request) { t.Error("served") }).addr()
			case "no TLS there":
				addr = http1.serve(t, func(http.ResponseWriter, *http.Request) {}).addr()
			}
			base := tt.proto.base()
			tt.spoil(base)
			events := new(recorder)
			tr := tt.proto.newTransport(t, config{Base: base, Services: services{host: {Observer: events}}}, addr)
			got := send(t, tr, request(t, "POST", tt.proto.url("/"), "x"))
			if got.err == nil || !tt.is(got.err) || resilience.IsAmbiguous(got.err) || got.facts.Attempts != 3 {
				t.Errorf("%v, %+v; want three attempts and no doubt", got.err, got.facts)
			}
			if o := lastAttempt(events).Outcome; o.Effect != retry.None || o.Node != breaker.Failure {
				t.Errorf("%+v, want not sent", o)
			}
		})
	}
}

// TestLostReplies: once there was a connection nothing is certain; a POST is
// not repeated, and a GET is.
func TestLostReplies(t *testing.T) {
	t.Parallel()
	for _, p := range protos {
		for name, lose := range map[string]func(http.ResponseWriter){
			"closed": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
			"reset": func(w http.ResponseWriter) {
				c, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					panic(http.ErrAbortHandler) // HTTP/2 resets the stream
				}
				if tcp, ok := c.(*net.TCPConn); ok {
					_ = tcp.SetLinger(0)
				}
				c.Close()
			},
		} {
			t.Run(p.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				var effects atomic.Int64
				ill := p.serve(t, func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					effects.Add(1)
					lose(w)
				})
				well := p.serve(t, func(http.ResponseWriter, *http.Request) { effects.Add(1) })
				for method, want := range map[string]int{"POST": 1, "GET": 2} {
					tr := p.newTransport(t, config{}, ill.addr(), well.addr())
					effects.Store(0)
					got := send(t, tr, request(t, method, p.url("/"), "x"))
					if int(effects.Load()) != want || got.facts.Attempts != want || got.facts.Ambiguous != (want == 1) || (got.err != nil) != (want == 1) {
						t.Errorf("%s: %d effects, %v, %+v; want %d", method, effects.Load(), got.err, got.facts, want)
					}
				}
			})
		}
	}
}

// TestResponseIsCut: what breaks after the headers is the caller's to see; the
// node has answered.
func TestResponseIsCut(t *testing.T) {
	t.Parallel()
	for _, p := range protos {
		n := p.serve(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})
		tr := p.newTransport(t, config{}, n.addr())
		resp, err := tr.RoundTrip(request(t, "GET", p.url("/"), ""))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(b) != "half" || err == nil {
			t.Errorf("%s: read %q, %v; want half, and an error", p.name, b, err)
		}
		if s := statusOf(t, tr, n.addr()); s.Failures != 0 || s.InFlight != 0 {
			t.Errorf("%s: %+v", p.name, s)
		}
	}
}

// TestForeignRoundTripper: of one of which nothing is known, only errors are
// evidence.
func TestForeignRoundTripper(t *testing.T) {
	t.Parallel()
	var heard []string
	var fail error
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		heard = append(heard, r.URL.Host+" "+r.Host)
		return nil, fail
	})
	tr := http1.newTransport(t, config{Base: base}, "a:1", "b")
	for _, tt := range []struct {
		err      error
		attempts int
	}{
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, 3},
		{&net.DNSError{}, 3},
		{errors.New("no idea"), 1},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, 1},
	} {
		heard, fail = nil, tt.err
		got := send(t, tr, request(t, "POST", "http://"+host+":81/", "x"))
		if !errors.Is(got.err, tt.err) || len(heard) != tt.attempts || got.facts.Ambiguous != (tt.attempts == 1) {
			t.Errorf("%v: %d attempts, want %d; %+v", tt.err, len(heard), tt.attempts, got.facts)
		}
		for _, h := range heard {
			if h != "a:1 example.com:81" && h != "b:81 example.com:81" {
				t.Errorf("addressed as %q", h)
			}
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestFaultyRequest: what net/http refuses to send is tried once, and no node
// is blamed for it.
func TestFaultyRequest(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*http.Request){
		"header":  func(r *http.Request) { r.Header["no good"] = []string{"x"} },
		"value":   func(r *http.Request) { r.Header["X"] = []string{"a\nb"} },
		"trailer": func(r *http.Request) { r.Trailer = http.Header{"no good": {"x"}} },
		"scheme":  func(r *http.Request) { r.URL.Scheme = "ftp" },
		"method":  func(r *http.Request) { r.Method = "NO GOOD" },
	} {
		n := http1.serve(t, func(http.ResponseWriter, *http.Request) { t.Error("served") })
		tr := http1.newTransport(t, config{}, n.addr())
		req := request(t, "GET", http1.url("/"), "")
		spoil(req)
		resp, err := tr.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		if f := httpwrap.Result(resp, err); err == nil || f.Attempts != 1 || f.Ambiguous || f.Why != retry.Final {
			t.Errorf("%s: %v, %+v; want one attempt and no doubt", name, err, f)
		}
		if s := statusOf(t, tr, n.addr()); s.Failures != 0 {
			t.Errorf("%s: the node is blamed", name)
		}
	}
}

// TestCallersTrace: hooks of the caller's own are called as ever, and ours are
// not left in the response.
func TestCallersTrace(t *testing.T) {
	t.Parallel()
	for _, p := range protos {
		n := p.serve(t, func(http.ResponseWriter, *http.Request) {})
		tr := p.newTransport(t, config{}, deadAddr(t), n.addr())
		var got, first, dials, wrote atomic.Int64
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn:              func(httptrace.GotConnInfo) { got.Add(1) },
			GotFirstResponseByte: func() { first.Add(1) },
			ConnectStart:         func(string, string) { dials.Add(1) },
			WroteRequest:         func(httptrace.WroteRequestInfo) { wrote.Add(1) },
		})
		resp, err := tr.RoundTrip(requestWith(ctx, t, "GET", p.url("/"), ""))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got.Load() != 1 || first.Load() != 1 || dials.Load() != 2 || wrote.Load() != 1 {
			t.Errorf("%s: %d connections, %d responses, %d dials, %d requests told; want 1, 1, 2, 1", p.name, got.Load(), first.Load(), dials.Load(), wrote.Load())
		}
		if tr := httptrace.ContextClientTrace(resp.Request.Context()); tr != httptrace.ContextClientTrace(ctx) {
			t.Errorf("%s: the response carries hooks that are not the caller's", p.name)
		}
		resp, err = tr.RoundTrip(requestWith(t.Context(), t, "GET", p.url("/"), ""))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if httptrace.ContextClientTrace(resp.Request.Context()) != nil {
			t.Errorf("%s: the response carries hooks", p.name)
		}
	}
}

// TestWrappersContext: values that wrappers add reach the transport, and the
// call ends when theirs does.
func TestWrappersContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	add := func(next resilience.Func) resilience.Func {
		return func(ctx context.Context, call *resilience.Call) error {
			return next(context.WithValue(ctx, key{}, "span"), call)
		}
	}
	var seen any
	base := http1.base()
	base.OnProxyConnectResponse = nil
	n := http1.serve(t, func(http.ResponseWriter, *http.Request) {})
	rt := roundTripper(func(r *http.Request) (*http.Response, error) {
		seen = r.Context().Value(key{})
		return base.RoundTrip(r)
	})
	tr := http1.newTransport(t, config{Base: rt, Services: services{host: {WrapAttempt: []resilience.Wrapper{add}}}}, n.addr())
	if got := send(t, tr, request(t, "GET", http1.url("/"), "")); got.err != nil || seen != "span" {
		t.Errorf("%v, saw %v", got.err, seen)
	}
}

// TestWrappersDecide: an error of theirs goes before a response, and one that
// they take away leaves it.
func TestWrappersDecide(t *testing.T) {
	t.Parallel()
	errOwn := errors.New("a wrapper's own")
	n := http1.serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(len(r.URL.Path) * 100) })
	for _, tt := range []struct {
		name string
		path string
		wrap func(error) error
		code int
		err  error
	}{
		{"takes an answer away", "/x", func(error) error { return errOwn }, 0, errOwn},
		{"wraps a failure", "/xxx", func(err error) error { return fmt.Errorf("%w, it says", err) }, 400, nil},
		{"hides a failure", "/xxx", func(error) error { return nil }, 400, nil},
		{"replaces a failure", "/xxx", func(error) error { return errOwn }, 0, errOwn},
	} {
		wrap := func(next resilience.Func) resilience.Func {
			return func(ctx context.Context, call *resilience.Call) error { return tt.wrap(next(ctx, call)) }
		}
		tr := http1.newTransport(t, config{Services: services{host: {WrapAttempt: []resilience.Wrapper{wrap}, Settings: settings{Attempts: 1}}}}, n.addr())
		got := send(t, tr, request(t, "GET", http1.url(tt.path), ""))
		if got.code != tt.code || !errors.Is(got.err, tt.err) {
			t.Errorf("%s: %d, %v; want %d, %v", tt.name, got.code, got.err, tt.code, tt.err)
		}
		eventually(t, "nothing in flight", func() bool { return statusOf(t, tr, n.addr()).InFlight == 0 })
	}
	short := func(resilience.Func) resilience.Func {
		return func(context.Context, *resilience.Call) error { return nil }
	}
	tr := http1.newTransport(t, config{Services: services{host: {Wrap: []resilience.Wrapper{short}}}}, n.addr())
	if got := send(t, tr, request(t, "GET", http1.url("/"), "")); !errors.Is(got.err, httpwrap.ErrNoResponse) || got.facts.Attempts != 0 {
		t.Errorf("%v; want ErrNoResponse", got.err)
	}
}
