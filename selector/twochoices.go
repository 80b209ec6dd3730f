package selector

// TwoChoices draws two nodes at random, by weight, and takes the one where a
// call would wait less: (in flight ÷ weight + 1) × latency. It is the
// default: nearly as good as knowing the least loaded node, at the price of
// two looks (M. Mitzenmacher, "The Power of Two Choices in Randomized Load
// Balancing", 2001), and it does not herd.
type TwoChoices struct{}

// Choose implements [Strategy].
func (TwoChoices) Choose(v View) int {
	if len(v.nodes) == 1 {
		return 0
	}
	var i, j int
	if v.mean == 0 {
		// Both draws come from one random number; the second skips the first.
		r := v.clk.Rand()
		n := uint64(len(v.nodes))
		i = int((r >> 32) * n >> 32)
		j = int((r & 0xffffffff) * (n - 1) >> 32)
		if j >= i {
			j++
		}
	} else {
		i, j = v.ByWeight(), v.ByWeight()
		if i == j {
			return i
		}
	}
	a, b := v.nodes[i], v.nodes[j]
	costA, costB := float32(a.inFlight()), float32(b.inFlight())
	if v.mean > 0 { // an idle node costs the same whatever its weight, which the draw has honoured
		costA *= v.mean / float32(a.pub.Load().Weight)
		costB *= v.mean / float32(b.pub.Load().Weight)
	}
	costA++
	costB++
	ms := millis(v.t)
	if la, lb := a.estimateAt(ms), b.estimateAt(ms); la > 0 && lb > 0 {
		costA *= la
		costB *= lb
	}
	if a.refused.Load()|b.refused.Load() != 0 {
		costA *= a.penalty(v.t)
		costB *= b.penalty(v.t)
	}
	if costB < costA {
		return j
	}
	return i
}
