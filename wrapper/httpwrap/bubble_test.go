package httpwrap_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

const ms = time.Millisecond

// world is a set of servers in memory, in a synctest bubble: real net/http on
// both ends, and time that only passes when nothing else happens.
type world struct {
	t     *testing.T
	proto proto
	mu    sync.Mutex
	hosts map[string]*pipeListener
	open  map[net.Conn]bool // connections, as servers see them
	begin time.Time
}

// inBubbles runs f for HTTP/1 and HTTP/2, each in a bubble.
func inBubbles(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	for _, p := range []proto{http1, h2c} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &world{t: t, proto: p, hosts: make(map[string]*pipeListener), open: make(map[net.Conn]bool), begin: time.Now()}
				f(t, w)
			})
		})
	}
}

func (w *world) elapsed() time.Duration { return time.Since(w.begin) }

// serve starts a server at addr.
func (w *world) serve(addr string, handler http.HandlerFunc) {
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	s := &http.Server{Handler: handler, Protocols: new(http.Protocols)}
	s.ConnState = func(c net.Conn, state http.ConnState) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.open[c] = true; state == http.StateClosed {
			delete(w.open, c)
		}
	}
	s.Protocols.SetHTTP1(!w.proto.h2)
	s.Protocols.SetUnencryptedHTTP2(w.proto.h2)
	var served sync.WaitGroup
	served.Go(func() { _ = s.Serve(l) })
	w.t.Cleanup(func() {
		_ = s.Close()
		served.Wait()
	})
	w.mu.Lock()
	w.hosts[addr] = l
	w.mu.Unlock()
}

// dial reaches the servers; other addresses swallow all packets.
func (w *world) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	w.mu.Lock()
	l := w.hosts[addr]
	w.mu.Unlock()
	if l == nil {
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: context.Cause(ctx)}
	}
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: context.Cause(ctx)}
	}
}

func (w *world) transport(cfg config, addrs ...string) *httpwrap.Transport {
	base := w.proto.base()
	base.DialContext = w.dial
	base.HTTP2 = nil
	cfg.Base = base
	return w.proto.newTransport(w.t, cfg, addrs...)
}

type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// pause is time.Sleep that a handler's client can end.
func pause(r *http.Request, d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.Context().Done():
	}
}
