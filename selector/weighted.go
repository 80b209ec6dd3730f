package selector

import "github.com/holdfast-go/holdfast/internal/clock"

// Weighted chooses at random in proportion to the nodes' weights, whatever
// their load.
type Weighted struct{}

// Choose implements [Strategy].
func (Weighted) Choose(v View) int {
	if v.alias == nil {
		return v.Uniform()
	}
	return v.alias.draw(v.clk)
}

// alias draws from a discrete distribution in constant time (A. J. Walker
// 1977, in M. D. Vose's form, 1991).
type alias struct {
	keep  []float64 // below it column i is itself …
	other []int     // … else this one
}

// newAlias returns nil where all weights are equal.
func newAlias(nodes []*node) *alias {
	total, equal := 0.0, true
	for _, n := range nodes {
		w := n.pub.Load().Weight
		total += float64(w)
		equal = equal && w == nodes[0].pub.Load().Weight
	}
	if equal {
		return nil
	}
	a := &alias{keep: make([]float64, len(nodes)), other: make([]int, len(nodes))}
	var small, large []int
	for i, n := range nodes {
		a.other[i] = i
		a.keep[i] = float64(n.pub.Load().Weight) * float64(len(nodes)) / total
		if a.keep[i] < 1 {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.other[s] = l
		if a.keep[l] -= 1 - a.keep[s]; a.keep[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, i := range append(small, large...) {
		a.keep[i] = 1 // what rounding has left over
	}
	return a
}

func (a *alias) draw(c clock.Clock) int {
	x := clock.Float64(c) * float64(len(a.keep))
	i := int(x)
	if x-float64(i) < a.keep[i] {
		return i
	}
	return a.other[i]
}
