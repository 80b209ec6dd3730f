package httpwrap

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"sync"

	"github.com/holdfast-go/holdfast/retry"
)

// errReplay is why an attempt was cut that net/http was about to send again by
// itself, though the call says that it must not be.
var errReplay = errors.New("the connection was lost, and net/http was about to send the request again by itself")

// tracer learns what net/http does underneath: whether a connection was
// obtained, which is the one proof of what was not sent, and how many. That
// headers were written is no evidence: HTTP/2 has carried out requests whose
// writing was never reported.
//
// Its fields are written by the attempt's own goroutine only. A dial that
// outlives the attempt may still look for hooks in ClientTrace, which does not
// change when a tracer is used again.
type tracer struct {
	httptrace.ClientTrace
	a      *attempt
	conns  int
	pooled bool
}

var tracers = sync.Pool{New: func() any {
	tr := &tracer{pooled: true}
	tr.GotConn = tr.gotConn
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
	if theirs := httptrace.ContextClientTrace(a.Context); theirs == nil {
		tr = tracers.Get().(*tracer)
	} else {
		tr = &tracer{ClientTrace: *theirs}
		tr.GotConn = func(info httptrace.GotConnInfo) {
			tr.gotConn(info)
			if theirs.GotConn != nil {
				theirs.GotConn(info)
			}
		}
	}
	tr.a, tr.conns = a, 0
	a.trace.Store(tr)
}

// stopTrace ends the hooks.
func (a *attempt) stopTrace() {
	tr := a.trace.Swap(nil)
	if tr == nil {
		return
	}
	if n := tr.conns - 1; n > 0 {
		a.x.replays += n
		a.x.s.t.replays.Add(uint64(n))
	}
	if tr.pooled {
		tr.a = nil
		tracers.Put(tr)
	}
}

// gotConn is called before anything is sent on the connection.
func (tr *tracer) gotConn(info httptrace.GotConnInfo) {
	a := tr.a
	if a.phase.CompareAndSwap(unsent, sent) {
		tr.conns = 1
		return
	}
	h2 := a.pool.speaksHTTP2(info.Conn)
	switch {
	case a.phase.Load() == cutOff:
	case tr.conns == 0 || !a.exact(h2):
		tr.conns++
		return
	default:
		a.cancel(errReplay)
	}
	// The attempt is over. HTTP/2 sends nothing for a context that has ended;
	// HTTP/1 might, and has the connection for itself.
	if !h2 {
		info.Conn.Close()
	}
}

// exact reports whether a second connection must not be used: net/http would
// send the request again though it may have been carried out. Elsewhere it
// only does where that is harmless, or certain not to have been.
func (a *attempt) exact(h2 bool) bool {
	if h2 {
		return a.method == retry.Keyed // the call itself may repeat it, and counts
	}
	return a.method == retry.NonIdempotent && byProtocol(a.x.req.Method) == retry.Safe
}

func (p *pool) speaksHTTP2(conn net.Conn) bool {
	if c, ok := conn.(*tls.Conn); ok {
		return c.ConnectionState().NegotiatedProtocol == "h2"
	}
	return p.h2c
}
