package microwrap

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"go-micro.dev/v5/client"
	"go-micro.dev/v5/metadata"
	"go-micro.dev/v5/registry"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// exchange is one call: a request, its attempts, and the response that is left.
type exchange struct {
	c    *Client
	s    *service
	t    *Transport
	req  client.Request
	rsp  any
	opts []client.CallOption
	md   metadata.Metadata // what every attempt has

	tried []*selector.Node
	last  *attempt
}

// Call implements client.Client. It fails with an [*Error], or with what the
// service itself has answered at once. The response is set as a whole when the
// call has succeeded, and left alone otherwise.
func (c *Client) Call(ctx context.Context, req client.Request, rsp any, opts ...client.CallOption) error {
	if c.wrong != nil {
		return c.wrong
	}
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok && a.x.req.Service() == req.Service() && a.x.req.Endpoint() == req.Endpoint() {
		return c.Client.Call(ctx, req, rsp, opts...) // an attempt of another Client around this one
	}
	o := c.Client.Options()
	co := o.CallOptions
	for _, opt := range opts {
		opt(&co)
	}
	if c.proxy || len(co.SelectOptions) > 0 {
		return c.Client.Call(ctx, req, rsp, opts...)
	}
	t, err := c.through(o.Transport)
	if err != nil {
		return err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, co.RequestTimeout)
		defer cancel()
	}
	s, err := c.service(ctx, req.Service(), co.Address)
	if errors.Is(err, errTooMany) {
		return c.Client.Call(ctx, req, rsp, opts...)
	}
	if err != nil {
		return unavailable(req, err)
	}
	x := &exchange{c: c, s: s, t: t, req: req, rsp: rsp, opts: opts}
	hint, md, err := c.hint(ctx, s, req)
	if err != nil {
		return err
	}
	x.md = md
	return x.end(s.client.Call(ctx, hint, x.attempt))
}

// end makes of what is left the response or the error.
func (x *exchange) end(err error) error {
	a := x.last
	var e *resilience.Error
	switch {
	case err == nil && a != nil && a.own.IsValid():
		reflect.ValueOf(x.rsp).Elem().Set(a.own.Elem())
		return nil
	case err == nil:
		return nil
	case errors.As(err, &e):
		return newError(e)
	case a != nil && err == a.marked: //nolint:errorlint // this very one
		return a.err // as the client has always returned it
	}
	return err
}

// attempt is one request to one node.
type attempt struct {
	flight
	x      *exchange
	node   *registry.Node
	rsp    any
	own    reflect.Value // rsp, where the caller's own is to be spared
	repeat bool          // may be made again in any case
	until  time.Time
	cancel context.CancelCauseFunc
	err    error // go-micro's
	marked error // with its evidence
}

type attemptKey struct{}

// attempt makes one.
func (x *exchange) attempt(ctx context.Context, call *resilience.Call) error {
	n := call.Node
	a := &attempt{x: x, repeat: call.Idempotency.Repeatable(), rsp: x.rsp}
	a.node = &registry.Node{Id: n.ID, Address: n.Addr, Metadata: n.Meta}
	if v := reflect.ValueOf(x.rsp); v.Kind() == reflect.Pointer && !v.IsNil() {
		a.own = reflect.New(v.Type().Elem()) // an attempt that is abandoned may still write it
		a.rsp = a.own.Interface()
	}
	a.fresh = slices.ContainsFunc(x.tried, func(o *selector.Node) bool { return o.Addr == n.Addr })
	x.tried = append(x.tried, n)
	x.last = a
	return a.run(ctx, call)
}

