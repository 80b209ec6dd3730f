package selector

import (
	"math"
	"sync/atomic"
	"time"
)

// survival is how long a method's calls take, as a histogram of its sampled
// successes at all nodes, four buckets an octave from 64 µs to 68 s. Lost
// updates do no harm.
type survival struct{ buckets [80]atomic.Uint32 }

const perOctave = 4

// forgetAt is the count at which a histogram is halved, so that it follows.
const forgetAt = 2048

func bucket(elapsed int64) int {
	const first = (127 + 16) << 2 // of 2¹⁶ ns: exponent and two bits of a float32
	return min(max(int(math.Float32bits(float32(elapsed))>>21)-first, 0), len(survival{}.buckets)-1)
}

func (h *survival) add(elapsed time.Duration) {
	if h.buckets[bucket(int64(elapsed))].Add(1) < forgetAt {
		return
	}
	for i := range h.buckets {
		b := &h.buckets[i]
		b.Store(b.Load() / 2)
	}
}

// hazard is −ln S(age), as far as the samples tell; beyond the longest of them
// S is taken to fall no faster than 1/age.
func (h *survival) hazard(age int64) float64 {
	if age <= 0 {
		return 0
	}
	at, last := bucket(age), 0
	longer, all := 1., 1.
	for i := range h.buckets {
		x := float64(h.buckets[i].Load())
		all += x
		if i >= at {
			longer += x
		}
		if x > 0 {
			last = i
		}
	}
	if all == 1 {
		return 0
	}
	beyond := float64(max(0, at-last-1)) / perOctave * math.Ln2
	return math.Log(all/longer) + beyond
}

// takes notes how long a call of a method took.
func (s *Selector) takes(method int, elapsed time.Duration) {
	h := s.survival[method].Load()
	if h == nil {
		h = new(survival)
		if !s.survival[method].CompareAndSwap(nil, h) {
			h = s.survival[method].Load()
		}
	}
	h.add(elapsed)
}
