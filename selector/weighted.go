package selector

import "github.com/holdfast-go/holdfast/internal/clock"

// Weighted chooses at random in proportion to the nodes' weights, whatever
// their load.
type Weighted struct{}

// Choose implements [Strategy].
func (Weighted) Choose(v View) int { return v.ByWeight() }

// alias draws from a discrete distribution in constant time (A. J. Walker
// 1977, in M. D. Vose's form, 1991).
type alias struct {
	columns []column
}

type column struct {
	keep  float32 // below it column i is itself …
	other uint32  // … else this one
}

func newAlias(nodes []*node, total float64) *alias {
	a := &alias{make([]column, len(nodes))}
	left := make([]float64, len(nodes)) // of each column's weight, in columns
	var small, large []int
	for i, n := range nodes {
		left[i] = float64(n.pub.Load().Weight) * float64(len(nodes)) / total
		if left[i] < 1 {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.columns[s] = column{float32(left[s]), uint32(l)}
		if left[l] -= 1 - left[s]; left[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, i := range append(small, large...) {
		a.columns[i].keep = 1 // what rounding has left over
	}
	return a
}

func (a *alias) draw(c clock.Clock) int {
	x := clock.Float64(c) * float64(len(a.columns))
	i := int(x)
	if x-float64(i) < float64(a.columns[i].keep) {
		return i
	}
	return int(a.columns[i].other)
}
