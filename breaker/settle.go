package breaker

import "time"

// settle is Settle where the result may change something.
func (c *Circuit) settle(token uint64, result Result, elapsed time.Duration) {
	if token&stateMask == tokenVoid {
		return
	}
	probe := token&stateMask == tokenProbe
	if result != Success && result != Failure {
		if !probe {
			return
		}
		result = Ignored
	}
	s := c.fam.set.Load()
	if result == Success && elapsed >= s.slowCall {
		result = Failure
	}
	var now time.Time // read before the lock is taken, where it may be needed
	if probe || result == Failure || s.rule.kind().timed() {
		now = c.fam.clock.Now()
	}

	c.mu.Lock()
	defer c.unlock()
	w := c.word.Load()
	switch {
	case w&modeMask != 0:
	case State(w&stateMask) == Closed:
		stale := probe || token/generation != w/generation
		if result == Failure || result == Success && !stale {
			c.note(s, result == Failure, now)
		}
	case State(w&stateMask) == HalfOpen && probe:
		c.probed(s, token/generation, result, now)
	}
}

// note takes a result on record, and opens if the rule says so. The caller
// holds c.mu; the breaker is closed.
func (c *Circuit) note(s *settings, failed bool, now time.Time) {
	w := c.word.Load()
	k := uint64(s.rule.kind()) << kindShift
	if w&kindMask != k { // Update has changed the rule
		c.rec = record{}
		w = w&^kindMask | k
	}
	if s.rule.note(&c.rec, failed, now) {
		c.open(s, now, s.rule.measure(&c.rec, now).reason(s.rule))
		return
	}
	w &^= flagRecord
	if c.rec.failures() {
		w |= flagRecord
	}
	c.word.Store(w)
}

// probed takes the result of a probe, if it still holds its lease. The caller
// holds c.mu; the breaker is half-open.
func (c *Circuit) probed(s *settings, number uint64, result Result, now time.Time) {
	x := c.ext
	at, held := x.at(now), false
	x.dropLeases(func(l lease) bool {
		held = held || l.number == number && at < l.until
		return l.number == number || l.until <= at
	})
	switch {
	case held && result == Failure:
		c.open(s, now, probes(s, int(x.passed), 1))
		return
	case held && result == Success:
		if x.passed++; x.passed >= s.probes {
			c.close(now, s.ramp > 0, probes(s, int(x.passed), 0))
			return
		}
	}
	x.setGate(s)
}

// probes is the reason for a decision by probes.
func probes(s *settings, passed, failed int) Reason {
	return Reason{
		Cause: ByProbe, Score: float64(passed), Threshold: float64(s.probes),
		Calls: uint64(passed + failed), Failures: uint64(failed),
	}
}
