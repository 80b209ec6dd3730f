package resilience

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// ErrAttemptTimeout is matched by the error of an attempt that was cut by its
// timeout; so is context.DeadlineExceeded.
var ErrAttemptTimeout = errors.New("attempt timed out")

// TimeoutError is an attempt that was cut by its timeout.
type TimeoutError struct {
	After time.Duration
	Err   error // what the attempt returned when it was cut
}

// Error implements error.
func (e *TimeoutError) Error() string {
	return fmt.Sprintf("attempt timed out after %v: %v", e.After, e.Err)
}

// Timeout tells net.Error users that it was one.
func (*TimeoutError) Timeout() bool { return true }

// Unwrap returns Err.
func (e *TimeoutError) Unwrap() error { return e.Err }

// Is matches ErrAttemptTimeout and context.DeadlineExceeded.
func (e *TimeoutError) Is(target error) bool {
	return target == ErrAttemptTimeout || target == context.DeadlineExceeded
}

// Timeouts configures [Timeout].
type Timeouts struct {
	// After bounds one attempt; a method's setting goes before it. 0: the
	// time left before the caller's deadline divided by the attempts left; no
	// bound where there is no deadline. Negative: off.
	After time.Duration

	// OwnCut leaves the cut to the op: see [Call.CutBy]. The attempt's
	// context is then not cancelled.
	OwnCut bool

	Clock clock.Clock // nil: the real one
}

// Timeout bounds an attempt. It cuts the attempt only where another is
// permitted (the call is repeatable; attempts, time and budget are left); elsewhere
// the attempt goes on to the caller's deadline, and the timeout only tells the
// selector that the node is slow. So a timeout alone never makes a failure.
//
// The attempt's context carries no deadline of the attempt's own, for it is
// not certain to be cut; context.Cause is [ErrAttemptTimeout] when it was.
func Timeout(cfg Timeouts) Wrapper {
	if cfg.Clock == nil {
		cfg.Clock = clock.System
	}
	return func(next Func) Func {
		return func(ctx context.Context, call *Call) error {
			d := cfg.after(ctx, call)
			if d <= 0 {
				return next(ctx, call)
			}
			return cfg.bounded(ctx, call, next, d)
		}
	}
}

func (cfg *Timeouts) after(ctx context.Context, call *Call) time.Duration {
	d := cfg.After
	if call.method != nil && call.method.AttemptTimeout != 0 {
		d = call.method.AttemptTimeout
	}
	if d != 0 {
		return d
	}
	deadline, ok := ctx.Deadline()
	if !ok || call.Last() {
		return 0
	}
	return deadline.Sub(call.Start()) / time.Duration(call.try.allowed-call.Attempt+1)
}

// cutter ends an attempt at its timeout. Its own memory: the timer may fire
// when the call is long over. It is used again only if the timer did not.
type cutter struct {
	alarm clock.Alarm
	ring  func() // fire

	mu     sync.Mutex
	call   *Call         // nil when the attempt is over
	full   time.Duration // the timeout
	after  time.Duration // when it was cut
	clk    clock.Clock
	until  time.Time               // the caller's deadline; zero: none
	cancel context.CancelCauseFunc // nil: must not be cut
	by     Cutter                  // cuts, in place of cancel
	cut    bool
	panics any // what a listener threw at fire, for the attempt's own goroutine
}

var cutters = sync.Pool{New: func() any {
	c := new(cutter)
	c.ring = c.fire
	return c
}}

func (cfg *Timeouts) bounded(ctx context.Context, call *Call, next Func, d time.Duration) error {
	c := cutters.Get().(*cutter)
	c.call, c.clk, c.cut, c.full = call, cfg.Clock, false, d
	c.until, _ = ctx.Deadline()
	if cfg.OwnCut && call.try != nil {
		call.try.cutter = c
	} else if call.again() {
		ctx, c.cancel = cfg.Clock.WithCancel(ctx)
	}
	c.alarm.Start(cfg.Clock, c.first(), c.ring)
	returned := false
	defer func() { // a panic leaves neither timer nor context nor a retry that is taken and not made
		if cut := c.end(); cut && !returned && call.try.budget != nil {
			call.try.budget.Return()
		}
		if c.alarm.Stop() {
			cutters.Put(c)
		}
	}()
	err := next(ctx, call)
	returned = true
	cut := c.end()
	if c.panics != nil {
		panic(c.panics)
	}
	if cut {
		call.try.reserved = true
		if err != nil {
			err = &TimeoutError{After: c.after, Err: err}
		}
	}
	return err
}

// An attempt that takes longer than is usual is looked at before its timeout:
// if its node has fallen silent there is no point in waiting.
const firstLook = 4 // times what is usual; the next is at half as much again

// first is when to look at the attempt first.
func (c *cutter) first() time.Duration {
	if t := c.call.try; t != nil && t.sel != nil {
		if usual := t.sel.Typical(c.call.Method); usual > 0 {
			return min(c.full, max(firstLook*usual, time.Millisecond))
		}
	}
	return c.full
}

// fire looks at the attempt, and again later if it goes on.
func (c *cutter) fire() {
	tell, again := c.look()
	c.tell(tell)
	if again > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.call != nil {
			c.alarm.Start(c.clk, again, c.ring)
		}
	}
}

// tell speaks to listeners, outside the lock.
func (c *cutter) tell(tell func()) {
	if tell == nil {
		return
	}
	defer func() {
		// On a timer's goroutine a listener's panic would end the process. It
		// goes to the attempt's, or to nobody if that is over.
		if thrown := recover(); thrown != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.call != nil {
				c.panics = thrown
			}
		}
	}()
	tell()
}

// look cuts the attempt if its node is silent, or if the timeout is over; if it
// must not be cut then, the node is slow, and tell says so. Otherwise the
// attempt is to be looked at again.
func (c *cutter) look() (tell func(), again time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.call
	if call == nil {
		return nil, 0
	}
	age := time.Duration(c.clk.Mono() - call.start)
	if age < c.full {
		again = min(age/2, c.full-age)
		var silent bool
		if silent, tell = call.try.picked.Overdue(); !silent {
			return tell, again
		}
	}
	switch {
	case c.cutNow(call):
		c.after = age
		return tell, 0
	case age < c.full:
		return tell, again
	case call.try == nil:
		return nil, 0
	}
	return call.try.picked.MarkLate(), 0
}

// cutNow cuts the attempt, if another can be made. Caller holds mu.
func (c *cutter) cutNow(call *Call) bool {
	if c.cancel != nil && c.affordable(call.try) {
		c.cut = true
		c.cancel(ErrAttemptTimeout)
		return true
	}
	return c.cutBy(call)
}

// affordable reports whether another attempt could finish in time, and takes
// it from the budget.
func (c *cutter) affordable(t *try) bool {
	now := c.clk.Now()
	if !c.until.IsZero() {
		var need time.Duration
		if t.sel != nil {
			need = t.sel.Typical(c.call.Method)
		}
		if need >= c.until.Sub(now) {
			return false
		}
	}
	return t.budget == nil || t.budget.Take(now)
}

func (c *cutter) end() (cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.call != nil && c.call.try != nil {
		c.call.try.cutter = nil
	}
	c.by = nil
	if c.call = nil; c.cancel != nil {
		c.cancel(nil)
		c.cancel = nil
	}
	return c.cut
}
