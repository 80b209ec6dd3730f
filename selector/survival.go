package selector

import (
	"math"
	"sync/atomic"
	"time"
)

// survival is how long a method's calls take, as a histogram of its sampled
// successes at all nodes, and of attempts that were given up too soon: four
// buckets an octave from 64 µs to 68 s. Lost updates do no harm.
type survival struct{ buckets [80]atomic.Uint32 }

const perOctave = 4

// few samples say nothing.
const few = 8

// Beyond the longest that was seen, S is taken to fall no faster than a power
// of the age.
const (
	thick = 1. // where a node is accused of silence
	thin  = 2. // where it costs an attempt at most
)

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

// hazard is −ln S(age), as far as the samples tell; the tail is beyond them.
func (h *survival) hazard(age int64, tail float64) float64 {
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
	if all <= few {
		return 0
	}
	beyond := float64(max(0, at-last-1)) / perOctave * math.Ln2
	return math.Log(all/longer) + tail*beyond
}

// late is the hazard at which an attempt is late: that of one call in a
// hundred, or of one that takes clearly longer than any that was seen, as soon
// as that is rarer.
func (h *survival) late() float64 {
	all := 1.
	for i := range h.buckets {
		all += float64(h.buckets[i].Load())
	}
	return min(max(math.Log(all)+1, late), hopeless)
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
