package selector

import (
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// node is what is known of one client·node pair. What a healthy call writes
// is load, latency and one cell; the rest is for failures and changes.
type node struct {
	load    atomic.Uint64 // picks<<inFlightBits | in flight
	latency atomic.Uint64 // see observeLatency
	ramp    atomic.Int64  // when the slow start began, since epoch; 0: none
	breaker breaker.Breaker
	first   cell                  // the record of method 0
	others  atomic.Pointer[cells] // those of the others
	pub     atomic.Pointer[Node]

	failures atomic.Uint64

	sick
}

// sick is the ejector's and the set's knowledge of a node, under Selector.mu.
type sick struct {
	score  float64 // S
	last   int64   // when the last failure was counted, since epoch
	passed uint64  // successes up to then
	window *window // nil until S first rises
	// retryAt is when an ejected node may be probed, since epoch.
	retryAt   int64
	out       bool // ejected
	free      bool // ejected by refused connections: does not consume the cap
	notReady  bool // marked from outside
	prevented bool // the cap's veto has been reported
	removed   bool // no longer in the set
}

const (
	inFlightBits = 24
	inFlightMask = 1<<inFlightBits - 1
	onlyPick     = uint64(1) << inFlightBits // that is not in flight
	onePick      = onlyPick + 1
	never        = math.MaxInt64
)

func (n *node) inFlight() uint64 { return n.load.Load() & inFlightMask }

// leave takes x from the load, unless nothing is in flight: a Picked was
// copied, and its copy has reported before.
func (n *node) leave(x uint64) {
	if load := n.load.Add(-x); load&inFlightMask == inFlightMask {
		n.load.Add(x)
	}
}

// successes are the picks that ended well: those that are neither in flight
// nor failed. Failures are counted before the load is taken back, so it is
// never too high; in a race it is too low for a moment.
func (n *node) successes() uint64 {
	load := n.load.Load()
	other := load&inFlightMask + n.failures.Load()
	if picks := load >> inFlightBits; picks > other {
		return picks - other
	}
	return 0
}

// cells are the node's records of all methods but the first, by method index
// less one. Cells are never moved, so that counters keep what is added to them.
type cells struct{ at []*cell }

// cell counts one method on one node. n is written by every pick; the rest
// is under Selector.mu. Sizes matter: see TestSize.
type cell struct {
	n      atomic.Uint64 // calls, in flight included, cancelled ones not
	failed uint32
	seen   uint32  // n when fe and ne were last decayed
	fe, ne float32 // failures and calls, decayed over the last K calls
	k      uint32  // failures in the node's window
}

// decayed returns the counts as they stand after the calls since they were
// last touched.
func (c *cell) decayed() (fe, ne float64) {
	d := uint32(c.n.Load()) - c.seen //nolint:gosec // differences survive the wrap
	if int32(d) <= 0 {
		return float64(c.fe), float64(c.ne)
	}
	keep := math.Exp(-float64(d) / memory)
	return float64(c.fe) * keep, float64(c.ne)*keep + memory*(1-keep)
}

// count adds a failure.
func (c *cell) count() {
	fe, ne := c.decayed()
	c.seen = uint32(c.n.Load())
	c.fe, c.ne = float32(fe+1), float32(ne)
	c.failed++
}

// cell returns the record of a method, made at its first use.
func (n *node) cell(s *Selector, method int) *cell {
	if c := n.cellAt(method); c != nil {
		return c
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := n.cellAt(method); c != nil {
		return c
	}
	var old []*cell
	if cs := n.others.Load(); cs != nil {
		old = cs.at
	}
	grown := make([]*cell, max(len(old), method))
	copy(grown, old)
	grown[method-1] = new(cell)
	n.others.Store(&cells{at: grown})
	return grown[method-1]
}

// cellAt returns the record of a method, or nil.
func (n *node) cellAt(method int) *cell {
	if method == 0 {
		return &n.first
	}
	if cs := n.others.Load(); cs != nil && method <= len(cs.at) {
		return cs.at[method-1]
	}
	return nil
}

// methods is how many methods may have a record.
func (n *node) methods() int {
	if cs := n.others.Load(); cs != nil {
		return len(cs.at) + 1
	}
	return 1
}

// maxMethods bounds the records: the methods after these share one more.
const maxMethods = 64

func (s *Selector) methodIndex(name string) int {
	if i, ok := (*s.methods.Load())[name]; ok {
		return i
	}
	return s.addMethod(name)
}

func (s *Selector) addMethod(name string) int {
	if len(*s.methods.Load()) >= maxMethods {
		return maxMethods
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := *s.methods.Load()
	if i, ok := old[name]; ok {
		return i
	}
	if len(old) >= maxMethods {
		return maxMethods
	}
	grown := make(map[string]int, len(old)+1)
	for k, v := range old {
		grown[k] = v
	}
	grown[strings.Clone(name)] = len(old) // it may be part of something large
	s.methods.Store(&grown)
	return len(old)
}

// Latency is an average over about eight successes, kept with the time of the
// last one in a word: float32 nanoseconds above, milliseconds since epoch
// below. Its sign says that the last attempt failed. A lost update is a lost
// sample, no more.
func (n *node) observeLatency(elapsed time.Duration, start int64) {
	if elapsed <= 0 {
		return
	}
	x := float32(elapsed)
	old := n.latency.Load()
	if prev := average(old); prev > 0 {
		x = prev + (x-prev)/8
	}
	ms := uint32((time.Duration(start) + elapsed) / time.Millisecond)
	n.latency.Store(uint64(math.Float32bits(x))<<32 | uint64(ms))
}

// average returns the average latency in nanoseconds, however old; 0: unknown.
func (n *node) average() float32 { return average(n.latency.Load()) }

func average(latency uint64) float32 {
	return math.Float32frombits(uint32((latency &^ lastFailed) >> 32))
}

const lastFailed = 1 << 63

// estimate returns the latency in nanoseconds as believed at t: without news
// it halves in the first second, so that a node is not shunned for ever for
// one slow answer. 0: unknown, as after a failure: or a node that fails would
// go on being preferred for having been quick.
func (n *node) estimate(t int64) float32 {
	w := n.latency.Load()
	if w&lastFailed != 0 {
		return 0
	}
	x := average(w)
	if age := int32(uint32(t/int64(time.Millisecond)) - uint32(w)); age > 100 {
		x /= 1 + float32(age)/1000
	}
	return x
}
