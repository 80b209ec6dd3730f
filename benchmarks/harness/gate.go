package harness

import (
	"io"
	"net"
	"sync"
	"time"
)

// gate is a listener that can refuse: the port is closed as if nobody
// listened there, while the process lives and ends what it has begun. It knows
// no protocol but that an answer is written after a request was read.
type gate struct {
	mu       sync.Mutex
	listener net.Listener // nil while it refuses
	addr     net.Addr
	change   chan struct{} // closed when listener or closed changes
	conns    map[*gateConn]struct{}
	closed   bool
}

func newGate(addr string) (*gate, error) {
	l, err := net.Listen("tcp", addr) //nolint:noctx // a listen on loopback does not block
	if err != nil {
		return nil, err
	}
	return &gate{listener: l, addr: l.Addr(), change: make(chan struct{}), conns: map[*gateConn]struct{}{}}, nil
}

// Accept implements net.Listener. It does not fail while the gate refuses: it
// waits.
func (g *gate) Accept() (net.Conn, error) {
	for {
		g.mu.Lock()
		listener, change, closed := g.listener, g.change, g.closed
		g.mu.Unlock()
		if closed {
			return nil, net.ErrClosed
		}
		if listener == nil {
			<-change
			continue
		}
		conn, err := listener.Accept()
		g.mu.Lock()
		same := g.listener == listener
		switch {
		case err == nil && same:
			c := &gateConn{Conn: conn, gate: g}
			g.conns[c] = struct{}{}
			g.mu.Unlock()
			return c, nil
		case err == nil: // the last one before the gate refused
			g.mu.Unlock()
			conn.Close()
		case same:
			g.mu.Unlock()
			return nil, err
		default:
			g.mu.Unlock()
		}
	}
}

// Close implements net.Listener. Connections stay.
func (g *gate) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	return g.swap(nil)
}

// Addr implements net.Listener.
func (g *gate) Addr() net.Addr { return g.addr }

// refuse closes the port and every connection on which no request is being
// served; the others are closed when theirs has been answered.
func (g *gate) refuse() error {
	g.mu.Lock()
	err := g.swap(nil)
	var idle []*gateConn
	for c := range g.conns {
		if !c.busy && c.more == 0 {
			idle = append(idle, c)
		}
	}
	g.mu.Unlock()
	for _, c := range idle {
		_ = c.Close()
	}
	return err
}

// admit opens the port again.
func (g *gate) admit() error {
	l, err := net.Listen("tcp", g.addr.String()) //nolint:noctx // a listen on loopback does not block
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.swap(l)
}

// empty reports whether no connection is left.
func (g *gate) empty() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.conns) == 0
}

// drop ends the connection from peer with a reset, as if its other end had
// become unreachable in the middle of an answer.
func (g *gate) drop(peer string) {
	c := g.find(peer)
	if c == nil {
		return
	}
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it may be closed
	}
	_ = c.Close()
}

// afterWrite has f called when the next write to peer is done; soon, if peer
// is not known.
func (g *gate) afterWrite(peer string, f func()) {
	c := g.find(peer)
	if c == nil {
		time.AfterFunc(linger, f)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c.then = f
}

// serving says that a request from peer is being served, until done is called
// and its answer written.
func (g *gate) serving(peer string) (done func()) {
	c := g.find(peer)
	if c == nil {
		return func() {}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c.more++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		c.more--
		c.busy = true // the answer is on its way
	}
}

// open reports whether the port is.
func (g *gate) open() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.listener != nil
}

func (g *gate) find(peer string) *gateConn {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		if c.RemoteAddr().String() == peer {
			return c
		}
	}
	return nil
}

// swap needs mu.
func (g *gate) swap(l net.Listener) error {
	old := g.listener
	g.listener = l
	close(g.change)
	g.change = make(chan struct{})
	if old == nil {
		return nil
	}
	return old.Close()
}

// gateConn is one of the connections.
type gateConn struct {
	net.Conn
	gate *gate
	busy bool   // a request was read and no answer written; under gate.mu
	more int    // requests being served, where there may be several at once; under gate.mu
	then func() // what the next write is followed by; under gate.mu
	end  sync.Once
}

// leaving reports whether the connection has no request to answer and its
// gate refuses.
func (c *gateConn) leaving() bool {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	return c.gate.listener == nil && !c.busy && c.more == 0
}

func (c *gateConn) Read(b []byte) (int, error) {
	if c.leaving() {
		_ = c.Close()
		return 0, io.EOF
	}
	n, err := c.Conn.Read(b)
	if n > 0 {
		if c.leaving() {
			_ = c.Close()
			return 0, io.EOF
		}
		c.gate.mu.Lock()
		c.busy = true
		c.gate.mu.Unlock()
	}
	return n, err
}

// linger is how long after a write a refusing gate waits for the rest of the
// answer: some servers write one in several pieces.
const linger = 5 * time.Millisecond

func (c *gateConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.gate.mu.Lock()
	c.busy = false
	then := c.then
	c.gate.mu.Unlock()
	if then != nil {
		then()
	}
	if c.leaving() {
		time.AfterFunc(linger, func() { _ = c.Close() })
	}
	return n, err
}

func (c *gateConn) Close() error {
	err := net.ErrClosed
	c.end.Do(func() {
		c.gate.mu.Lock()
		delete(c.gate.conns, c)
		c.gate.mu.Unlock()
		err = c.Conn.Close()
	})
	return err
}
