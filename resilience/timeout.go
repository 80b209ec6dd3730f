package resilience

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/retry"
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
// Nor is an attempt cut while the service as a whole takes as long, since it
// is overloaded: the next would wait as well, and add to the load. It is looked
// at again three timeouts later, and so on.
//
// The attempt's context carries no deadline of the attempt's own, for it is
// not certain to be cut; context.Cause is [ErrAttemptTimeout] when it was.
func Timeout(cfg Timeouts) Wrapper {
	if cfg.Clock == nil {
		cfg.Clock = clock.System
	}
	crowd := new(crowd)
	cutters := &sync.Pool{New: func() any { return newCutter(cfg.Clock, crowd) }} // of our own: their timers run on
	return func(next Func) Func {
		return func(ctx context.Context, call *Call) error {
			d := cfg.after(ctx, call)
			if d <= 0 {
				return next(ctx, call)
			}
			c := cutters.Get().(*cutter)
			defer cutters.Put(c)
			return c.bounded(ctx, call, next, d, cfg.OwnCut)
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

// cutter ends attempts at their timeout, one after the other. Its alarm may
// ring when the attempt is over, or for the one before.
type cutter struct {
	clk   clock.Clock
	ring  func() // fire
	crowd *crowd

	mu      sync.Mutex
	alarm   clock.Alarm
	attempt uint64                  // counts them
	ctx     context.Context         // the attempt's
	call    *Call                   // nil when the attempt is over
	full    time.Duration           // the timeout
	due     time.Duration           // when to look at the attempt
	after   time.Duration           // when it was cut
	until   time.Time               // the caller's deadline; zero: none
	cancel  context.CancelCauseFunc // nil: must not be cut
	by      Cutter                  // cuts, in place of cancel
	cut     bool
	panics  any // what a listener threw at fire, for the attempt's own goroutine
}

func newCutter(clk clock.Clock, crowd *crowd) *cutter {
	c := &cutter{clk: clk, crowd: crowd}
	c.ring = c.fire
	return c
}

// bounded makes the attempt under a timeout of d.
func (c *cutter) bounded(ctx context.Context, call *Call, next Func, d time.Duration, ownCut bool) error {
	var cancel context.CancelCauseFunc
	if ownCut && call.try != nil {
		call.try.cutter = c
	} else if call.again() {
		ctx, cancel = c.clk.WithCancel(ctx)
	}
	until, _ := ctx.Deadline()
	c.begin(ctx, call, d, until, cancel)
	returned := false
	defer func() { // a panic leaves neither timer nor context nor a retry that is taken and not made
		if cut := c.end(); cut && !returned {
			call.try.refund(ctx)
		}
	}()
	err := next(ctx, call)
	returned = true
	cut := c.end()
	if c.panics != nil {
		panic(c.panics)
	}
	if cut {
		call.try.reserved, call.try.early = true, c.after < d
		if err != nil {
			err = &TimeoutError{After: c.after, Err: err}
		}
	}
	return err
}

func (c *cutter) begin(ctx context.Context, call *Call, d time.Duration, until time.Time, cancel context.CancelCauseFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attempt++
	c.ctx, c.call, c.full, c.until, c.cancel = ctx, call, d, until, cancel
	c.cut, c.panics = false, nil
	if call.clk == nil { // stacked by hand, without Retry and Select
		call.begins(c.clk, c.clk.Mono())
	}
	c.due = c.first()
	c.alarm.Set(c.clk, call.start+int64(c.due), c.due, c.ring)
}

// An attempt that takes longer than is usual is looked at before its timeout:
// if its node has fallen silent there is no point in waiting.
const (
	firstLook = 3 // times what is usual; the next is at a quarter as much again
	soonest   = 10 * time.Millisecond
)

// first is when to look at the attempt first.
func (c *cutter) first() time.Duration {
	if t := c.call.try; t != nil && t.sel != nil {
		if usual := t.picked.Typical(); usual > 0 {
			return min(c.full, max(firstLook*usual, soonest))
		}
	}
	return c.full
}

// fire looks at the attempt if it is due, and again later if it goes on.
func (c *cutter) fire() {
	tell, attempt := c.look()
	if tell == nil {
		return
	}
	defer func() {
		// On a timer's goroutine a listener's panic would end the process. It
		// goes to the attempt's, or to nobody if that is over.
		if thrown := recover(); thrown != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.call != nil && c.attempt == attempt {
				c.panics = thrown
			}
		}
	}()
	tell()
}

// look cuts the attempt if its node is silent, or if the timeout is over; if it
// must not be cut then, the node is slow. Otherwise the attempt is to be looked
// at again. tell speaks to listeners, outside the lock.
func (c *cutter) look() (tell func(), attempt uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alarm.Rang()
	call := c.call
	if call == nil {
		return nil, 0
	}
	age := time.Duration(c.clk.Mono() - call.start)
	if age >= c.due {
		over, crowded := age >= c.full, c.crowded(call, age)
		// Who was late himself cannot tell whether the node is.
		silent := over
		if late := age > c.due+c.due/4+time.Millisecond; !over && !late {
			silent, tell = call.try.overdue()
		}
		switch {
		case silent && !(over && crowded) && c.cutNow(call):
			c.after = age
			return tell, c.attempt
		case over && call.try == nil:
			return nil, 0
		case over:
			if tell = call.try.markLate(); !crowded || !c.cuttable(call) {
				return tell, c.attempt
			}
			c.due = age + crowdMemory*c.full // by then it may be the node alone that does not answer
		default:
			c.due = min(age+age/4, c.full)
		}
	}
	c.alarm.Set(c.clk, call.start+int64(c.due), c.due-age, c.ring)
	return tell, c.attempt
}

// crowded reports whether it is the whole service that is slow. Caller holds mu.
func (c *cutter) crowded(call *Call, age time.Duration) bool {
	t := call.try
	return t != nil && t.sel != nil && c.crowd.slow(t.sel, call.start+int64(age), age, c.full)
}

// cuttable reports whether the attempt may be cut, time and budget aside. Caller
// holds mu.
func (c *cutter) cuttable(call *Call) bool { return c.cancel != nil || c.by != nil && !call.Last() }

// cutNow cuts the attempt, if another can be made. Caller holds mu.
func (c *cutter) cutNow(call *Call) bool {
	if c.cancel != nil && c.affordable(call.try) {
		c.cut = true
		c.cancel(ErrAttemptTimeout)
		return true
	}
	return c.cutBy(call)
}

// affordable reports whether another attempt could finish in time, and pays
// for it.
func (c *cutter) affordable(t *try) bool {
	now := c.clk.Now()
	if !c.until.IsZero() {
		var need time.Duration
		if t.sel != nil {
			need = t.picked.Typical()
		}
		if need >= c.until.Sub(now) {
			return false
		}
	}
	return t.pay(c.ctx, now) == retry.Granted
}

func (c *cutter) end() (cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.call != nil && c.call.try != nil {
		c.call.try.cutter = nil
	}
	c.by, c.ctx = nil, nil
	c.alarm.Clear()
	if c.call = nil; c.cancel != nil {
		c.cancel(nil)
		c.cancel = nil
	}
	return c.cut
}
