package httpwrap_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// TestHTTP2Evidence: what HTTP/2 says of a request that it did not answer.
func TestHTTP2Evidence(t *testing.T) {
	t.Parallel()
	refuse := func(c *rawConn, stream uint32, _ int) { c.reset(stream, codeRefused) }
	tests := []struct {
		name   string
		answer func(c *rawConn, stream uint32, k int)
		effect retry.Effect
		node   breaker.Result
	}{
		{"refused stream", refuse, retry.None, breaker.Failure},
		{"goaway below us", func(c *rawConn, _ uint32, _ int) { c.goAway(0, codeNo) }, retry.None, breaker.Ignored},
		{"goaway below us, with an error", func(c *rawConn, _ uint32, _ int) { c.goAway(0, codeInternal) }, retry.None, breaker.Failure},
		{"goaway below us, then closed", func(c *rawConn, _ uint32, _ int) { c.goAway(0, codeNo); c.Close() }, retry.None, breaker.Ignored},
		{"goaway above us, then closed", func(c *rawConn, s uint32, _ int) { c.goAway(s, codeNo); c.Close() }, retry.Possible, breaker.Failure},
		{"goaway above us, with an error", func(c *rawConn, s uint32, _ int) { c.goAway(s, codeInternal); c.Close() }, retry.Possible, breaker.Failure},
		{"reset: internal error", func(c *rawConn, s uint32, _ int) { c.reset(s, codeInternal) }, retry.Possible, breaker.Failure},
		{"reset: protocol error", func(c *rawConn, s uint32, _ int) { c.reset(s, codeProtocol) }, retry.Possible, breaker.Failure},
		{"closed", func(c *rawConn, _ uint32, _ int) { c.Close() }, retry.Possible, breaker.Failure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ill := newRawH2(t, tt.answer)
			well := newRawH2(t, func(c *rawConn, stream uint32, _ int) { c.ok(stream) })
			events := new(recorder)
			tr := h2c.newTransport(t, config{Services: services{host: {Observer: events}}}, ill.addr, well.addr)
			got := send(t, tr, request(t, "POST", http1.url("/"), "x"))
			first := events.of(resilience.AttemptDone)[0]
			if o := first.Outcome; o.Effect != tt.effect || o.Node != tt.node {
				t.Errorf("%v: effect %v, node %v; want %v, %v", first.Err, o.Effect, o.Node, tt.effect, tt.node)
			}
			if n := ill.requests.Load(); n != 1 {
				t.Errorf("the node got the request %d times, want once", n)
			}
			if done := tt.effect == retry.None; done != (got.err == nil) || done != (well.requests.Load() == 1) || !done != resilience.IsAmbiguous(got.err) {
				t.Errorf("%v, the other node got %d requests", got.err, well.requests.Load())
			}
		})
	}
}

// TestHTTP2KeyedIsNotReplayed: HTTP/2 sends a request without a body again
// after PROTOCOL_ERROR, though it may have been carried out. With a key, the
// call itself does that.
func TestHTTP2KeyedIsNotReplayed(t *testing.T) {
	t.Parallel()
	answer := func(c *rawConn, stream uint32, k int) {
		if k == 1 {
			c.ok(stream) // the node is known to speak HTTP/2 afterwards
			return
		}
		c.reset(stream, codeProtocol)
	}
	for _, tt := range []struct {
		method, key string
		replays     bool
	}{{"POST", "k", false}, {"GET", "", true}} {
		t.Run(tt.method, func(t *testing.T) {
			t.Parallel()
			s := newRawH2(t, answer)
			tr := h2c.newTransport(t, config{Services: with(settings{Attempts: 1})}, s.addr)
			send(t, tr, request(t, "GET", http1.url("/"), ""))
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // net/http would go on for a minute
			defer cancel()
			req := requestWith(ctx, t, tt.method, http1.url("/"), "")
			if tt.key != "" {
				req.Header.Set("Idempotency-Key", tt.key)
			}
			got := send(t, tr, req)
			if again := s.requests.Load() > 2; !resilience.IsAmbiguous(got.err) || again != tt.replays || again != (got.facts.Replays > 0) {
				t.Errorf("%v: %d requests, %d replays told", got.err, s.requests.Load()-1, got.facts.Replays)
			}
		})
	}
}

// lateConn delivers what is written and then does not return: so a goroutine
// looks that has lost its processor right after the system call.
type lateConn struct {
	net.Conn
	late    *atomic.Bool
	release <-chan struct{}
}

func (c *lateConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if c.late.Load() {
		<-c.release
	}
	return n, err
}