func (a *attempt) run(ctx context.Context, call *resilience.Call) error {
	x := a.x
	x.t.begin(&a.flight)
	defer x.t.land(&a.flight) // after a panic too
	own, cancel := context.WithCancelCause(context.WithValue(metadata.NewContext(ctx, a.told(ctx, call)), attemptKey{}, a))
	defer cancel(nil)
	a.cancel = cancel
	a.until, _ = ctx.Deadline()
	if call.Bounded() && !call.Last() {
		call.CutBy(a)
	}
	err := x.c.Client.Call(own, x.req, a.rsp, append(slices.Clip(x.opts), a.options)...)
	call.Charge(ctx, int(a.spent.Load()))
	if err == nil {
		return nil
	}
	x.t.land(&a.flight)
	if raw := a.raw.Load(); raw != nil && *raw == nil && own.Err() != nil {
		return nil // the answer was there, and go-micro has looked at the context first
	}
	a.abandon()
	if a.timedOut() {
		<-own.Done() // the same instant, which go-micro has noticed first
	}
	if cause := context.Cause(own); cause != nil && !errors.Is(err, cause) && (a.raw.Load() == nil || a.timedOut()) {
		err = cause // go-micro only says that the context was cancelled
	}
	a.err, a.marked = err, a.judged(ctx, err)
	return a.marked
}

// timedOut reports whether go-micro's call has ended at the caller's deadline by
// a timer of its own.
func (a *attempt) timedOut() bool {
	raw := a.raw.Load()
	if raw == nil || a.until.IsZero() || a.was != sent {
		return false
	}
	return tookLong(*raw)
}

// judged is err with the attempt's evidence.
func (a *attempt) judged(ctx context.Context, err error) error {
	if a.was == waiting && ctx.Err() == nil {
		return err // of a call wrapper of the user's, who may have marked it
	}
	o := a.x.t.judge(&a.flight, err, a.x.s.client.Settings().TrustRefusals)
	if ctx.Err() != nil {
		effect := o.Effect
		o = resilience.Abandoned // package resilience knows whether the node is to blame
		o.Effect = effect
	}
	return resilience.Mark(err, o)
}

// Cut implements resilience.Cutter: an attempt of which nothing was sent can be
// cut whatever it would do, any other only if it may be repeated.
func (a *attempt) Cut(cause error) bool {
	phase := a.phase.Load()
	switch {
	case phase == waiting, phase == entered && a.x.t.carries.Load():
		if phase = a.stop(); phase >= sent && !a.repeat {
			return false // it was faster
		}
	case phase == answered, !a.repeat:
		return false
	}
	a.cancel(cause)
	return true
}

// options are those of a call that is one attempt to one node.
func (a *attempt) options(o *client.CallOptions) {
	o.Address = []string{a.node.Address} // go-micro looks for no other
	o.Retries, o.Retry, o.Backoff = 0, never, atOnce
	wrappers := make([]client.CallWrapper, 0, len(o.CallWrappers)+2)
	wrappers = append(wrappers, a.directed)
	wrappers = append(wrappers, o.CallWrappers...)
	o.CallWrappers = append(wrappers, a.innermost)
}

// directed goes around the user's call wrappers, and tells them of the node as
// the registry has it.
func (a *attempt) directed(next client.CallFunc) client.CallFunc {
	return func(ctx context.Context, _ *registry.Node, req client.Request, rsp any, o client.CallOptions) error {
		return next(ctx, a.node, req, rsp, o)
	}
}

// innermost is next to go-micro's call. The caller's deadline bounds it alone,
// and is what the server is told.
func (a *attempt) innermost(next client.CallFunc) client.CallFunc {
	return func(ctx context.Context, node *registry.Node, req client.Request, rsp any, o client.CallOptions) error {
		left := max(time.Until(a.until), time.Nanosecond)
		o.ConnectionTimeout = left
		if o.DialTimeout <= 0 || o.DialTimeout > left {
			o.DialTimeout = left // a dial cannot be ended
		}
		return a.fly(ctx, next, node, req, rsp, o)
	}
}

func never(context.Context, client.Request, int, error) (bool, error) { return false, nil }

func atOnce(context.Context, client.Request, int) (time.Duration, error) { return 0, nil }
