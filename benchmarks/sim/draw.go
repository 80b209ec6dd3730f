package sim

import (
	"math"
	"math/bits"
	"slices"
	"time"
)

// Draws are functions of what they are about and of the seed, and of nothing
// that came before: so every client has the same luck.

// What a draw is about.
const (
	aboutWork = iota + 1
	aboutErrors
	aboutHealthyErrors
	aboutBurst
	aboutLoss
	aboutLag
	aboutOverrun
)

// hash mixes words into 64 bits that look random (the finalizer of
// splitmix64: Steele, Lea, Flood 2014).
func hash(seed uint64, words ...uint64) uint64 {
	h := seed
	for _, w := range words {
		h += w*0x9e3779b97f4a7c15 + 0xd1b54a32d192ed03
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}

// uniform is in (0, 1).
func uniform(h uint64) float64 { return (float64(h>>11) + 0.5) / (1 << 53) }

// draw is that of one attempt of a call at a node.
func (w *world) draw(about uint64, j *job) uint64 {
	return hash(w.seed, about, j.call.id, uint64(j.number)<<32|uint64(j.node.index))
}

// exp is exponential with that mean.
func exp(h uint64, mean float64) float64 { return -math.Log(uniform(h)) * mean }

// stream is a sequence of draws.
type stream struct{ seed, n uint64 }

func (s *stream) next() uint64 {
	s.n++
	hi, lo := bits.Mul64(s.n^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93) // any odd multiplier
	return hash(s.seed, hi^lo)
}

// times is the distribution of service times.
type times struct {
	mu, sigma float64 // of the logarithm, in nanoseconds
	always    time.Duration
	sample    []time.Duration // sorted; nil: log-normal
}

func timesOf(s Service) times {
	t := times{sample: slices.Clone(s.Sample)}
	slices.Sort(t.sample)
	if s.CV <= 0 {
		t.always = s.Mean
		return t
	}
	sigma2 := math.Log(1 + s.CV*s.CV)
	t.mu, t.sigma = math.Log(float64(s.Mean))-sigma2/2, math.Sqrt(sigma2)
	return t
}

// at returns the time below which a share p of all is.
func (t *times) at(p float64) time.Duration {
	switch n := len(t.sample); {
	case n == 1:
		return t.sample[0]
	case n > 1:
		x := p * float64(n-1)
		i := min(int(x), n-2)
		return t.sample[i] + time.Duration((x-float64(i))*float64(t.sample[i+1]-t.sample[i]))
	case t.sigma == 0:
		return t.always
	}
	return time.Duration(math.Exp(t.mu + t.sigma*math.Sqrt2*math.Erfinv(2*p-1)))
}
