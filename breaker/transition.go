package breaker

import (
	"math"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// Trip implements [Tripper]: it opens the breaker for the open time that is
// due, and why comes out in the event as it is; by hand, set its Cause to
// [ByHand]. It does nothing while open or forced.
func (c *Circuit) Trip(why Reason) {
	now := c.fam.clock.Now()
	c.mu.Lock()
	defer c.unlock()
	if w := c.word.Load(); w&modeMask == 0 && State(w&stateMask) != Open {
		c.open(c.fam.set.Load(), now, why)
	}
}

// Reset implements [Tripper]: it closes the breaker without a ramp, and
// forgets what is on record and how often it opened. Resetting a closed
// breaker is no transition and has no event. It does nothing while forced.
func (c *Circuit) Reset(why Reason) {
	now := c.fam.clock.Now()
	c.mu.Lock()
	defer c.unlock()
	w := c.word.Load()
	if w&modeMask != 0 {
		return
	}
	if State(w&stateMask) != Closed {
		c.close(now, false, why)
	}
	c.rec = record{}
	c.word.Store((c.word.Load() + generation) &^ (flagRamp | flagRecord))
	if c.ext != nil {
		c.ext.openings = 0
	}
}

// Force takes the decision from the breaker, with [ForcedOpen] and
// [ForcedClosed], until Force(Auto) gives it back. Forced open it rejects
// every call (unless in shadow mode), forced closed it admits every call;
// results, Trip and Reset do nothing. After ForcedOpen the next call is a
// probe; after ForcedClosed nothing is on record.
//
// Each change of mode has an event with the cause [ByHand] and the note, even
// if the state stays the same. Forcing the present mode, or an unknown one,
// does nothing.
func (c *Circuit) Force(mode Mode, note string) {
	now := c.fam.clock.Now()
	c.mu.Lock()
	defer c.unlock()
	w := c.word.Load()
	if mode == Mode(w&modeMask>>modeShift) || mode > ForcedClosed {
		return
	}
	x := c.more(now)
	to := State(w & stateMask)
	switch mode {
	case ForcedOpen:
		to = Open
	case ForcedClosed:
		to = Closed
	case Auto:
		x.gate.Store(x.at(now)) // the open time, if it is open, is over
	}
	c.commit(change{to: to, mode: mode, at: now, why: Reason{Cause: ByHand, Note: note}})
}

// open opens the breaker. The caller holds c.mu; the mode is Auto.
func (c *Circuit) open(s *settings, now time.Time, why Reason) {
	x := c.more(now)
	if State(c.word.Load()&stateMask) == Closed && x.healthyFor(now) >= s.openMax {
		x.openings = 0
	}
	d := s.openTime(int(x.openings), clock.Float64(c.fam.clock))
	x.openings = min(x.openings+1, math.MaxInt32-1)
	x.gate.Store(x.at(now) + int64(d))
	c.commit(change{to: Open, at: now, openFor: d, why: why})
}

// close closes the breaker, on a ramp or at once. The caller holds c.mu; the
// mode is Auto.
func (c *Circuit) close(now time.Time, ramp bool, why Reason) {
	c.ext.rampFrom.Store(c.ext.at(now))
	c.commit(change{to: Closed, at: now, ramp: ramp, why: why})
}

// change is a transition, or a change of mode.
type change struct {
	to      State
	mode    Mode
	ramp    bool
	at      time.Time
	openFor time.Duration
	why     Reason
}

// commit is the one place where the state changes: it starts a generation
// with an empty record and no probes out, and queues the event. The caller
// holds c.mu and has set the gate or the ramp in c.ext before, because those
// who see the new word read them without the lock.
func (c *Circuit) commit(ch change) {
	x, s := c.ext, c.fam.set.Load()
	w := c.word.Load()
	from := State(w & stateMask)

	c.rec = record{}
	x.leases, x.passed = x.leases[:0], 0
	if cap(x.leases) < int(s.probes) { // here, so that TryAcquire need not
		x.leases = make([]lease, 0, s.probes)
	}
	if ch.to == Closed && from != Closed {
		x.closed = x.at(ch.at)
	}
	x.acted, x.since, x.reason = true, x.at(ch.at), ch.why

	next := w/generation*generation + generation
	next |= w&flagPinned | uint64(ch.mode)<<modeShift | uint64(ch.to)
	if ch.ramp {
		next |= flagRamp
	}
	c.word.Store(next)
	c.enqueue(Event{
		Key: c.key, From: from, To: ch.to, Mode: ch.mode, At: ch.at, OpenFor: ch.openFor,
		Shadow: c.shadowed(s), Reason: ch.why,
	})
}
