package tune

import "math"

// Rate is a share with its two-sided 90 % confidence interval (Wilson's
// score), whose upper end is a one-sided bound of 95 %.
type Rate struct {
	Failures float64 `json:"failures"` // bursts count once
	Calls    float64 `json:"calls"`
	Value    float64 `json:"value"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
}

const z95 = 1.6449 // of the normal distribution, one-sided

// rateOf is the share of k in n.
func rateOf(k, n float64) Rate {
	r := Rate{Failures: k, Calls: n, High: 1}
	if n <= 0 {
		return r
	}
	r.Value = k / n
	z2 := z95 * z95
	mid, half := (k+z2/2)/(n+z2), z95/(n+z2)*math.Sqrt(k*(n-k)/n+z2/4)
	r.Low, r.High = max(0, mid-half), min(1, mid+half)
	if k == 0 { // exact: (1−p)ⁿ = 5 %
		r.Low, r.High = 0, -math.Expm1(math.Log(.05)/n)
	}
	return r
}

// callsFor is how many calls it takes until the bound of a rate p is at most
// target; +Inf if p is not below.
func callsFor(p, target float64) float64 {
	if p >= target {
		return math.Inf(1)
	}
	n := 1.
	for rateOf(p*n, n).High > target {
		n *= 1.1
	}
	return math.Ceil(n)
}

// poissonTail is P(X ≥ k) for a Poisson X of that mean.
func poissonTail(k int, mean float64) float64 {
	if k <= 0 {
		return 1
	}
	if mean <= 0 {
		return 0
	}
	// The terms from k on, as multiples of the first.
	lg, _ := math.Lgamma(float64(k) + 1)
	first := math.Exp(float64(k)*math.Log(mean) - mean - lg)
	if float64(k) > mean {
		sum, term := 0., 1.
		for i := k + 1; term > 1e-12*(sum+1) && i < k+10000; i++ {
			sum += term
			term *= mean / float64(i)
		}
		return min(1, first*sum)
	}
	sum, term := 0., first // of those below k
	for i := k; i > 0 && term > 0; i-- {
		term *= float64(i) / mean
		sum += term
	}
	return max(0, 1-sum)
}
