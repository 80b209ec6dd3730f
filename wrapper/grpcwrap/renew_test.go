package grpcwrap_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/wrapper/grpcwrap"
)

// tunnel is between client and server, and can swallow what goes through the
// connections that there are.
type tunnel struct {
	addr string

	mu      sync.Mutex
	conns   []*swallower
	accepts int
}

type swallower struct {
	net.Conn
	mu     sync.Mutex
	silent bool
}

func (s *swallower) Write(b []byte) (int, error) {
	s.mu.Lock()
	silent := s.silent
	s.mu.Unlock()
	if silent {
		return len(b), nil
	}
	return s.Conn.Write(b)
}

func tunnelTo(t testing.TB, server string) *tunnel {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &tunnel{addr: l.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := new(net.Dialer).DialContext(t.Context(), "tcp", server)
			if err != nil {
				in.Close()
				continue
			}
			there, back := &swallower{Conn: out}, &swallower{Conn: in}
			u.mu.Lock()
			u.conns = append(u.conns, there, back)
			u.accepts++
			u.mu.Unlock()
			all.Go(func() { _, _ = io.Copy(there, in); out.Close() })
			all.Go(func() { _, _ = io.Copy(back, out); in.Close() })
		}
	})
	t.Cleanup(func() {
		l.Close()
		u.mu.Lock()
		for _, c := range u.conns {
			c.Close()
		}
		u.mu.Unlock()
		all.Wait()
	})
	return u
}

// swallow makes the connections that there are silent.
func (u *tunnel) swallow() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range u.conns {
		c.mu.Lock()
		c.silent = true
		c.mu.Unlock()
	}
}

func (u *tunnel) accepted() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.accepts
}

// The one node's connection has gone silent: the next attempt is on another.
func TestRetryOfTheOnlyNode(t *testing.T) {
	u := tunnelTo(t, serve(t, says("ok"), nil).addr)
	c := dial(t, grpcwrap.Config{Config: resilience.Config{Settings: resilience.Settings{AttemptTimeout: 100 * time.Millisecond}}}, u.addr)
	c.connected(t, 1)
	<-within(t, 1100*time.Millisecond).Done() // a younger connection would be kept
	u.swallow()
	if got, err := c.call(within(t, 10*time.Second), get, "in"); err != nil || got != "ok" {
		t.Errorf("%q, %v", got, err)
	}
	if n := u.accepted(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// A node that is ejected is probed on a connection of its own.
func TestEjectedNodeIsConnectedAnew(t *testing.T) {
	u := tunnelTo(t, serve(t, says("ok"), nil).addr)
	other := serve(t, says("other"), nil)
	c := dial(t, grpcwrap.Config{}, u.addr, other.addr)
	c.connected(t, 2)
	if err := c.client.Resilience().Selector().Eject(u.addr, "for the test"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another connection", func() bool { return u.accepted() == 2 })
}

// A name that resolves to addresses of which not all are listened at.
func TestDNS(t *testing.T) {
	n := serve(t, says("ok"), nil) // at 127.0.0.1 only
	_, port, err := net.SplitHostPort(n.addr)
	if err != nil {
		t.Fatal(err)
	}
	cc, err := grpc.NewClient("dns:///localhost:"+port, append(grpcwrap.DialOptions(grpcwrap.Config{}),
		grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	for range 5 {
		out := new(wrapperspb.StringValue)
		if err := cc.Invoke(within(t, 5*time.Second), post, wrapperspb.String("in"), out); err != nil || out.GetValue() != "ok" {
			t.Fatalf("%v, %v", out, err)
		}
	}
}
