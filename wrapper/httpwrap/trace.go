package httpwrap

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"sync"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// errReplay is why an attempt was cut that net/http was about to send again by
// itself, though the call says that it must not be.
var errReplay = errors.New("the connection was lost, and net/http was about to send the request again by itself")

// maxReplays is how often net/http may send an attempt again by itself where
// that is harmless: a server that acts and then drops the connection would be
// stormed otherwise.
const maxReplays = 3

// tracer learns what net/http does underneath: whether a connection was
// obtained, which is the one proof of what was not sent, and how many. That
// headers were written is no evidence: HTTP/2 has carried out requests whose
// writing was never reported.
//
// A dial that outlives the attempt may still look for hooks in ClientTrace,
// which does not change when a tracer is used again.
type tracer struct {
	httptrace.ClientTrace
	a      *attempt
	pooled bool

	mu      sync.Mutex // a foreign RoundTripper may call from anywhere
	conns   int        // used, since the last response
	replays int
}

var tracers = sync.Pool{New: func() any {
	tr := &tracer{pooled: true}
	tr.GetConn, tr.GotConn = tr.getConn, tr.gotConn
	return tr
}}

// traceKey is the key under which httptrace looks for hooks in a context. The
// attempt is that context, which saves a layer around it, and lets the hooks
// vanish with the headers: responses carry the context further.
var traceKey = func() any {
	s := new(spy)
	httptrace.ContextClientTrace(s)
	return s.asked
}()

type spy struct {
	context.Context
	asked any
}

func (s *spy) Value(key any) any {
	s.asked = key
	return nil
}

// startTrace sets the attempt's hooks, in front of the caller's own.
func (a *attempt) startTrace() {
	var tr *tracer
	theirs := httptrace.ContextClientTrace(a.Context)
	if theirs == nil && a.pool.owned != nil {
		tr = tracers.Get().(*tracer)
	} else {
		if theirs == nil {
			theirs = new(httptrace.ClientTrace)
		}
		tr = &tracer{ClientTrace: *theirs}
		tr.GetConn = func(addr string) {
			tr.getConn(addr)
			if theirs.GetConn != nil {
				theirs.GetConn(addr)
			}
		}
		tr.GotConn = func(info httptrace.GotConnInfo) {
			tr.gotConn(info)
			if theirs.GotConn != nil {
				theirs.GotConn(info)
			}
		}
	}
	if a.pool.owned == nil {
		tr.GotFirstResponseByte = func() {
			tr.answered()
			if theirs.GotFirstResponseByte != nil {
				theirs.GotFirstResponseByte()
			}
		}
	}
	tr.a, tr.conns, tr.replays = a, 0, 0
	a.trace.Store(tr)
}

// stopTrace ends the hooks.
func (a *attempt) stopTrace() {
	tr := a.trace.Swap(nil)
	if tr == nil {
		return
	}
	tr.mu.Lock()
	a.replays = tr.replays
	tr.mu.Unlock()
	if n := a.replays; n > 0 {
		a.x.replays += n
		a.x.s.t.replays.Add(uint64(n))
	}
	if tr.pooled {
		tr.a = nil
		tracers.Put(tr)
	}
}

// getConn is called when net/http knows the request and can end it. A Cut that
// came before that had nothing to end.
func (tr *tracer) getConn(string) {
	if a := tr.a; a.via != nil && a.phase.Load() == cutOff {
		a.stop(resilience.ErrAttemptTimeout)
	}
}

// gotConn is called before anything is sent on the connection.
func (tr *tracer) gotConn(info httptrace.GotConnInfo) {
	a := tr.a
	first := a.phase.CompareAndSwap(unsent, sent)
	h2 := a.pool.speaksHTTP2(info.Conn)
	why := errReplay
	if a.phase.Load() == cutOff {
		why = resilience.ErrAttemptTimeout // Cut has judged it as not sent, and may not have cancelled yet
	} else if tr.use(first, h2) {
		return
	}
	a.stop(why)
	// The attempt is over. HTTP/2 sends nothing for a context that has ended;
	// HTTP/1 might, and has the connection for itself.
	if !h2 {
		info.Conn.Close()
	}
}

// use counts a connection that is obtained, and reports whether it may be used.
func (tr *tracer) use(first, h2 bool) bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if !first && tr.conns > 0 {
		if tr.replays == maxReplays || tr.a.exact(h2) {
			return false
		}
		tr.replays++
	}
	tr.conns++
	return true
}

// answered is told of a response inside a foreign RoundTripper: what it sends
// next is a request of its own (the answer to a challenge, say), no replay.
func (tr *tracer) answered() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.conns = 0
}

// exact reports whether a second connection must not be used: net/http would
// send the request again though it may have been carried out, and though
// nobody has said that this does no harm. Elsewhere it only does where that is
// harmless, or certain not to have been.
func (a *attempt) exact(h2 bool) bool {
	return !a.harmless() && a.rewinds && (h2 || !a.pool.seen() || byProtocol(a.x.req.Method) == retry.Safe)
}

// harmless reports whether the request may be sent again without being asked.
// With a key the call itself repeats it, and counts.
func (a *attempt) harmless() bool {
	return a.method == retry.Safe || a.method == retry.Idempotent
}

func (p *pool) speaksHTTP2(conn net.Conn) bool {
	if c, ok := conn.(*tls.Conn); ok {
		return c.ConnectionState().NegotiatedProtocol == "h2"
	}
	return p.h2c || (p.owned == nil && p.http2.Load())
}

// seen reports whether it is known what the pool speaks.
func (p *pool) seen() bool { return p.owned != nil || p.http1.Load() || p.http2.Load() }
