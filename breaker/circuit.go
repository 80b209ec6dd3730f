package breaker

import (
	"sync"
	"sync/atomic"
	"time"
)

// Circuit is the native breaker. It is safe for concurrent use, must not be
// copied, and has no useful zero value: make one with [New], or many that
// share a configuration with [NewFamily].
//
// While it is closed with no failure on record, a call costs two loads: with
// the rules [CUSUM], [Consecutive] and [Never], TryAcquire and Done(Success)
// write nothing and read no clock. [Rate] and [Count] must write each result
// down and take the breaker's lock for it.
//
// No sequence of calls wedges it: what is admitted as a probe holds a lease
// that ends, and everything else that rejects ends by the clock or by hand.
type Circuit struct {
	word atomic.Uint64 // written with mu held
	fam  *Family
	key  string
	mu   sync.Mutex
	rec  record
	ext  *extra // nil until first needed, then never replaced; set before any word that needs it
}

// The word: generation, kind of the rule that wrote the record, flags, mode,
// state. All zero but the generation and the kind is the healthy breaker.
const (
	stateMask  = 3
	modeShift  = 2
	modeMask   = 3 << modeShift
	flagRamp   = 1 << 4 // closed, and not all calls are admitted yet
	flagRecord = 1 << 5 // failures are on record
	flagPinned = 1 << 6 // has subscribers or its own shadow setting
	kindShift  = 7
	kindMask   = 7 << kindShift
	generation = 1 << 10 // one transition

	// With none of these TryAcquire admits at once.
	admitSlow = stateMask | modeMask | flagRamp
	// With none of these a quick success changes nothing.
	settleSlow = stateMask | flagRecord
	// With none of these a new breaker is as good as this one.
	notIdle = admitSlow | flagRecord | flagPinned
)

// The low bits of a permit's token are the state that its call was admitted
// in. Above them stands the generation, or for a probe the number of its
// lease.
const (
	tokenCall  = uint64(Closed)
	tokenVoid  = uint64(Open) // would have been rejected, were it not for shadow mode
	tokenProbe = uint64(HalfOpen)
)

// Mode is who decides the state of a [Circuit].
type Mode uint8

// The modes of a circuit.
const (
	Auto         Mode = iota // its rule, its probes, Trip and Reset
	ForcedOpen               // nobody: it rejects every call
	ForcedClosed             // nobody: it admits every call
)

// String returns "auto", "forced-open" or "forced-closed".
func (m Mode) String() string {
	switch m {
	case ForcedOpen:
		return "forced-open"
	case ForcedClosed:
		return "forced-closed"
	}
	return "auto"
}

var (
	_ Breaker = (*Circuit)(nil)
	_ Tripper = (*Circuit)(nil)
	_ Settler = (*Circuit)(nil)
)

// New returns a closed breaker of its own configuration. The error lists
// everything wrong with cfg, as [*FieldError]s.
func New(key string, cfg Config) (*Circuit, error) {
	f, err := NewFamily(cfg)
	if err != nil {
		return nil, err
	}
	return f.circuit(key), nil
}

// Key returns what the breaker was made for.
func (c *Circuit) Key() string { return c.key }

// State implements [Breaker].
func (c *Circuit) State() State { return State(c.word.Load() & stateMask) }

// TryAcquire implements [Breaker]. now is the instant on the breaker's clock
// (time.Now() for the default one); the zero time makes the breaker read its
// clock if it needs the time, which it does not while closed and not ramping.
//
// retryAfter is what remains of the open time, or until the first lease of a
// probe ends; a short time on the ramp; 0 when forced open.
func (c *Circuit) TryAcquire(now time.Time) (p Permit, retryAfter time.Duration, ok bool) {
	if w := c.word.Load(); w&admitSlow == 0 {
		return Permit{c, w}, 0, true
	}
	return c.admit(now)
}

// Acquire is TryAcquire for those who pass errors on: a rejection is an
// [*OpenError], which matches [ErrOpen].
func (c *Circuit) Acquire() (Permit, error) {
	p, retryAfter, ok := c.TryAcquire(time.Time{})
	if !ok {
		return Permit{}, &OpenError{Key: c.key, RetryAfter: retryAfter}
	}
	return p, nil
}

// Settle implements [Settler]: it is what the Done of this breaker's permits
// calls.
//
// A failure counts whenever it is reported while the breaker is closed, even
// if the call was admitted before the last opening; a success of such a call
// is old news and does not. Only a probe that still holds its lease counts in
// half-open, and nothing counts while open or forced.
func (c *Circuit) Settle(token uint64, r Report) {
	if r.Result == Success && c.word.Load()&settleSlow == 0 && int64(r.Elapsed) < c.fam.quiet.Load() {
		return
	}
	c.settle(token, r.Result, r.Elapsed)
}
