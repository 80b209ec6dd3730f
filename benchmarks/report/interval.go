package report

import (
	"math"
	"slices"
)

// Interval is a figure over repeated runs: an estimate, and an interval that
// covers the true one in the given share of all experiments, whatever the
// distribution of the runs is.
type Interval struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Cover float64 `json:"cover"` // 0: too few runs for any interval
}

// medianCover is what an interval of the median covers where there are runs
// enough: from six on.
const medianCover = 0.95

// MedianOf returns the median of the values and its order-statistic interval
// (that of the sign test): the narrowest that covers 95 %, or else from the
// smallest to the largest value, which covers 1 − 2/2ⁿ: 50 % of two runs,
// 94 % of five. It makes no assumption about how runs are distributed, unlike
// Student's, and five runs are too few for a bootstrap. It is the zero
// Interval if there are no values.
func MedianOf(values []float64) Interval {
	n := len(values)
	if n == 0 {
		return Interval{}
	}
	s := slices.Sorted(slices.Values(values))
	k, cover := 0, 0.0 // how many are cut off on each side
	tail, below := 0.0, math.Pow(0.5, float64(n))
	for i := 0; 2*i < n-1; i++ { // tail: P(at most i of n are below the median)
		tail += below
		below *= float64(n-i) / float64(i+1)
		if c := 1 - 2*tail; i == 0 || c >= medianCover {
			k, cover = i, c
		}
	}
	return Interval{median(s), s[k], s[n-1-k], cover}
}

// median of a sorted list.
func median(s []float64) float64 {
	n := len(s)
	if n%2 == 1 {
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

// shiftMiss is how often at most a [between] interval misses the truth, and so
// how often two equal programs are told apart: with five runs each, the
// default, it can be kept; with four it cannot.
const shiftMiss = 0.01

// between returns the Hodges–Lehmann estimate of what lies between two samples
// and its interval (that of the exact Mann–Whitney test): op(new, old), which
// must grow with new, is the difference or the ratio. Cover is 0 if there are
// too few values.
func between(old, fresh []float64, op func(fresh, old float64) float64) Interval {
	pairs := make([]float64, 0, len(old)*len(fresh))
	for _, a := range old {
		for _, b := range fresh {
			pairs = append(pairs, op(b, a))
		}
	}
	if len(pairs) == 0 {
		return Interval{}
	}
	slices.Sort(pairs)
	i := Interval{Value: median(pairs), Low: pairs[0], High: pairs[len(pairs)-1]}
	if k, cover := cutOff(len(old), len(fresh)); cover > 0 {
		i.Low, i.High, i.Cover = pairs[k], pairs[len(pairs)-1-k], cover
	}
	return i
}

// cutOff returns how many of the n·m pairs are left out on each side.
func cutOff(n, m int) (k int, cover float64) {
	tail := 0.0
	for u, p := range mannWhitney(n, m) {
		tail += p
		if 2*tail > shiftMiss {
			break
		}
		k, cover = u, 1-2*tail
	}
	return k, cover
}

// mannWhitney is the distribution of U when both samples come from one
// distribution: U counts the pairs in which the first is above the second, so
// that n or m values more make the generating function grow by (1−x^(m+i))/(1−x^i).
func mannWhitney(n, m int) []float64 {
	p := make([]float64, n*m+1)
	p[0] = 1
	for i := 1; i <= n; i++ {
		for u := n * m; u >= m+i; u-- {
			p[u] -= p[u-m-i]
		}
		for u := i; u <= n*m; u++ {
			p[u] += p[u-i]
		}
	}
	total := 0.0
	for _, x := range p {
		total += x
	}
	for u := range p {
		p[u] /= total
	}
	return p
}
