package grpcwrap

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// exchange is one call.
type exchange struct {
	c       *Client
	key     string
	expires time.Time // when the server forgets the key; zero: it has not said
	tries   int
	silent  []*selector.Node // that attempts failed on without a word from them
	answer  error            // of the last attempt, as gRPC returned it, if it was answered
}

// unaryCall is what a unary call needs on its way, used again.
type unaryCall struct {
	exchange
	method     string
	req, reply any
	cc         *grpc.ClientConn
	invoker    grpc.UnaryInvoker
	opts       []grpc.CallOption
	fn         resilience.Func
}

var unaryCalls = sync.Pool{New: func() any {
	u := new(unaryCall)
	u.fn = u.attempt
	return u
}}

// unary is the interceptor: the way of a call is key → client.Call → attempt,
// once or more → what gRPC returned, or an Error.
func (c *Client) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if !c.nodes.known.Load() {
		if err := c.begin(ctx, cc, func(ctx context.Context) error { return invoker(ctx, method, req, reply, cc, opts...) }); err != nil {
			return err
		}
	}
	hint := c.hint(ctx, method)
	ctx, err := c.key(ctx, &hint)
	if err != nil {
		return &Error{Method: method, Err: err}
	}
	u := unaryCalls.Get().(*unaryCall)
	u.exchange = exchange{c: c, key: hint.Key, expires: resumed(ctx)}
	u.method, u.req, u.reply, u.cc, u.invoker, u.opts = method, req, reply, cc, invoker, opts
	err = u.end(method, c.client.Call(ctx, hint, u.fn))
	u.exchange = exchange{}
	u.req, u.reply, u.cc, u.invoker, u.opts = nil, nil, nil, nil, nil
	unaryCalls.Put(u) // not after a panic
	return err
}

func (u *unaryCall) attempt(ctx context.Context, call *resilience.Call) error {
	if !u.alive(call) {
		return resilience.Mark(ErrKeyExpired, expired)
	}
	// Not used again: gRPC may know a context for longer than the call lasts.
	a := &attempt{c: u.c, node: call.Node, kind: call.Idempotency}
	defer a.ends()
	a.bind(ctx, call)
	a.tells = a.told(call)
	u.revisit(call.Node)
	err := u.invoker(a, u.method, u.req, u.reply, u.cc, u.opts...)
	return u.judge(ctx, call, a, err)
}

// revisit gives a node that the call has had no answer from another
// connection: the one that there is may be what is wrong, and behind one
// address there may be several servers. Calls that come together share it.
func (x *exchange) revisit(n *selector.Node) {
	if slices.Contains(x.silent, n) {
		x.c.renew(n.ID, freshFor)
	}
}

const freshFor = time.Second

// begin sees to it that nodes are known: before the first call, gRPC has not
// even asked the resolver. An attempt without a node waits for that as any RPC
// does, and goes nowhere.
func (c *Client) begin(ctx context.Context, cc *grpc.ClientConn, rpc func(context.Context) error) error {
	if !c.claimed.Load() {
		return status.Error(codes.Internal, "grpcwrap: an option after grpcwrap's has named another default service config, and so another balancer")
	}
	c.follow.Do(func() { c.work.Go(func() { c.followClosing(cc) }) })
	err := rpc(&attempt{Context: ctx, c: c})
	if c.nodes.known.Load() {
		return nil
	}
	return err
}

// followClosing closes the client when its ClientConn is closed.
func (c *Client) followClosing(cc *grpc.ClientConn) {
	for s := cc.GetState(); s != connectivity.Shutdown; s = cc.GetState() {
		cc.WaitForStateChange(context.Background(), s)
	}
	_ = c.Close() // nobody could be told
}

// end makes of a call's error what its caller sees.
func (x *exchange) end(method string, err error) error {
	if err == nil {
		return nil
	}
	var e *resilience.Error
	if !errors.As(err, &e) && x.answer != nil {
		return x.answer // the service's own, untouched
	}
	if errors.Is(err, selector.ErrNoNodes) {
		if last := x.c.nodes.lastErr(); last != nil {
			err = errors.Join(err, last)
		}
	}
	return &Error{Method: method, Key: x.key, KeyExpires: x.expires, Err: err}
}
