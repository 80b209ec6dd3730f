package httpwrap_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// rawH2 is an HTTP/2 server (h2c) that does to requests what net/http's would
// only do in the worst of moments. RFC 9113.
type rawH2 struct {
	addr     string
	requests atomic.Int64 // received in full

	early func(c *rawConn, stream uint32) // answers requests whose body is to come; may be nil
}

// rawConn is one of its connections.
type rawConn struct {
	net.Conn
	mu sync.Mutex
}

const (
	frameData, frameHeaders, frameRst, frameSettings, framePing, frameGoAway = 0, 1, 3, 4, 6, 7
	flagEnd, flagAck, flagEndHeaders                                         = 1, 1, 4

	codeNo, codeProtocol, codeInternal, codeRefused = 0, 1, 2, 7
)

// newRawH2 calls answer for each request; k counts them from 1.
func newRawH2(t testing.TB, answer func(c *rawConn, stream uint32, k int)) *rawH2 {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawH2{addr: l.Addr().String()}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { s.serve(&rawConn{Conn: c}, answer) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Wait()
	})
	return s
}

func (s *rawH2) serve(c *rawConn, answer func(*rawConn, uint32, int)) {
	defer c.Close()
	r := bufio.NewReader(c)
	if _, err := io.CopyN(io.Discard, r, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
		return
	}
	c.frame(frameSettings, 0, 0, nil)
	for {
		var head [9]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(r, payload); err != nil {
			return
		}
		kind, flags, stream := head[3], head[4], binary.BigEndian.Uint32(head[5:])
		switch {
		case kind == frameSettings && flags&flagAck == 0:
			c.frame(frameSettings, flagAck, 0, nil)
		case kind == framePing && flags&flagAck == 0:
			c.frame(framePing, flagAck, 0, payload)
		case (kind == frameHeaders || kind == frameData) && flags&flagEnd != 0:
			answer(c, stream, int(s.requests.Add(1)))
		case kind == frameHeaders && s.early != nil:
			s.early(c, stream)
		}
	}
}

func (c *rawConn) frame(kind, flags byte, stream uint32, payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(payload)
	b := []byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}
	b = binary.BigEndian.AppendUint32(b, stream)
	_, _ = c.Write(append(b, payload...))
}

// ok answers 200: entry 8 of HPACK's static table.
func (c *rawConn) ok(stream uint32) {
	c.frame(frameHeaders, flagEnd|flagEndHeaders, stream, []byte{0x88})
}

func (c *rawConn) reset(stream, code uint32) {
	c.frame(frameRst, 0, stream, binary.BigEndian.AppendUint32(nil, code))
}

func (c *rawConn) goAway(last, code uint32) {
	b := binary.BigEndian.AppendUint32(nil, last)
	c.frame(frameGoAway, 0, 0, binary.BigEndian.AppendUint32(b, code))
}
