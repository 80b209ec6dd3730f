package httpwrap

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// ErrNoResponse is matched by the error of a call that one of the service's
// wrappers ended without an error, and without an attempt that could have had
// a response.
var ErrNoResponse = errors.New("a wrapper ended the call without a response")

// exchange is one call: a request, its attempts, and the response that comes
// of them. It is not used again when the call is over: responses know of it.
type exchange struct {
	s        *service
	req      *http.Request
	header   http.Header // the request's, with its key where net/http overlooks it
	key      string
	method   string
	replay   *replay   // of a body without GetBody
	begun    bool      // somebody else closes the request's body now
	open     bool      // the latest response says that the call's outcome is not known yet
	expires  time.Time // when the server forgets the key; zero: it has not said
	attempts int
	replays  int
	tried    []*selector.Node
	inline   [2]*selector.Node
	current  *attempt
	latest   *attempt // that got a response
	err      error    // what the call ended with, in spite of a response that is returned

	first attempt
}

// roundTrip is the way of a call: key → client.Call → attempt, once or more →
// the response that is left.
func (s *service) roundTrip(req *http.Request) (*http.Response, error) {
	x := &exchange{s: s, req: req}
	hint := s.hint(req)
	var err error
	if x.header, err = s.key(req, &hint); err != nil {
		x.closeBody()
		return nil, &Error{Facts: x.facts(nil), Err: err}
	}
	x.key, x.method = hint.Key, hint.Method
	if f := resumed(req.Context()); f != nil {
		x.expires = f.KeyExpires
	}
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		x.replay = newReplay(req.Body, knownSize(req), s.t.cfg.BodyLimit)
	}
	returned := false
	defer func() {
		if !returned {
			x.abort()
		}
	}()
	c := callers.Get().(*caller)
	c.x = x
	err = s.client.Call(req.Context(), hint, c.fn)
	c.x = nil
	callers.Put(c)
	returned = true
	return x.end(err)
}

func knownSize(req *http.Request) int64 {
	if req.ContentLength > 0 {
		return req.ContentLength
	}
	return -1 // 0 means unknown beside a body
}

// caller is a Func made once, so that a call need not make one.
type caller struct {
	x  *exchange
	fn resilience.Func
}

var callers = sync.Pool{New: func() any {
	c := new(caller)
	c.fn = func(ctx context.Context, call *resilience.Call) error { return c.x.attempt(ctx, call) }
	return c
}}

// attempt makes one, and returns its evidence as a marked error.
func (x *exchange) attempt(ctx context.Context, call *resilience.Call) error {
	x.drop()
	if x.key != "" && !x.alive(call) {
		return resilience.Mark(ErrKeyExpired, expired)
	}
	x.attempts++
	a := &x.first
	if x.attempts > 1 {
		a = new(attempt)
	}
	x.current = a
	a.x = x
	a.method = call.Idempotency
	return a.run(ctx, call)
}

// drop discards the response of an attempt that is not the last.
func (x *exchange) drop() {
	if a := x.latest; a != nil {
		x.latest = nil
		x.s.t.discard(a.resp)
	}
}

// visit reports whether the call has tried the node before.
func (x *exchange) visit(n *selector.Node) (again bool) {
	if x.tried == nil {
		x.tried = x.inline[:0]
	}
	again = slices.ContainsFunc(x.tried, func(o *selector.Node) bool { return o == n || o.Addr == n.Addr })
	x.tried = append(x.tried, n)
	return again
}

// end makes of what is left the response or the error.
func (x *exchange) end(err error) (*http.Response, error) {
	if x.replay != nil {
		x.replay.forget()
	}
	x.closeBody()
	a := x.latest
	switch {
	case err == nil && a != nil:
		return a.resp, nil
	case err == nil:
		err = ErrNoResponse
	case a != nil && !x.open && errors.Is(err, a.err) && x.req.Context().Err() == nil:
		x.err = err
		return a.resp, nil
	}
	x.drop()
	return nil, &Error{Facts: x.facts(err), Err: err}
}

// abort lets go of everything when a panic of somebody else's code ends the
// call.
func (x *exchange) abort() {
	if a := x.latest; a != nil {
		a.resp.Body.Close()
	}
	if a := x.current; a != nil {
		a.end()
	}
	if x.replay != nil {
		x.replay.forget()
	}
	x.closeBody()
}

// closeBody gives up the call's own claim on the request's body.
func (x *exchange) closeBody() {
	switch {
	case x.replay != nil:
		_ = x.replay.release()
	case x.req.Body != nil && !x.begun:
		x.begun = true
		x.req.Body.Close()
	}
}
