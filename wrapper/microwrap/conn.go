package microwrap

import (
	"errors"
	"io"
	"sync"

	"go-micro.dev/v5/transport"
)

// conn is a connection in go-micro's pool. The line beneath it may be replaced
// by another one while nothing is in flight on it.
type conn struct {
	t    *Transport
	addr string
	opts []transport.DialOption

	mu      sync.Mutex
	line    *line
	flight  *flight // that waits for an answer
	used    bool
	retired bool // the line is not to be used again
	closed  bool
}

// Send implements transport.Client.
func (c *conn) Send(m *transport.Message) error {
	f, ours := c.t.of(m)
	if !ours {
		return c.current().Client.Send(m)
	}
	if f == nil {
		return errOver
	}
	f.doneEncoding()
	f.conn.Store(c)
	for {
		l, err := c.live(f.fresh)
		if err != nil {
			return err
		}
		switch c.take(f, l) {
		case taken:
			if c.t.listens {
				l.expect()
			}
			return l.Client.Send(m)
		case over:
			return errOver
		}
	}
}

// What came of take.
const (
	taken  = iota
	over   // the attempt has ended
	behind // the line is not live any more
)

// take begins the flight on the line: from now on it may have been sent.
func (c *conn) take(f *flight, l *line) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return over
	case c.line != l || c.retired:
		return behind
	case !f.phase.CompareAndSwap(entered, sent):
		return over
	}
	c.flight, c.used = f, true
	return taken
}

func (c *conn) current() *line {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.line
}

// live returns the line, or a new one where it is down or has been used and a
// fresh one is wanted.
func (c *conn) live(fresh bool) (*line, error) {
	c.mu.Lock()
	old, closed := c.line, c.closed
	stale := c.retired || old.isDown() || fresh && c.used
	c.mu.Unlock()
	switch {
	case closed:
		return nil, io.EOF
	case !stale:
		return old, nil
	}
	old.shut()
	next, err := c.t.Transport.Dial(c.addr, c.opts...)
	if err != nil {
		return nil, err
	}
	l := &line{Client: next}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		l.shut()
		return nil, io.EOF
	}
	c.line, c.used, c.retired = l, false, false
	return l, nil
}

// Recv implements transport.Client.
func (c *conn) Recv(m *transport.Message) error {
	err := c.current().recv(m)
	if l := c.landed(m, err); l != nil {
		l.shut()
	}
	return err
}

// landed is told of an answer, or that there will be none. It returns the line
// if that has to end.
func (c *conn) landed(m *transport.Message, err error) *line {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flight; f != nil && err == nil {
		c.flight = nil
		f.spent.Store(int64(number(m.Header[spentName])))
		f.phase.CompareAndSwap(sent, answered)
	}
	if c.retired && c.flight == nil {
		return c.line
	}
	return nil
}

// drop ends the line of a flight that nobody waits for any more, unless the
// answer has come and it is somebody else's by now.
func (c *conn) drop(f *flight) {
	c.mu.Lock()
	mine, l := c.flight == f, c.line
	if mine {
		c.flight, c.retired = nil, true
	}
	c.mu.Unlock()
	if mine {
		l.shut()
	}
}

// retire ends the line, after the answer where one is awaited.
func (c *conn) retire() {
	c.mu.Lock()
	idle, l := c.flight == nil, c.line
	c.retired = true
	c.mu.Unlock()
	if idle {
		l.shut()
	}
}

// Close implements transport.Client.
func (c *conn) Close() error {
	c.mu.Lock()
	c.closed = true
	l := c.line
	c.mu.Unlock()
	c.t.forget(c)
	l.shut()
	return nil
}

// Local implements transport.Client.
func (c *conn) Local() string { return c.current().Client.Local() }

// Remote implements transport.Client.
func (c *conn) Remote() string { return c.current().Client.Remote() }

// errUnasked is a message on a line on which nothing was asked.
var errUnasked = errors.New("the server sent a message that nobody asked for")

// line is one connection of the transport beneath. Once it listens, it is read
// all the time, so that its end is noticed while nobody uses it.
type line struct {
	transport.Client

	mu       sync.Mutex
	inbox    chan transport.Message // nil: it does not listen
	gone     chan struct{}          // closed when it is shut
	down     chan struct{}          // closed when nothing more will come
	err      error                  // why; set before down is closed
	expected bool                   // something was asked
	shutting bool
}

// expect makes the line listen, for one answer more.
func (l *line) expect() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expected = true
	if l.inbox == nil && !l.shutting {
		l.inbox, l.gone, l.down = make(chan transport.Message), make(chan struct{}), make(chan struct{})
		go l.listen()
	}
}

func (l *line) listen() {
	defer close(l.down)
	for {
		var m transport.Message
		err := l.Client.Recv(&m)
		l.mu.Lock()
		if err == nil && !l.expected {
			err = errUnasked
		}
		l.err, l.expected = err, false
		l.mu.Unlock()
		if err != nil {
			return
		}
		select {
		case l.inbox <- m:
		case <-l.gone:
			l.err = io.EOF // read when down is closed
			return
		}
	}
}

func (l *line) recv(m *transport.Message) error {
	l.mu.Lock()
	inbox, down := l.inbox, l.down
	l.mu.Unlock()
	if inbox == nil {
		return l.Client.Recv(m)
	}
	select {
	case *m = <-inbox:
		return nil
	case <-down:
		return l.err
	}
}

// isDown reports whether it is known that nothing sent here would arrive.
func (l *line) isDown() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shutting {
		return true
	}
	if l.down == nil {
		return false
	}
	select {
	case <-l.down:
		return true
	default:
		return false
	}
}

// shut ends the line, and what waits on it. What it was good for is over, so
// nobody is told if that fails.
func (l *line) shut() {
	l.mu.Lock()
	if l.shutting {
		l.mu.Unlock()
		return
	}
	l.shutting = true
	if l.gone != nil {
		close(l.gone)
	}
	l.mu.Unlock()
	_ = l.Client.Close()
}
