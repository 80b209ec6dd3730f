package resilience

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// ErrNoKey is returned for a call that is hinted as Keyed and has no key.
var ErrNoKey = errors.New("resilience: hint.key: want the idempotency key of a Keyed call, got none")

// Op is one attempt of a call, made to node. It should end when ctx does; one
// that does not is waited for. It may run more than once in a call, and
// (with hedging) more than once at a time: let each run have its own result.
type Op func(ctx context.Context, node *selector.Node) error

// Do makes a call: op is tried on one node after another as long as that is
// safe, worth it, affordable and in time. It returns nil, or the error of an
// attempt that was answered at once (the service's own answer, untouched), or
// an [*Error] that tells what became of every attempt. A panic in op passes
// through.
func (c *Client) Do(ctx context.Context, hint Hint, op Op) error {
	if op == nil {
		return errors.New("resilience: op: want a function, got nil")
	}
	return c.run(ctx, hint, op, nil)
}

// Call is Do for those who need more than the node: fn makes one attempt, and
// sees its [Call].
func (c *Client) Call(ctx context.Context, hint Hint, fn Func) error {
	if fn == nil {
		return errors.New("resilience: fn: want a function, got nil")
	}
	return c.run(ctx, hint, nil, fn)
}

// Do makes a call with a result. Each attempt's result is its own: what an
// abandoned attempt still writes is never seen. It is the zero value with an
// error, and where a [Fallback] answered for attempts that failed. It allocates what the compiler moves
// to the heap for the result: two small objects, besides what op allocates.
func Do[T any](ctx context.Context, c *Client, hint Hint, op func(context.Context, *selector.Node) (T, error)) (T, error) {
	var result T
	if op == nil {
		return result, errors.New("resilience: op: want a function, got nil")
	}
	err := c.Do(ctx, hint, func(ctx context.Context, node *selector.Node) error {
		r, err := op(ctx, node)
		if err == nil {
			result = r
		}
		return err
	})
	if err != nil { // a wrapper may have made an error of a success
		var none T
		return none, err
	}
	return result, nil
}

// The way of a call: run → deadline, your wrappers, bulkhead, fallback, service breaker
// → Retry → Select → Timeout → your attempt wrappers → attempt → op.

func (c *Client) run(ctx context.Context, hint Hint, op Op, fn Func) error {
	switch {
	case c == nil:
		return errors.New("resilience: client: want one made by New, got nil")
	case ctx == nil:
		return errors.New("resilience: ctx: want a context, got nil")
	case hint.Idempotency == retry.Keyed && hint.Key == "":
		return ErrNoKey
	}
	p := c.path.Load()
	f := frames.Get().(*frame)
	f.path = p
	call := &f.call // field by field: a literal would be built elsewhere and copied
	call.Service, call.Method, call.Key = c.service, hint.Method, hint.Key
	call.op, call.fn, call.frame, call.method = op, fn, f, &noOverrides
	if len(p.methods) > 0 {
		if m := p.methods[hint.Method]; m != nil {
			call.method = m
		}
	}
	call.Idempotency = hint.Idempotency.Or(call.method.Idempotency).Or(hint.Default)
	if call.Idempotency == retry.Keyed && call.Key == "" {
		call.Idempotency = retry.NonIdempotent // a setting cannot promise for a key that is not there
	}
	err := p.call(ctx, call)
	f.release() // not after a panic: somebody may still hold the Call
	return err
}

// attempt is the innermost Func.
func attempt(ctx context.Context, call *Call) error {
	if call.fn != nil {
		return call.fn(ctx, call)
	}
	return call.op(ctx, call.Node)
}

var noOverrides MethodSettings

// frame is the memory of one call, reused.
type frame struct {
	path     *path
	call     Call
	attempt  Call
	try      try
	attempts []Attempt
	tried    []*selector.Node
	pauses   retry.Intervals

	inline struct {
		attempts [2]Attempt
		tried    [2]*selector.Node
	}
}

var frames = sync.Pool{New: func() any { return new(frame) }}

func (f *frame) release() {
	f.path = nil
	f.call.Attempt, f.call.Node, f.call.try, f.call.clk = 0, nil, nil, nil
	f.call.op, f.call.fn = nil, nil // what belongs to the caller must not stay alive
	f.attempt.op, f.attempt.fn = nil, nil
	if len(f.attempts) > 0 {
		f.attempts, f.tried, f.pauses = nil, nil, retry.Intervals{}
		f.inline.attempts, f.inline.tried = [2]Attempt{}, [2]*selector.Node{}
	}
	frames.Put(f)
}

// Attempt is what became of one attempt.
type Attempt struct {
	Node    *selector.Node // nil: none was chosen
	Outcome Outcome
	Err     error
	Start   time.Time
	Elapsed time.Duration
}
