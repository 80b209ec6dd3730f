package tune

import (
	"math"
	"math/rand/v2"
	"testing"
)

func defaults(q float64, peers int) ejector {
	h := math.Log(1e6)
	e := ejector{q: q, p: .001, peers: peers, shares: []float64{.4, .25, .2, .15}, excess: 1. / 3, baseline: .02, look: h, contrast: h / 2, thin: 1}
	if peers >= 4 {
		e.contrast = h * 2 / 3
	}
	return e
}

// The exact passage against the same rules, drawn.
func TestPassageIsThatOfItsRules(t *testing.T) {
	for _, e := range []ejector{defaults(.3, 4), defaults(.5, 1), defaults(1, 4), {
		q: .15, p: .01, peers: 9, shares: []float64{1}, excess: .12, baseline: .02, look: 16, contrast: 10, thin: .8,
	}} {
		at := e.passage()
		sum := 0.
		for _, p := range at {
			sum += p
		}
		within(t, "all probabilities", sum, 1, 1e-4)
		r := rand.New(rand.NewPCG(1, 1))
		const n = 20000
		q, _ := e.observed()
		a, c := e.weights()
		drawn := make([]float64, len(at))
		for range n {
			k, m, s := 0, 0, 0.
			for i := 0; i < len(at); i++ {
				failed := r.Float64() < q
				if m == 0 && !failed {
					continue
				}
				if m++; failed {
					k++
				}
				if !failed {
					s -= c
				} else if s += a; s >= e.look {
					if e.compare(float64(k), float64(m)) >= e.contrast {
						drawn[i] += 1. / n
						break
					}
					s = e.look
				}
				if s <= 0 {
					k, m, s = 0, 0, 0
				}
			}
		}
		for _, p := range []float64{.1, .5, .9, .99} {
			want, got := quantile(drawn, p), quantile(at, p)
			within(t, "quantile", got, want, 1+.05*want)
		}
	}
}

// The formulae against what benchmarks/ejection measures of the production
// path, whose figures are those of attempts begun, and so a few more.
func TestPassageOfDefaults(t *testing.T) {
	for _, row := range []struct {
		q        float64
		peers    int
		p50, p99 float64
	}{{.3, 4, 32, 79}, {1, 4, 6, 9}, {1, 1, 7, 12}} {
		e := defaults(row.q, row.peers)
		c := e.calls(e.passage())
		if c.P50 > Number(row.p50) || c.P50 < Number(.7*row.p50) || c.P99 > Number(1.1*row.p99) || c.P99 < Number(.5*row.p99) {
			t.Errorf("q = %v, %d peers: %v/%v calls, measured %v/%v", row.q, row.peers, c.P50, c.P99, row.p50, row.p99)
		}
	}
}

func TestTimes(t *testing.T) {
	e := ejector{q: 1, thin: 1}
	got := e.times([]float64{0, 0, 1}, 10, .5) // three calls at 10 a second
	within(t, "mean", float64(got.Mean), .8, 1e-9)
	within(t, "p50", float64(got.P50), .5+.26741, 1e-3) // of the Gamma distribution
	within(t, "p99", float64(got.P99), .5+.84059, 1e-3)
}

// Lundberg's exponent is 1 at the rate the score is made for, more below it,
// less above, and 0 where the score grows by itself; and the bound that it
// gives holds for the score as drawn.
func TestExponent(t *testing.T) {
	const p0, excess = .02, .3
	a, c := math.Log1p(excess*(1-p0)/p0), -math.Log1p(-excess)
	within(t, "at p0", exponent(p0, a, c), 1, 1e-6)
	low, high := exponent(p0/4, a, c), exponent(2*p0, a, c)
	if low < 1.2 || high > .8 || high <= 0 || exponent(.3, a, c) != 0 || !math.IsInf(exponent(0, a, c), 1) {
		t.Errorf("%v, %v", low, high)
	}
	r := rand.New(rand.NewPCG(2, 2))
	for _, p := range []float64{p0, 2 * p0} {
		const h, n = 6, 3_000_000
		s, alarms := 0., 0
		for range n {
			if r.Float64() >= p {
				s = max(0, s-c)
			} else if s += a; s >= h {
				s, alarms = 0, alarms+1
			}
		}
		if most := n * math.Exp(-h*exponent(p, a, c)); float64(alarms) > most || alarms == 0 {
			t.Errorf("p = %v: %d alarms, the bound is %v", p, alarms, most)
		}
	}
}
