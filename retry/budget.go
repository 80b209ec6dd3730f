package retry

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// BudgetConfig describes a [Budget]. The zero value is good.
type BudgetConfig struct {
	// Share is how many retries a success pays for. Default 0.2: retries add
	// at most a fifth to the traffic. Negative: no budget, every retry is
	// granted.
	Share float64

	// Floor is how many retries a second are granted besides, so that a
	// client with little traffic can retry at all. Default 2, negative: none.
	Floor float64

	// Window is how much of the recent past may be saved up for a burst; one
	// retry always may. Default 10 s.
	Window time.Duration

	// Successes, if not nil, reads a counter of successes that is kept
	// already; then [Budget.Success] has nothing to do, and a healthy call
	// costs the budget nothing. It may go backwards, and earns nothing by it:
	// a step back is made up for before anything counts again, unless less
	// than half is left, which means that the counter was reset.
	Successes func() uint64
}

// Validate returns all that is wrong, joined.
func (c BudgetConfig) Validate() error {
	var errs []error
	if math.IsNaN(c.Share) || c.Share > 10 {
		errs = append(errs, fmt.Errorf("budget.share %v: want above 0, at most 10 (0: default 0.2, negative: no budget)", c.Share))
	}
	if math.IsNaN(c.Floor) || math.IsInf(c.Floor, 1) {
		errs = append(errs, fmt.Errorf("budget.floor %v: want a finite number of retries a second (0: default 2, negative: none)", c.Floor))
	}
	if c.Window < 0 {
		errs = append(errs, fmt.Errorf("budget.window %v: want 0 (default 10s) or more", c.Window))
	}
	return errors.Join(errs...)
}

// Budget bounds retries to a share of the successes plus a small floor, so
// that they cannot feed an overload (Google SRE book, ch. 22; Finagle's
// RetryBudget). What is earned in Window can be saved; the cap follows the
// measured rate, so that a burst after a crash at 10 000 rps is paid for, and
// an outage at 10 rps is not hammered.
//
// Nothing is written for a success when Successes is given; otherwise Success
// adds to one counter. It is safe for concurrent use; make one by [NewBudget].
type Budget struct {
	counts    bool          // successes itself; never changes
	low       atomic.Bool   // less than half is left, when somebody last looked
	counter   atomic.Uint64 // successes, where nobody else counts them
	successes func() uint64 // reads them; never changes

	mu       sync.Mutex
	cfg      BudgetConfig
	tokens   float64
	rate     float64   // successes per second, averaged over Window
	seen     uint64    // successes at …
	seenAt   time.Time // … this instant
	measured time.Duration
}

// NewBudget returns a budget that starts at now with what the floor earns in
// a window.
func NewBudget(cfg BudgetConfig, now time.Time) (*Budget, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	b := &Budget{cfg: withDefaults(cfg), seenAt: now, successes: cfg.Successes}
	if b.counts = b.successes == nil; b.counts {
		b.successes = b.counter.Load
	}
	b.tokens = b.cfg.Window.Seconds() * b.cfg.Floor
	b.seen = b.successes()
	return b, nil
}

func withDefaults(cfg BudgetConfig) BudgetConfig {
	if cfg.Share == 0 {
		cfg.Share = 0.2
	}
	if cfg.Floor == 0 {
		cfg.Floor = 2
	}
	cfg.Floor = max(cfg.Floor, 0)
	if cfg.Window == 0 {
		cfg.Window = 10 * time.Second
	}
	return cfg
}

// Update changes the share, floor and window; what is saved up stays, within
// the new cap.
func (b *Budget) Update(cfg BudgetConfig) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cfg = withDefaults(cfg)
	b.set(b.tokens)
	return nil
}

// Success reports a call that succeeded. It has no effect where
// BudgetConfig.Successes is given.
func (b *Budget) Success() {
	if b.counts {
		b.counter.Add(1)
	}
}

// Take spends one retry, and reports whether there was one.
func (b *Budget) Take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cfg.Share < 0 {
		return true
	}
	b.earn(now)
	if b.tokens < 1 {
		return false
	}
	b.set(b.tokens - 1)
	return true
}

// Charge spends n retries that somebody else has made for this client: the
// server of a call, which then has reported them. It may leave a debt, up to
// what can be saved up.
func (b *Budget) Charge(n int, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cfg.Share < 0 || n <= 0 {
		return
	}
	b.earn(now)
	b.set(max(b.tokens-float64(n), -b.most()))
}

// Credit is how many retries a server that is called may make for this client:
// as many as are left, or any number (limited is false) while that is half or
// more of what can be saved up; then it costs one load, and now is not called.
func (b *Budget) Credit(now func() time.Time) (n int, limited bool) {
	if b == nil || !b.low.Load() {
		return 0, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cfg.Share < 0 {
		return 0, false
	}
	b.earn(now())
	b.set(b.tokens)
	return max(int(b.tokens), 0), b.low.Load()
}

// set changes the tokens, within the cap.
func (b *Budget) set(tokens float64) {
	most := b.most()
	b.tokens = min(tokens, most)
	if low := b.tokens < most/2; low != b.low.Load() {
		b.low.Store(low)
	}
}

// Return gives back a retry that was taken and not made.
func (b *Budget) Return() {
	if b == nil { // unbounded: nothing was taken
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set(b.tokens + 1)
}

// Balance returns the retries that can be made at once, and the most that can
// be saved up. Both are +Inf where there is no budget.
func (b *Budget) Balance(now time.Time) (tokens, most float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cfg.Share < 0 {
		return math.Inf(1), math.Inf(1)
	}
	b.earn(now)
	return max(b.tokens, 0), b.most()
}

// most is at least one, or a floor of a retry a minute would never grant it.
func (b *Budget) most() float64 {
	return max(1, b.cfg.Window.Seconds()*(max(b.cfg.Share, 0)*b.rate+b.cfg.Floor))
}

// earn credits what came in since it was last called. The rate is a plain
// average until a window has been measured, then an exponential one. Reading
// the successes may cost a walk over all nodes: while there is something to
// spend, once in a thousandth of the window is enough.
func (b *Budget) earn(now time.Time) {
	dt := now.Sub(b.seenAt)
	if dt <= 0 || (b.tokens >= 1 && dt < b.cfg.Window/1000) {
		return
	}
	b.seenAt = now
	s := b.successes()
	var ds float64
	switch {
	case s > b.seen:
		ds, b.seen = float64(s-b.seen), s
	case s < b.seen/2:
		b.seen = s
	}
	b.measured = min(b.measured+dt, b.cfg.Window)
	w := min(dt.Seconds()/b.measured.Seconds(), 1)
	if b.measured == b.cfg.Window {
		w = -math.Expm1(-dt.Seconds() / b.cfg.Window.Seconds())
	}
	b.rate += w * (ds/dt.Seconds() - b.rate)
	b.tokens = min(b.tokens+b.cfg.Share*ds+b.cfg.Floor*dt.Seconds(), b.most())
}
