package report

import (
	"math"
	"math/rand/v2"
	"testing"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestMedianOf(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Interval
	}{
		{nil, Interval{}},
		{[]float64{7}, Interval{7, 7, 7, 0}},
		{[]float64{3, 1}, Interval{2, 1, 3, 0.5}},
		{[]float64{5, 1, 2, 4, 3}, Interval{3, 1, 5, 0.9375}},
		{[]float64{5, 1, 2, 4, 3, 6}, Interval{3.5, 1, 6, 1 - 2.0/64}},
		{[]float64{9, 8, 7, 6, 5, 4, 3, 2, 1}, Interval{5, 2, 8, 1 - 2*10.0/512}},
	} {
		if got := MedianOf(c.values); got.Value != c.want.Value || got.Low != c.want.Low || got.High != c.want.High || !near(got.Cover, c.want.Cover) {
			t.Errorf("%v: got %v, want %v", c.values, got, c.want)
		}
	}
}

// The distribution of U, against counting.
func TestMannWhitney(t *testing.T) {
	for n := 1; n <= 4; n++ {
		for m := 1; m <= 4; m++ {
			count, total := make([]float64, n*m+1), 0.0
			for set := range 1 << (n + m) { // which ranks are the first sample's
				ones, u, above := 0, 0, 0
				for r := range n + m {
					if set>>r&1 == 1 {
						ones++
						u += above
					} else {
						above++
					}
				}
				if ones == n {
					count[u]++
					total++
				}
			}
			for u, p := range mannWhitney(n, m) {
				if !near(p, count[u]/total) {
					t.Errorf("n %d, m %d: P(U=%d) = %v, want %v", n, m, u, p, count[u]/total)
				}
			}
		}
	}
}

func TestCutOff(t *testing.T) {
	if _, cover := cutOff(4, 4); cover != 0 {
		t.Errorf("four runs each: cover %v, want none", cover)
	}
	if k, cover := cutOff(5, 5); k != 0 || !near(cover, 1-2.0/252) {
		t.Errorf("five runs each: %d, %v", k, cover)
	}
	if k, cover := cutOff(30, 30); k <= 0 || cover < 0.99 || cover > 0.992 {
		t.Errorf("thirty runs each: %d, %v", k, cover)
	}
}

// The intervals cover what they say, of a distribution that is far from
// normal.
func TestCoverage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func(n int) []float64 {
		list := make([]float64, n)
		for i := range list {
			list[i] = math.Exp(2 * rng.NormFloat64())
		}
		return list
	}
	const times = 20_000
	for _, n := range []int{2, 5, 9, 12} {
		hits, promised := 0, 0.0
		for range times {
			i := MedianOf(draw(n))
			promised = i.Cover
			if i.Low <= 1 && 1 <= i.High {
				hits++
			}
		}
		if got := float64(hits) / times; math.Abs(got-promised) > 0.015 {
			t.Errorf("the median of %d: covered %v, promised %v", n, got, promised)
		}
	}
	for _, n := range []int{5, 8} {
		hits, promised := 0, 0.0
		for range times {
			i := between(draw(n), draw(n), func(a, b float64) float64 { return a / b })
			promised = i.Cover
			if i.Low <= 1 && 1 <= i.High {
				hits++
			}
		}
		if got := float64(hits) / times; promised < 0.99 || math.Abs(got-promised) > 0.004 {
			t.Errorf("the ratio of %d and %d: covered %v, promised %v", n, n, got, promised)
		}
	}
}
