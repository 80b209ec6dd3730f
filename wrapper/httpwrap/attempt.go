package httpwrap

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// attempt is one request to one node, and, once there is a response, what its
// body needs until it is closed. It is also the context that the request runs
// under: with the values of the call's context, and until the headers with
// its end, but to the end of the body with the life of the caller's alone. The
// settings' timeouts so bound the time to the headers.
type attempt struct {
	context.Context
	cancel context.CancelCauseFunc // nil: via ends it, or nobody but the caller
	via    *http.Transport         // ends the request it was given, without a context of ours; nil: it cannot
	why    atomic.Pointer[error]   // via was to end it
	begun  atomic.Pointer[http.Request]
	links  [2]func() bool // undo what cancels it; nil where the caller's context does by itself

	x      *exchange
	pool   *pool
	method retry.Idempotency
	trace  atomic.Pointer[tracer] // until the headers
	phase  atomic.Uint32

	rewinds bool // net/http has the means to send the request again
	replays int  // how often it did; set when it has returned

	resp    *http.Response
	status  int   // which it stands for
	err     error // what resp is to the retries; nil: a success
	body    body
	held    selector.Held
	retired atomic.Bool // end was called
}

// The phases of an attempt.
const (
	unsent   uint32 = iota // no connection was obtained yet: nothing can have been sent
	sent                   // it may have been
	answered               // there are headers; it is not cut any more
	cutOff                 // cut before a connection was obtained: it must not be sent
	cutLate                // cut when it may have been sent
)

// run makes the attempt.
func (a *attempt) run(ctx context.Context, call *resilience.Call) error {
	x := a.x
	a.pool = x.s.nodes.of(call.Node)
	rt := a.pool.roundTripper(x.visit(call.Node))
	a.bind(ctx, call, rt)
	req, err := a.request(call)
	if err != nil {
		a.end()
		return resilience.Mark(err, local)
	}
	if a.pool.owned == nil {
		a.phase.Store(sent) // for all that is known
	}
	a.begun.Store(req)
	a.startTrace()
	resp, err := rt.RoundTrip(req)
	a.stopTrace()
	if err == nil {
		a.status = resp.StatusCode
		if of := x.s.t.cfg.Status; of != nil {
			a.status = of(resp)
		}
	}
	if err == nil && !a.keeps() {
		resp.Body.Close()
		err = a.lost(ctx)
	}
	if err != nil {
		err = a.failed(ctx, err)
		a.end()
		return err
	}
	if resp.Request == nil {
		resp.Request = req
	}
	return a.answer(resp, call)
}

// keeps puts a response out of the reach of the settings' timeouts. It
// reports whether that came in time: otherwise the body is lost.
func (a *attempt) keeps() bool {
	if !a.phase.CompareAndSwap(sent, answered) && !a.phase.CompareAndSwap(unsent, answered) {
		return false
	}
	unlink := a.links[0]
	return unlink == nil || unlink()
}

// lost is why keeps failed. Whoever ends the attempt has said so, and may not
// have come to cancel its context yet.
func (a *attempt) lost(ctx context.Context) error {
	for _, c := range [...]context.Context{a, ctx} {
		if cause := context.Cause(c); cause != nil {
			return cause
		}
	}
	return resilience.ErrAttemptTimeout
}

// bind gives the attempt its context, and the timeout something to cut. A
// context of its own costs five allocations; where it is HTTP/1 for certain,
// rt can end the request without.
func (a *attempt) bind(ctx context.Context, call *resilience.Call, rt http.RoundTripper) {
	owner := a.x.req.Context()
	bounded := call.Bounded() && !call.Last()
	switch {
	case ctx != owner: // a timeout or a wrapper of the settings is in between
		a.Context, a.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
		a.links[0] = context.AfterFunc(ctx, func() { a.cancel(context.Cause(ctx)) })
		a.links[1] = context.AfterFunc(owner, func() { a.cancel(context.Cause(owner)) })
	case a.pool.plain && a.x.req.URL.Scheme == "http":
		a.Context, a.via = ctx, rt.(*http.Transport)
	case bounded || !a.harmless() || !a.pool.http1.Load(): // or HTTP/1's connection can be closed
		a.Context, a.cancel = context.WithCancelCause(ctx)
	default:
		a.Context = ctx
	}
	if bounded {
		call.CutBy(a)
	}
}

