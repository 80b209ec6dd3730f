package tune

import (
	"math"
	"slices"
)

// ejector is what the formulae know of selector's: the score S and the contrast
// D of ../shared/DETECTION.md, for one client at one node whose calls fail
// independently with probability q, while the peers' fail with probability p.
type ejector struct {
	q, p     float64
	peers    int
	shares   []float64 // of the calls, by method
	excess   float64   // Δ
	baseline float64
	look     float64 // h
	contrast float64 // h2
	thin     float64 // share of the failures that are counted: bursts count once

	// unlucky is by how many standard errors fewer calls the peers are taken to
	// have had than their share.
	unlucky float64

	// follow is q for the first calls after a failure, where failures come in
	// clusters, and again after the second failure and further ones; q is for
	// those after that.
	follow, again []float64
}

// nodePeers are those the contrast sums over: the worst quarter is left out.
func (e *ejector) nodePeers() float64 {
	n := min(e.peers, 32)
	return float64(n - n/4)
}

// normal is the failure rate that the score believes to be normal.
func (e *ejector) normal() float64 { return max(e.baseline, e.p) }

// weights are a and c: what a failure adds to the score and a success takes
// away.
func (e *ejector) weights() (a, c float64) {
	p0 := e.normal()
	return math.Log1p(e.excess * (1 - p0) / p0), -math.Log1p(-e.excess)
}

// observed is the failure rate among the calls that count, and how many calls
// that are made there are for one that counts.
func (e *ejector) observed() (q, calls float64) {
	seen := 1 - e.q + e.q*e.thin
	return e.q * e.thin / seen, 1 / seen
}

// compare is D after k failures in a window of n calls, which are spread over
// the methods by their shares.
func (e *ejector) compare(k, n float64) float64 {
	peers := e.fewer(e.nodePeers() * n)
	f := e.p * peers
	u := math.Sqrt(f + .25)
	pa := (f + .5 + u) / (peers + 1 + u)
	small, large := (n-k)*math.Log1p(-e.excess), (n-k)*math.Log1p(-.9)
	for _, share := range e.shares {
		nm := e.fewer(e.nodePeers() * n * share)
		fm := e.p * nm
		um := math.Sqrt(fm + .25)
		p := max(pa, (fm+.5+um+2*pa)/(nm+3+um), e.normal())
		p = min(max(p, 2*e.baseline), .999)
		small += k * share * math.Log1p(e.excess*(1-p)/p)
		large += k * share * math.Log1p(.9*(1-p)/p)
	}
	return min(max(small, large), 2*(peers-f))
}

// fewer is how many calls the peers are taken to have had of so many.
func (e *ejector) fewer(n float64) float64 { return max(0, n-e.unlucky*math.Sqrt(n)) }

const (
	longestWindow = 5000
	longestRun    = 50000
	negligible    = 1e-9
	never         = 1e-25
)

// window is what becomes of a stretch of calls that begins with a failure at a
// healthy node: eject[i] is the probability that the call i+1 ends it by an ejection, end[i]
// that it does by taking the score back to zero. The score is not held at h while
// the comparison says no, as the ejector does: it ejects no less.
func (e *ejector) window() (eject, end []float64) {
	q, _ := e.observed()
	a, c := e.weights()
	score := func(k, n int) float64 { return float64(k)*a - float64(n-k)*c }
	judged := func(k, n int) bool { return score(k, n) >= e.look && e.compare(float64(k), float64(n)) >= e.contrast }
	if judged(1, 1) {
		return []float64{1}, []float64{0}
	}
	eject, end = []float64{0}, []float64{0}
	lags := max(len(e.follow), len(e.again)) + 1
	now := make([]float64, 2*lags) // by number of failures, and of calls since the last
	now[lags] = 1
	var spare []float64
	for n := 2; n <= longestWindow; n++ {
		var out, back, left float64
		next := zeroed(spare, len(now)+lags)
		for i, p := range now {
			if p < never {
				continue
			}
			k, lag := i/lags, i%lags
			fails, follow := q, e.follow
			if k > 1 {
				follow = e.again
			}
			if lag < len(follow) {
				fails = follow[lag]
			}
			if score(k, n) <= 0 {
				back += p * (1 - fails)
			} else {
				next[k*lags+min(lag+1, lags-1)] += p * (1 - fails)
			}
			if judged(k+1, n) {
				out += p * fails
			} else {
				next[(k+1)*lags] += p * fails
			}
		}
		eject, end = append(eject, out), append(end, back)
		top := len(next)
		for top > lags && next[top-1] < never {
			top--
		}
		next = next[:(top+lags-1)/lags*lags]
		for _, p := range next {
			left += p
		}
		if spare, now = now, next; left < 1e-20 {
			break
		}
	}
	return eject, end
}

// steps is how finely the score is told apart in stretch.
const steps = 100

