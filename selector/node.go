package selector

import (
	"math"
	"strings"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/breaker"
)

// node is what is known of one client·node pair. What a healthy call writes
// is load, latency and one cell; the rest is for failures and changes.
type node struct {
	load    atomic.Uint64 // picks<<inFlightBits | in flight
	latency atomic.Uint64 // see observeLatency
	refused atomic.Uint32 // see turnedAway
	place
	watch   atomic.Pointer[watch] // nil, as long as it answers: see listen
	ramp    atomic.Int64          // when the slow start began, since epoch; 0: none
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
	retryAt int64
}

// place is how a node stands in the set, under Selector.mu.
type place struct {
	out      bool // ejected
	free     bool // ejected by refused connections: does not consume the cap
	notReady bool // marked from outside
	removed  bool // no longer in the set
}

const (
	inFlightBits = 24
	picksBits    = 64 - inFlightBits // 2⁴⁰ picks: at 100 000 a second, 127 days
	picksMask    = 1<<picksBits - 1
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
// never too high; in a race it is too low for a moment, and may be below zero.
// Like the picks, it wraps; compare by passedSince.
func (n *node) successes() uint64 {
	load := n.load.Load()
	return (load>>inFlightBits - load&inFlightMask - n.failures.Load()) & picksMask
}

// total is the successes for sums: never below zero, nor as if it were.
func (n *node) total() uint64 {
	if x := n.successes(); x < picksMask-inFlightMask {
		return x
	}
	return 0
}

// passedSince is how many successes there were between two looks.
func passedSince(before, now uint64) uint64 {
	const unused = 64 - picksBits
	return uint64(max(0, int64((now-before)<<unused)>>unused)) //nolint:gosec // the sign is meant
}

// cells are the node's records of all methods but the first, by method index
// less one. Cells are never moved, so that counters keep what is added to them.
type cells struct{ at []*cell }

// second is the cells of a client with two methods, side by side.
type second struct {
	cells
	list [1]*cell
	cell cell
}

// cell counts one method on one node. n is written by every pick, latency by
// some; the rest is under Selector.mu. Sizes matter: see TestSize.
type cell struct {
	n      atomic.Uint64 // calls, in flight included, cancelled ones not
	failed uint32
	seen   uint32  // n when fe and ne were last decayed
	fe, ne float32 // failures and calls, decayed over the last K calls
	k      uint32  // failures in the node's window

	latency atomic.Uint32 // average of sampled successes, float32 nanoseconds; 0: unknown
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
	if old == nil && method == 1 {
		x := new(second)
		x.list[0] = &x.cell
		x.at = x.list[:]
		n.others.Store(&x.cells)
		return &x.cell
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

// methods are the indices of their names. The first is looked at without
// asking the map: most clients have one.
type methods struct {
	first string // noMethod: there are none yet
	index map[string]int
}

// noMethod is nobody's name. Who has it all the same shares the first's record.
const noMethod = "\x00none yet"

func (s *Selector) methodIndex(name string) int {
	m := s.methods.Load()
	if name == m.first {
		return 0
	}
	if i, ok := m.index[name]; ok {
		return i
	}
	return s.addMethod(name)
}

func (s *Selector) addMethod(name string) int {
	if len(s.methods.Load().index) >= maxMethods {
		return maxMethods
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.methods.Load().index
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
	name = strings.Clone(name) // it may be part of something large
	grown[name] = len(old)
	first := s.methods.Load().first
	if len(old) == 0 {
		first = name
	}
	s.methods.Store(&methods{first, grown})
	return len(old)
}
