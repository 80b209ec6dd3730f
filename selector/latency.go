package selector

import (
	"math"
	"time"
)

// A node's latency is an average over about eight successes, kept with the time of the
// last one in a word: float32 nanoseconds above, milliseconds since epoch
// below. Its sign says that the last attempt failed. A lost update is a lost
// sample, no more.
func (n *node) observeLatency(elapsed time.Duration, end int64) {
	x, ms := float32(elapsed), millis(end)
	old := n.latency.Load()
	if prev := average(old); prev > 0 {
		x += (prev - x) * (7. / 8) * faded(ms-uint32(old))
	}
	n.latency.Store(uint64(math.Float32bits(x))<<32 | uint64(ms))
}

// A timing says whose latency a success feeds: a healthy call writes one of
// them at most, but for a method's first calls at a node.
type timing uint8

const (
	timesNode   timing = iota
	timesMethod        // and the node, if it has no news of the method
	timesTail          // how long the method may take: see survival
	timesAll
	untimed
)

// firstCalls of a method at a node feed all: there is no other way to know a
// little soon.
const firstCalls = 8

// quick is what a method takes that need not be timed at every call: below it,
// reading the clock is one per cent of the call and more.
const quick = float32(4 * time.Microsecond)

// timing is that of a method's call, the nth at the node.
func (s *Selector) timing(n *node, c *cell, nth uint64) timing {
	typical := c.typical()
	switch {
	case nth <= firstCalls:
		return timesAll
	case nth%32 == 1, nth < 32 && nth%4 == 1:
		return timesMethod
	case nth%32 == 17, nth < 32 && nth%4 == 3:
		return timesTail
	case typical > 0 && typical < quick && nth%8 != 0 && s.native != nil && n.latency.Load()&lastFailed == 0:
		return untimed
	}
	return timesNode
}

// observe is for a success.
func (p *Picked) observe(n *node, elapsed time.Duration) {
	failed := n.latency.Load()&lastFailed != 0
	switch {
	case p.timing == timesAll:
		p.sel.takes(p.method, elapsed)
		p.observeMethod(elapsed)
	case p.cell.typical() == 0:
		p.observeMethod(elapsed)
	case p.timing == timesMethod && !failed:
		p.observeMethod(elapsed)
		return
	case p.timing == timesTail && !failed:
		p.sel.takes(p.method, elapsed)
		return
	}
	n.observeLatency(elapsed, p.at+int64(elapsed))
}

// observeMethod is for a sampled success.
func (p *Picked) observeMethod(elapsed time.Duration) {
	p.cell.observe(elapsed)
	if known := &p.sel.typical[p.method]; known.Load() != 0 {
		known.Store(0)
	}
}

// observe adds to the average.
func (c *cell) observe(elapsed time.Duration) {
	x := float32(elapsed)
	if prev := c.typical(); prev > 0 {
		x = prev + (x-prev)/4
	}
	c.latency.Store(math.Float32bits(x))
}

// typical returns the method's average latency in nanoseconds; 0: unknown.
func (c *cell) typical() float32 { return math.Float32frombits(c.latency.Load()) }

// average returns the average latency in nanoseconds, however old; 0: unknown.
func (n *node) average() float32 { return average(n.latency.Load()) }

func average(latency uint64) float32 {
	return math.Float32frombits(uint32((latency &^ lastFailed) >> 32))
}

const lastFailed = 1 << 63

// estimate returns the latency in nanoseconds as believed at t: without news
// it halves every second, so that a node is not shunned for long for one slow
// answer. 0: unknown, as after a failure: or a node that fails would go on
// being preferred for having been quick.
func (n *node) estimate(t int64) float32 { return n.estimateAt(millis(t)) }

// millis is t as a node's latency keeps it: differences survive the wrap.
func millis(t int64) uint32 { return uint32(t / int64(time.Millisecond)) } //nolint:gosec // see there

// estimateAt is estimate at t in milliseconds.
func (n *node) estimateAt(ms uint32) float32 {
	w := n.latency.Load()
	if w&lastFailed != 0 {
		return 0
	}
	return average(w) * faded(ms-uint32(w)) //nolint:gosec // see millis
}

// faded is what an average counts for that is age ms old: all of it at first,
// half after a second, a quarter after two; between these the curve is
// straight. It is never nothing. Clocks differ: a second into the future
// is new, more is an age beyond 24 days.
func faded(age uint32) float32 {
	if age <= 100 || int32(age) < 0 && int32(age) >= -1000 { //nolint:gosec // the sign is meant
		return 1
	}
	halvings := min(age/1000, 30)
	part := float32(age-1000*halvings) / 2000
	if halvings == 30 {
		part = 0
	}
	return (1 - part) * math.Float32frombits((127-halvings)<<23) // 2^−halvings
}

// A node that turns calls away for load is neither ill nor quick, and would
// seem idle. Its share of such answers is kept in 8 bits, with the time of the
// last change, in ticks, in 24; 0: none. A lost update does no harm.
const (
	tick       = int64(16 * time.Millisecond)
	tickBits   = 24
	tickMask   = 1<<tickBits - 1
	shareMax   = 1<<(32-tickBits) - 1
	shareHalf  = 4 // log₂ of the ticks in which the share halves
	penaltyMax = 64
)

// turnedAwayShare is the share at t, of shareMax, and t in ticks.
func (n *node) turnedAwayShare(t int64) (share, now uint32) {
	w := n.refused.Load()
	now = uint32(t/tick) & tickMask //nolint:gosec // differences survive the wrap
	age := (now - w) & tickMask
	if age > tickMask/2 { // others' clocks are ahead
		age = 0
	}
	return w >> tickBits >> (age >> shareHalf), now
}

// turnedAway notes a call that the node would not take.
func (n *node) turnedAway(t int64) {
	share, now := n.turnedAwayShare(t)
	n.refused.Store((share+(shareMax-share+3)/4)<<tickBits | now)
}

// tookOne notes a success of a node that has turned calls away.
func (n *node) tookOne(t int64) {
	share, now := n.turnedAwayShare(t)
	if share -= (share + 7) / 8; share == 0 {
		now = 0
	}
	n.refused.Store(share<<tickBits | now)
}

// penalty multiplies the cost of a node that turns calls away: it is left
// alone for about a second, and then tried again.
func (n *node) penalty(t int64) float32 {
	share, _ := n.turnedAwayShare(t)
	return 1 + float32(share)*penaltyMax/shareMax
}
