package selector

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// Strategy chooses one of the candidates. It must not block and must be safe
// for concurrent use.
type Strategy interface {
	// Choose returns an index in [0, v.Len()); v has at least one node.
	Choose(v View) int
}

// View is what a [Strategy] sees: the candidates of one pick. It is valid
// during Choose only.
type View struct {
	*pool
	t   int64
	clk clock.Clock
}

// Len is the number of candidates.
func (v View) Len() int { return len(v.nodes) }

// Node returns candidate i.
func (v View) Node(i int) *Node { return v.nodes[i].pub.Load() }

// InFlight is the number of this client's attempts under way at candidate i.
func (v View) InFlight(i int) int { return int(v.nodes[i].inFlight()) }

// Latency is the recent average latency of candidate i; 0: unknown, or its
// last attempt failed.
func (v View) Latency(i int) time.Duration { return time.Duration(v.nodes[i].estimate(v.t)) }

// Uniform draws a candidate, all alike.
func (v View) Uniform() int { return v.below(len(v.nodes)) }

// below draws from [0, n), n > 0.
func (v View) below(n int) int {
	if n == 1 {
		return 0
	}
	// The high half of a product maps 32 random bits to [0, n) without a
	// division (D. Lemire, "Fast Random Integer Generation in an Interval",
	// 2019); the bias is below n/2³².
	return int(uint64(uint32(v.clk.Rand())) * uint64(n) >> 32)
}

// ByWeight draws a candidate in proportion to the nodes' weights.
func (v View) ByWeight() int {
	switch {
	case v.mean == 0:
		return v.Uniform()
	case v.alias != nil:
		return v.alias.draw(v.clk)
	}
	total := 0
	for _, n := range v.nodes {
		total += n.pub.Load().Weight
	}
	x := int(clock.Float64(v.clk) * float64(total))
	for i, n := range v.nodes {
		if x -= n.pub.Load().Weight; x < 0 {
			return i
		}
	}
	return len(v.nodes) - 1
}

// index keeps a user's strategy from taking the call down.
func (v View) index(i int) int {
	if uint(i) < uint(len(v.nodes)) {
		return i
	}
	return v.Uniform()
}

// other draws a candidate that is not i, if there is one.
func (v View) other(i int) int {
	if len(v.nodes) == 1 {
		return i
	}
	j := v.below(len(v.nodes) - 1)
	if j >= i {
		j++
	}
	return j
}
