package selector

// TwoChoices draws two nodes at random, by weight, and takes the one where a
// call would wait less: (in flight + 1) × latency ÷ weight. It is the
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
	if v.alias == nil {
		// Both draws come from one random number; the second skips the first.
		r := v.clk.Rand()
		n := uint64(len(v.nodes))
		i = int((r >> 32) * n >> 32)
		j = int((r & 0xffffffff) * (n - 1) >> 32)
		if j >= i {
			j++
		}
	} else {
		i, j = v.alias.draw(v.clk), v.alias.draw(v.clk)
		if i == j {
			return i
		}
	}
	a, b := v.nodes[i], v.nodes[j]
	costA, costB := float32(a.inFlight()+1), float32(b.inFlight()+1)
	if la, lb := a.estimate(v.t), b.estimate(v.t); la > 0 && lb > 0 {
		costA *= la
		costB *= lb
	}
	if v.alias != nil {
		costA /= float32(a.pub.Load().Weight)
		costB /= float32(b.pub.Load().Weight)
	}
	if costB < costA {
		return j
	}
	return i
}
