package breaker

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// admit is TryAcquire where the breaker is not simply closed. Rejecting takes
// no lock; a transition or a probe does.
func (c *Circuit) admit(now time.Time) (Permit, time.Duration, bool) {
	for {
		w := c.word.Load()
		s := c.fam.set.Load()
		switch {
		case w&admitSlow == 0, Mode(w&modeMask>>modeShift) == ForcedClosed:
			return Permit{c, w &^ stateMask}, 0, true
		case w&modeMask != 0:
			return c.reject(s, 0)
		}
		if now.IsZero() {
			now = c.fam.clock.Now()
		}
		x := c.ext
		if State(w&stateMask) == Closed { // ramping
			since := time.Duration(x.at(now) - x.rampFrom.Load())
			share := s.share(since)
			if share >= 1 {
				c.endRamp(w)
			} else if clock.Float64(c.fam.clock) >= share {
				return c.reject(s, s.rampWait(since))
			}
			return Permit{c, w}, 0, true
		}
		if gate, at := x.gate.Load(), x.at(now); at < gate {
			return c.reject(s, time.Duration(gate-at))
		}
		if p, wait, done := c.probe(s, now); done {
			if wait > 0 {
				return c.reject(s, wait)
			}
			return p, 0, true
		}
		// Another caller has closed or forced the breaker meanwhile: look again.
	}
}

// reject turns a call away, or in shadow mode counts it and lets it through
// with a permit whose result nobody hears.
func (c *Circuit) reject(s *settings, wait time.Duration) (Permit, time.Duration, bool) {
	if !c.shadowed(s) {
		return Permit{}, wait, false
	}
	c.ext.wouldReject.Add(1)
	return Permit{c, tokenVoid}, 0, true
}

// endRamp lets all calls through again, if nothing has happened since w.
func (c *Circuit) endRamp(w uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.word.Load(); now/generation == w/generation {
		c.word.Store(now &^ flagRamp)
	}
}

// probe asks for the lease of a probe. It answers with a permit, or with the
// time to wait for one, or with done false if the breaker is neither open nor
// half-open any more.
func (c *Circuit) probe(s *settings, now time.Time) (p Permit, wait time.Duration, done bool) {
	c.mu.Lock()
	defer c.unlock()
	w := c.word.Load()
	if w&modeMask != 0 || State(w&stateMask) == Closed {
		return Permit{}, 0, false
	}
	x := c.ext
	at := x.at(now)
	if State(w&stateMask) == Open {
		if gate := x.gate.Load(); at < gate { // opened again meanwhile
			return Permit{}, time.Duration(gate - at), true
		}
		c.commit(change{to: HalfOpen, at: now, why: Reason{Cause: ByOpenTime}})
	}
	x.dropLeases(func(l lease) bool { return l.until <= at })
	granted := x.room(s)
	if granted {
		x.lease++
		x.leases = append(x.leases, lease{x.lease, at + int64(s.probeTimeout)})
		p = Permit{c, x.lease*generation | tokenProbe}
	}
	x.setGate(s)
	if !granted {
		wait = max(time.Duration(x.soonest()-at), 1)
	}
	return p, wait, true
}

// dropLeases ends the leases that are over.
func (x *extra) dropLeases(over func(lease) bool) {
	kept := x.leases[:0]
	for _, l := range x.leases {
		if !over(l) {
			kept = append(kept, l)
		}
	}
	x.leases = kept
}

// room reports whether another probe may pass: as long as those that are out
// would not do, if all of them succeeded.
func (x *extra) room(s *settings) bool { return len(x.leases)+int(x.passed) < int(s.probes) }

// setGate shuts the gate of a half-open breaker while enough probes are out.
func (x *extra) setGate(s *settings) {
	if x.room(s) {
		x.gate.Store(noGate)
		return
	}
	x.gate.Store(x.soonest())
}

// soonest is when the first lease ends.
func (x *extra) soonest() int64 {
	first := x.leases[0].until
	for _, l := range x.leases[1:] {
		first = min(first, l.until)
	}
	return first
}