// TestHeadersWrittenIsNoEvidence: on HTTP/2 a request can have been carried
// out although its headers were never reported as written. A POST that times
// out then is ambiguous and not sent again.
func TestHeadersWrittenIsNoEvidence(t *testing.T) {
	t.Parallel()
	for _, p := range []proto{h2c, h2TLS} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			var effects, late atomic.Int64
			var slow atomic.Bool
			release := make(chan struct{})
			serve := func(_ http.ResponseWriter, r *http.Request) {
				if r.Method == "POST" {
					effects.Add(1)
					<-release // an answer would be taken, whatever was reported
				}
			}
			a, b := p.serve(t, serve), p.serve(t, serve)
			base := p.base()
			base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				return &lateConn{Conn: c, late: &slow, release: release}, nil
			}
			tr := p.newTransport(t, config{Base: base, Services: with(settings{AttemptTimeout: 50 * time.Millisecond})}, a.addr(), b.addr())
			for range 2 { // connections
				send(t, tr, request(t, "GET", p.url("/"), ""))
			}
			slow.Store(true)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { late.Add(1) }})
			got := send(t, tr, requestWith(ctx, t, "POST", p.url("/"), ""))
			if late.Load() != 0 {
				t.Error("headers were reported as written: the case was not met")
			}
			if effects.Load() != 1 || !resilience.IsAmbiguous(got.err) || got.facts.Attempts != 1 {
				t.Errorf("%d effects, %d attempts, %v; want one, and doubt", effects.Load(), got.facts.Attempts, got.err)
			}
			close(release)
			slow.Store(false)
		})
	}
}

// TestShutdownIsDrain: a server that leaves in good order (GOAWAY on HTTP/2,
// Connection: close on HTTP/1) finishes what it has, gets nothing new, and is
// not held to have failed; callers notice nothing.
func TestShutdownIsDrain(t *testing.T) {
	t.Parallel()
	for _, p := range protos {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			arrived, finish := make(chan struct{}), make(chan struct{})
			leaving := p.serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					close(arrived)
					<-finish
				}
			})
			staying := p.serve(t, func(http.ResponseWriter, *http.Request) {})
			tr := p.newTransport(t, config{}, leaving.addr(), staying.addr())
			var calls sync.WaitGroup
			calls.Go(func() {
				if got := send(t, tr, request(t, "POST", p.url("/slow"), "x")); got.err != nil || got.code != 200 || got.facts.Attempts != 1 {
					t.Errorf("in flight at the shutdown: %v, %+v", got.err, got.facts)
				}
			})
			<-arrived
			var down sync.WaitGroup
			down.Go(func() {
				if err := leaving.Config.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
			eventually(t, "listener closed", func() bool {
				c, err := new(net.Dialer).DialContext(t.Context(), "tcp", leaving.addr())
				if err == nil {
					c.Close()
				}
				return err != nil
			})
			close(finish)
			calls.Wait()
			if s := statusOf(t, tr, leaving.addr()); s.Failures != 0 {
				t.Errorf("%d failures at the node that leaves in good order", s.Failures)
			}
			for range 20 {
				if got := send(t, tr, request(t, "POST", p.url("/"), "x")); got.err != nil || got.code != 200 {
					t.Errorf("after the shutdown: %v", got.err)
				}
			}
			down.Wait()
		})
	}
}

// TestConnectionClose: a node that closes after each response is well.
func TestConnectionClose(t *testing.T) {
	t.Parallel()
	n := http1.serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	tr := http1.newTransport(t, config{}, n.addr())
	for range 5 {
		if got := send(t, tr, request(t, "POST", http1.url("/"), "x")); got.err != nil || got.facts.Attempts != 1 {
			t.Errorf("%v, %+v", got.err, got.facts)
		}
	}
	if opened, _ := n.conns(); opened != 5 || statusOf(t, tr, n.addr()).Failures != 0 {
		t.Errorf("%d connections, %d failures; want 5 and none", opened, statusOf(t, tr, n.addr()).Failures)
	}
}

// TestUploadGoesOn: on HTTP/2 a response may end before its request does, and
// then the rest of the upload is not cut off.
func TestUploadGoesOn(t *testing.T) {
	t.Parallel()
	uploaded := make(chan struct{})
	s := newRawH2(t, func(*rawConn, uint32, int) { close(uploaded) })
	s.early = func(c *rawConn, stream uint32) { c.ok(stream) }
	tr := h2c.newTransport(t, config{Services: with(settings{AttemptTimeout: time.Minute})}, s.addr)
	pr, pw := io.Pipe()
	req := request(t, "PUT", http1.url("/"), "")
	req.Body = pr
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); len(b) != 0 || err != nil {
		t.Fatal(b, err)
	}
	for range 3 {
		if _, err := io.WriteString(pw, "more"); err != nil {
			t.Fatal(err)
		}
	}
	_ = pw.Close()
	<-uploaded
	resp.Body.Close()
}