// Value implements context.Context.
func (a *attempt) Value(key any) any {
	switch key {
	case traceKey:
		if tr := a.trace.Load(); tr != nil {
			return &tr.ClientTrace
		}
	case factsKey{}:
		return a.x
	}
	return a.Context.Value(key)
}

// Err implements context.Context. A deadline that came over a link is a
// deadline still.
func (a *attempt) Err() error {
	err := a.Context.Err()
	if err == context.Canceled && errors.Is(context.Cause(a.Context), context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	return err
}

// Cut implements resilience.Cutter: an attempt that has no connection yet can
// be cut whatever it would do, any other only if it may be repeated.
func (a *attempt) Cut(cause error) bool {
	r := a.x.replay
	if r != nil && !r.freeze() {
		return false // its body cannot be sent again
	}
	if a.phase.CompareAndSwap(unsent, cutOff) || (a.method.Repeatable() && a.phase.CompareAndSwap(sent, cutLate)) {
		a.stop(cause)
		return true
	}
	if r != nil {
		r.thaw()
	}
	return false
}

// stop ends the attempt's request, if that has begun: see tracer.getConn.
func (a *attempt) stop(cause error) {
	if a.cancel != nil {
		a.cancel(cause)
		return
	}
	a.why.CompareAndSwap(nil, &cause)
	if req := a.begun.Load(); a.via != nil && req != nil {
		// Deprecated since it cannot end HTTP/2 streams. Here there are none,
		// and net/http keeps what this needs for every request anyway.
		a.via.CancelRequest(req) //nolint:staticcheck // SA1019: see above
	}
}

// request makes what is sent: a copy, for a RoundTripper must not change what
// it was given.
func (a *attempt) request(call *resilience.Call) (*http.Request, error) {
	x := a.x
	req := x.req.WithContext(a)
	req.Header = a.told(x.header, call)
	if add := x.s.t.cfg.Header; add != nil {
		req.Header = maps.Clone(req.Header)
		add(a, req.Header)
	}
	if a.pool.owned == nil && call.Node.Addr != "" {
		u := *req.URL
		u.Host = nodeAddr(call.Node.Addr, dialled(req.URL))
		if req.Host == "" {
			req.Host = req.URL.Host
		}
		req.URL = &u
	}
	if req.Body == nil || req.Body == http.NoBody {
		if byProtocol(req.Method) == retry.Safe && a.harmless() {
			a.rewinds = true
			return req, nil
		}
		// On HTTP/2 a request without a body is sent again after
		// PROTOCOL_ERROR, though it may have been carried out. An empty body is
		// one that cannot be sent again, and leaves the evidence to us. It is
		// not for HTTP/1, where it would be sent as chunks.
		if a.pool.owned != nil && (a.pool.h2c || a.pool.http2.Load()) {
			req.Body = io.NopCloser(strings.NewReader(""))
			return req, nil
		}
		a.rewinds = true
		return req, nil
	}
	getBody := req.GetBody
	switch {
	case x.replay != nil:
		getBody = x.replay.view
		x.replay.thaw()
		view, err := getBody()
		if err != nil {
			return nil, err
		}
		req.Body = view
	case x.begun:
		body, err := getBody()
		if err != nil {
			return nil, err
		}
		req.Body = body
	}
	x.begun = true
	// With GetBody, HTTP/1 sends again only what it has not sent at all (for
	// the methods that come with a body), which helps; HTTP/2 also what was
	// answered by PROTOCOL_ERROR, which may have been carried out.
	if req.GetBody = nil; a.pool.http1.Load() {
		req.GetBody, a.rewinds = getBody, getBody != nil
	}
	return req, nil
}

// end lets go of all that the attempt holds, once there is no more to read.
func (a *attempt) end() {
	a.held.Release()
	if a.retired.Swap(true) {
		return
	}
	for _, unlink := range a.links {
		if unlink != nil {
			unlink()
		}
	}
	if a.cancel != nil {
		a.cancel(nil)
	}
	if a.pool.retired.Load() {
		a.pool.sweep()
	}
}