// stretch is window at a broken node: with the score held at h while the
// comparison says no, and without clusters. The score is counted in steps that
// divide c; a and h are rounded so that it takes no less.
func (e *ejector) stretch() (eject, end []float64) {
	q, _ := e.observed()
	a, c := e.weights()
	down := math.Ceil(c / e.look * steps)
	unit := c / down
	up, top, fall := int(a/unit), int(math.Ceil(e.look/unit)), int(down)
	width := top + 1
	judged := func(k, n int) bool { return e.compare(float64(k), float64(n)) >= e.contrast }
	if up >= top && judged(1, 1) {
		return []float64{1}, []float64{0}
	}
	eject, end = []float64{0}, []float64{0}
	now := make([]float64, 2*width) // by number of failures and score
	now[width+min(up, top)] = 1
	var spare []float64
	for n := 2; n <= longestWindow; n++ {
		var out, back, left float64
		next := zeroed(spare, len(now)+width)
		for k := 0; k*width < len(now); k++ {
			goes := judged(k+1, n)
			for s := 1; s <= top; s++ {
				p := now[k*width+s]
				if p < 1e-15 {
					continue
				}
				if s <= fall {
					back += p * (1 - q)
				} else {
					next[k*width+s-fall] += p * (1 - q)
				}
				if s+up >= top && goes {
					out += p * q
				} else {
					next[(k+1)*width+min(s+up, top)] += p * q
				}
			}
		}
		eject, end = append(eject, out), append(end, back)
		last := 0
		for i, p := range next {
			if left += p; p >= 1e-15 {
				last = i
			}
		}
		if spare, now = now, next[:(last/width+1)*width]; left < negligible {
			break
		}
	}
	return eject, end
}

// zeroed returns n zeros, in the room of old if there is enough.
func zeroed(old []float64, n int) []float64 {
	old = slices.Grow(old[:0], n)[:n]
	clear(old)
	return old
}

// passage is the distribution of the number of calls until the ejection: at[i]
// is the probability that it is the call i+1. A window opens at a failure while
// the score is zero, and windows follow each other until one ejects.
func (e *ejector) passage() []float64 {
	q, _ := e.observed()
	eject, end := e.stretch()
	var at, opened []float64 // by call: a window's first failure
	idle, done := 1., 0.
	for i := 0; i < longestRun && done < 1-1e-5; i++ {
		opened = append(opened, idle*q)
		idle *= 1 - q
		var out float64
		for m := 0; m < len(eject) && m <= i; m++ {
			if o := opened[i-m]; o > negligible {
				out += o * eject[m]
				idle += o * end[m]
			}
		}
		at = append(at, out)
		done += out
	}
	return at
}

// calls sums up a passage, in calls that are made.
func (e *ejector) calls(at []float64) Tail {
	_, per := e.observed()
	t := Tail{P50: Number(quantile(at, .5) * per), P99: Number(quantile(at, .99) * per)}
	mean, sum := 0., 0.
	for i, p := range at {
		mean, sum = mean+p*float64(i+1), sum+p
	}
	if sum < .999 {
		mean = math.Inf(1)
	}
	t.Mean = Number(mean / sum * per)
	return t
}

// times is the passage in seconds, where calls come at random, so many a
// second, and each says what it came to after so many seconds.
func (e *ejector) times(at []float64, rate, latency float64) Tail {
	_, per := e.observed()
	rate /= per
	calls := e.calls(at)
	within := func(t float64) float64 { // P(ejected by t)
		sum := 0.
		for i, p := range at {
			if p > negligible {
				sum += p * poissonTail(i+1, rate*t)
			}
		}
		return sum
	}
	find := func(q, guess float64) Number {
		if math.IsInf(guess, 1) {
			return Number(guess)
		}
		low, high := 0., 2*guess/rate/per+1/rate
		for within(high) < q {
			if high *= 2; high > 1e12 {
				return Number(math.Inf(1))
			}
		}
		for range 40 {
			if mid := (low + high) / 2; within(mid) < q {
				low = mid
			} else {
				high = mid
			}
		}
		return Number(high + latency)
	}
	return Tail{
		Mean: calls.Mean/Number(rate*per) + Number(latency),
		P50:  find(.5, float64(calls.P50)), P99: find(.99, float64(calls.P99)),
	}
}

// falseRate is how often a call at a healthy node, whose calls fail with
// probability q, ends in its ejection, at most: p is taken to be 0, so that its
// peers have had the luck to have no failure meanwhile.
func (e *ejector) falseRate() float64 {
	eject, _ := e.window()
	sum := 0.
	for _, p := range eject {
		sum += p
	}
	return e.q * sum
}

// exponent is ω: how the bound e^(ω·h) on the calls between two false looks
// grows with the threshold h where calls fail with probability p (Lundberg's
// exponent: the ω > 0 at which p·e^(ωa) + (1−p)·e^(−ωc) = 1). It is 1 where p is
// what the score believes to be normal, and 0 where failures are so many that
// the score grows by itself.
func exponent(p, a, c float64) float64 {
	if p <= 0 {
		return math.Inf(1)
	}
	f := func(w float64) float64 { return p*math.Exp(w*a) + (1-p)*math.Exp(-w*c) - 1 }
	if p*a-(1-p)*c >= 0 {
		return 0
	}
	low, high := 0., 1e-3
	for f(high) < 0 {
		if low, high = high, 2*high; high > 1e3 {
			return high
		}
	}
	for range 60 {
		if mid := (low + high) / 2; f(mid) < 0 {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// quantile is the smallest call by which the probability is q.
func quantile(at []float64, q float64) float64 {
	sum := 0.
	for i, p := range at {
		if sum += p; sum >= q {
			return float64(i + 1)
		}
	}
	return math.Inf(1)
}
