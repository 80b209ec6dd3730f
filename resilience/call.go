package resilience

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// Func makes a call, or one attempt of it.
type Func func(ctx context.Context, call *Call) error

// Wrapper adds something around a Func.
type Wrapper func(next Func) Func

// Stack makes one Wrapper of several; the first is outermost. Nil wrappers
// are left out.
func Stack(wrappers ...Wrapper) Wrapper {
	wrappers = slices.DeleteFunc(slices.Clone(wrappers), func(w Wrapper) bool { return w == nil })
	return func(next Func) Func {
		for _, w := range slices.Backward(wrappers) {
			if next = w(next); next == nil {
				next = failing("a wrapper returned a nil Func")
			}
		}
		return next
	}
}

// failing is a Func for a stack that cannot work.
func failing(why string) Func {
	return func(context.Context, *Call) error { return errors.New("resilience: " + why) }
}

// Call describes a call to the wrappers around it, or one attempt to the
// wrappers around that.
//
// A *Call belongs to the Func it was given to until that Func returns; then
// its memory is used again. Nobody may keep it longer, or hand it to a
// goroutine that outlives the Func: keep a Clone. Attempts may overlap, each
// with a Call of its own. A wrapper may change Method, Idempotency and Key
// before it calls next, and nothing else.
type Call struct {
	Service     string
	Method      string
	Idempotency retry.Idempotency
	Key         string // idempotency key; may be empty

	Attempt int            // 1 for the first; 0 around the whole call
	Node    *selector.Node // where the attempt goes; nil around the whole call and the selection

	start int64       // as clk's Mono tells it
	clk   clock.Clock // set with start, by Retry; nil: it has not started

	op     Op
	fn     Func
	frame  *frame
	method *MethodSettings
	try    *try // of an attempt; nil around the whole call
}

// try is what the pieces tell each other about one attempt.
type try struct {
	picked   selector.Picked
	shadow   selector.Picked // of Selects.Shadow
	sel      *selector.Selector
	outcome  Outcome
	judged   bool          // outcome is set, by Select
	elapsed  time.Duration // set with judged; 0 of a success that nobody wanted to be timed
	tried    []*selector.Node
	allowed  int  // attempts allowed in all
	observed bool // somebody wants to know how long it took
	budget   *retry.Budget
	reserved bool    // the timeout has taken the next attempt's retry from the budget
	early    bool    // it was cut before its timeout, since its node was silent
	cutter   *cutter // while the attempt runs under a timeout that its Func applies itself
}

// overdue asks whether waiting is in vain; who only watches is asked too.
func (t *try) overdue() (silent bool, tell func()) {
	silent, first := t.picked.Overdue()
	if t.shadow.Node() == nil {
		return silent, first
	}
	_, second := t.shadow.Overdue()
	return silent, func() { first(); second() }
}

// markLate says that the attempt has run past its timeout and goes on.
func (t *try) markLate() (tell func()) {
	first := t.picked.MarkLate()
	if t.shadow.Node() == nil {
		return first
	}
	second := t.shadow.MarkLate()
	return func() { first(); second() }
}

// begin makes t ready for an attempt. It touches what is read before it is
// written, and no more: it is on every call's way.
func (t *try) begin(tried []*selector.Node, allowed int, r *Retries) {
	t.sel, t.judged = nil, false
	t.tried, t.allowed, t.budget, t.reserved, t.early = tried, allowed, r.Budget, false, false
	t.observed = r.Observer != nil
}

// Start is when the call or the attempt began; zero for wrappers around the
// whole call until then.
func (c *Call) Start() time.Time {
	if c.clk == nil {
		return time.Time{}
	}
	return c.clk.At(c.start)
}

// begins makes c begin.
func (c *Call) begins(clk clock.Clock, start int64) { c.clk, c.start = clk, start }

// ended is when the attempt ended.
func (c *Call) ended() time.Time { return c.clk.At(c.start + int64(c.try.elapsed)) }

// Clone returns a copy that may be kept. It describes the call and cannot
// make it.
func (c *Call) Clone() *Call {
	return &Call{
		Service: c.Service, Method: c.Method, Idempotency: c.Idempotency, Key: c.Key,
		Attempt: c.Attempt, Node: c.Node, start: c.start, clk: c.clk,
	}
}

// Hold keeps the attempt in flight at its node after the Func has returned,
// for a response that is still being read; release ends it and may be called
// more than once. It is for the innermost Func, once an attempt.
func (c *Call) Hold() (release func()) {
	if c.try == nil {
		return func() {}
	}
	return c.try.picked.Hold()
}

// HoldIn is Hold without allocations: h releases.
func (c *Call) HoldIn(h *selector.Held) {
	if c.try != nil {
		c.try.picked.HoldIn(h)
	}
}

// Probe reports whether the attempt goes to an ejected node, to see whether
// it is well again.
func (c *Call) Probe() bool { return c.try != nil && c.try.picked.Probe() }

// Last reports whether this attempt is known to be the call's last: nobody
// will try again, whatever its outcome.
func (c *Call) Last() bool { return c.try == nil || c.Attempt >= c.try.allowed }

// again reports whether an attempt that ends in doubt may be followed by
// another, budget and time aside.
func (c *Call) again() bool { return c.Idempotency.Repeatable() && !c.Last() }

// Hint is what the caller knows of the call.
type Hint struct {
	Method      string            // names the operation in judgements, events and errors; a bounded set is best
	Idempotency retry.Idempotency // highest precedence; Unspecified: ask the settings, then Default
	Key         string            // idempotency key
	Default     retry.Idempotency // the protocol's default for the method; lowest precedence
}

// Safe is the hint for a call that changes nothing.
func Safe(method string) Hint { return Hint{Method: method, Idempotency: retry.Safe} }

// Idempotent is the hint for a call that may be carried out more than once.
func Idempotent(method string) Hint { return Hint{Method: method, Idempotency: retry.Idempotent} }

// Keyed is the hint for a call that carries an idempotency key by which the
// server deduplicates. Without that server it is a wrong promise.
func Keyed(method, key string) Hint {
	return Hint{Method: method, Idempotency: retry.Keyed, Key: key}
}

// Unsafe is the hint for a call that must not be carried out twice.
func Unsafe(method string) Hint { return Hint{Method: method, Idempotency: retry.NonIdempotent} }
