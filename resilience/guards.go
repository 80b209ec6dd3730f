package resilience

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/retry"
)

// ErrBulkheadFull is matched by what [Bulkhead] turns away.
var ErrBulkheadFull = errors.New("bulkhead full")

// Bulkhead lets at most limit calls pass at once and turns others away, with
// [ErrBulkheadFull], [Rejected]. A limit of 0 or less lets all pass.
func Bulkhead(limit int) Wrapper {
	if limit <= 0 {
		return pass
	}
	return new(bulkhead).wrapper(limit)
}

// pass is a Wrapper that adds nothing.
func pass(next Func) Func { return next }

// bulkhead counts what is in, over changes of the limit.
type bulkhead struct{ in atomic.Int64 }

func (b *bulkhead) wrapper(limit int) Wrapper {
	if limit <= 0 {
		return nil
	}
	return func(next Func) Func {
		return func(ctx context.Context, call *Call) error {
			defer b.in.Add(-1)
			if b.in.Add(1) > int64(limit) {
				return turnAway(ctx, call, ErrBulkheadFull, 0)
			}
			return next(ctx, call)
		}
	}
}

// Fallback answers in place of a call that failed: f is given the error and
// returns nil, or an error of its own, which is joined with the first so that
// both can be matched. Answers of the service ([Failed]) and calls that the
// caller cancelled are not replaced; those that ran out of time are, and f is
// given the context that ended. A nil f does nothing.
func Fallback(f func(ctx context.Context, call *Call, err error) error) Wrapper {
	if f == nil {
		return pass
	}
	return func(next Func) Func {
		return func(ctx context.Context, call *Call) error {
			err := next(ctx, call)
			if err == nil || errors.Is(ctx.Err(), context.Canceled) || callOutcome(ctx, call, err).Effect == retry.Answered {
				return err
			}
			second := f(ctx, call, err)
			tellFallback(ctx, call, second)
			if second == nil || errors.Is(second, err) {
				return second
			}
			return errors.Join(second, err)
		}
	}
}

// tellFallback tells the client's observer how a fallback ended.
func tellFallback(ctx context.Context, call *Call, err error) {
	f := call.frame
	if f == nil || f.path == nil || f.path.observer == nil {
		return
	}
	e := callEvent(ctx, call, f.path.clk.Now(), len(f.attempts), Outcome{}, 0, err)
	e.Kind = FallbackDone
	f.path.observer.Observe(e)
}

// Break guards calls by the breaker that of gives for them, with a rejection
// that matches breaker.ErrOpen, [Rejected]. Around attempts it is for stacks
// without [Select], whose choice asks each node's breaker already; a
// breaker.Group serves as of:
//
//	resilience.Break(func(c *resilience.Call) breaker.Breaker { return group.Get(c.Method) }, nil)
//
// A nil breaker lets the call pass. clk is the clock, nil: the real one.
func Break(of func(*Call) breaker.Breaker, clk clock.Clock) Wrapper {
	if of == nil {
		return pass
	}
	if clk == nil {
		clk = clock.System
	}
	return func(next Func) Func {
		return func(ctx context.Context, call *Call) error {
			b := of(call)
			if b == nil {
				return next(ctx, call)
			}
			start := clk.Now()
			permit, after, ok := b.TryAcquire(start)
			if !ok {
				return turnAway(ctx, call, &breaker.OpenError{Key: call.Service, RetryAfter: after}, after)
			}
			defer permit.Done(breaker.Report{}) // after a panic; otherwise it is done already
			err := next(ctx, call)
			permit.Done(breaker.Report{Result: callOutcome(ctx, call, err).Node, Start: start, Elapsed: clk.Now().Sub(start)})
			return err
		}
	}
}

// ServiceBreaker guards whole calls by one breaker: it opens when calls fail
// in spite of their retries. It is for those who want a classic breaker; the
// nodes' own breakers need none above them.
func ServiceBreaker(b breaker.Breaker, clk clock.Clock) Wrapper {
	return Break(func(*Call) breaker.Breaker { return b }, clk)
}

// turnAway is a rejection on our side of the wire. Around a whole call it is
// the call's error; around an attempt it is one attempt's.
func turnAway(ctx context.Context, call *Call, err error, after time.Duration) error {
	if call.Attempt > 0 {
		o := Rejected
		o.After = after
		return Mark(err, o)
	}
	e := &Error{Service: call.Service, Method: call.Method, Key: call.Key, Why: retry.Stopped, Err: err}
	f := call.frame
	if f == nil {
		return e
	}
	e.Attempts = append(e.Attempts, f.attempts...) // of a run before, where a wrapper makes the call again
	if f.path.observer != nil {                    // Retry, which tells of all others, will not see it
		call.begins(f.path.clk, f.path.clk.Mono())
		f.path.observer.Observe(callEvent(ctx, call, call.Start(), len(e.Attempts), Rejected, e.Why, e))
	}
	return e
}

// callOutcome judges a whole call, or an attempt.
func callOutcome(ctx context.Context, call *Call, err error) Outcome {
	if err == nil || call.Attempt > 0 {
		return Classify(ctx, err)
	}
	if f := call.frame; f != nil && len(f.attempts) == 1 && f.attempts[0].Outcome.Effect == retry.Answered {
		return f.attempts[0].Outcome // the service's own answer, by the client's own Classify
	}
	var e *Error
	if _, from := evidence(err); from != nothing || !errors.As(err, &e) {
		return Classify(ctx, err)
	}
	if len(e.Attempts) == 0 {
		return Rejected
	}
	o := e.Attempts[len(e.Attempts)-1].Outcome
	if e.Ambiguous() {
		o.Effect = retry.Possible
	}
	return o
}
