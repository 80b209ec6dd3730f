package breaker

import "time"

// Inspector is a breaker that says how it stands and by which numbers it
// trips, for dashboards. It is optional: a [Circuit] is one, other engines may
// be, as far as theirs can be read.
type Inspector interface {
	Snapshot() Snapshot
}

// Snapshot is what there is to know about a breaker at one instant. What an
// engine does not have or tell is zero.
type Snapshot struct {
	Key    string
	State  State
	Mode   Mode
	Shadow bool // rejects nothing, only says what it would have done

	Rule      string        // the trip rule in words …
	MinCalls  int           // … the fewest calls it opens after; 0: not counted in calls …
	ErrorRate float64       // … and the share of failures that is too much; 0: judges by something else
	OpenFor   time.Duration // the open time after a first trip, before its spread

	Score, Threshold float64 // what the rule measures; 0 while not closed
	Calls, Failures  uint64  // behind the score, where the rule counts them

	Openings    int       // openings in a row: what the next open time grows with
	RetryAt     time.Time // when a call may pass again; zero: now, or when forced open unknown
	Probes      int       // probes that are out
	Share       float64   // of calls admitted: below 1 on the ramp, 0 while not closed
	WouldReject uint64    // calls admitted by shadow mode only, since the breaker was made

	Since  time.Time // the last transition, zero if there was none …
	Reason Reason    // … and its reason
}

// Snapshot reads the clock and takes the breaker's lock for a moment.
func (c *Circuit) Snapshot() Snapshot {
	now := c.fam.clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	w, s, x := c.word.Load(), c.fam.set.Load(), c.ext
	state := State(w & stateMask)
	sn := Snapshot{
		Key: c.key, State: state, Mode: Mode(w & modeMask >> modeShift), Shadow: c.shadowed(s),
		Rule: s.rule.String(), OpenFor: s.openFor,
	}
	sn.MinCalls, sn.ErrorRate = s.rule.terms()
	rec := &c.rec
	if w&kindMask != uint64(s.rule.kind())<<kindShift { // of the rule before Update
		rec = &record{}
	}
	m := s.rule.measure(rec, now)
	sn.Score, sn.Threshold, sn.Calls, sn.Failures = m.score, m.threshold, m.calls, m.failures
	if state == Closed {
		sn.Share = 1
	}
	if x == nil {
		return sn
	}
	sn.Openings, sn.WouldReject = int(x.openings), x.wouldReject.Load()
	if x.acted {
		sn.Since, sn.Reason = instant(x.since), x.reason
	}
	at := x.at(now)
	switch {
	case state == Closed:
		if w&flagRamp != 0 {
			sn.Share = s.share(time.Duration(at - x.rampFrom.Load()))
		}
		if x.healthyFor(now) >= s.openMax {
			sn.Openings = 0
		}
	case sn.Mode == Auto:
		if gate := x.gate.Load(); gate > at {
			sn.RetryAt = instant(gate)
		}
		for _, l := range x.leases {
			if l.until > at {
				sn.Probes++
			}
		}
	}
	return sn
}

// SetShadow overrides Config.Shadow for this breaker: in shadow mode it admits
// every call, does everything else as it would, says Shadow in its events, and
// counts the calls that it would have rejected.
func (c *Circuit) SetShadow(on bool) {
	now := c.fam.clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	own := int32(-1)
	if on {
		own = 1
	}
	c.more(now).shadow.Store(own)
	c.pin()
}

// Idle reports whether the breaker is closed with no failure on record and
// nothing set on it by hand, so that a new one would do as well. It is what a
// [Group] evicts first.
func (c *Circuit) Idle() bool { return c.word.Load()&notIdle == 0 }
