package board

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A part is the latencies of ten seconds, in buckets whose width is a
// sixteenth of an octave: a percentile is within 3 % of the sorted list's.
// Below a quarter of a millisecond they are 16 µs wide; above four and a half
// minutes all fall into the last, and only the longest is told exactly.
type part struct {
	stamp  atomic.Int64 // which ten seconds, from 1; 0: unused
	least  atomic.Int64 // subtracted from forever
	most   atomic.Int64
	_      [40]byte // the head is read by all, and seldom written
	bucket [buckets]atomic.Uint32
}

const (
	unitBits = 14 // 16 µs
	fineBits = 4
	fine     = 1 << fineBits
	octaves  = 20
	buckets  = fine * (octaves + 1)
)

// bucketOf returns the bucket of a latency.
func bucketOf(d time.Duration) int {
	v := uint64(max(d, 0)) >> unitBits
	if v < fine {
		return int(v)
	}
	shift := bits.Len64(v) - fineBits - 1
	return min(fine*(shift+1)+int(v>>shift)-fine, buckets-1)
}

// bounds returns the latencies that fall into a bucket: from, and up to.
func bounds(i int) (from, to time.Duration) {
	if i < fine {
		return time.Duration(i) << unitBits, time.Duration(i+1) << unitBits
	}
	shift := unitBits + i/fine - 1
	from = time.Duration(fine+i%fine) << shift
	return from, from + 1<<shift
}

func (p *part) add(d time.Duration) {
	p.bucket[bucketOf(d)].Add(1)
	raise(&p.most, int64(d))
	raise(&p.least, int64(forever-d))
}

// maximum is an atomic.Int64 or Uint32 that only grows.
type maximum[T int64 | uint32] interface {
	Load() T
	CompareAndSwap(old, n T) bool
}

// raise makes x at least n. It writes seldom.
func raise[T int64 | uint32](x maximum[T], n T) {
	for {
		if old := x.Load(); n <= old || x.CompareAndSwap(old, n) {
			return
		}
	}
}

// clear makes p ready for the ten seconds that stamp stands for.
func (p *part) clear(stamp int64) {
	for i := range p.bucket {
		p.bucket[i].Store(0)
	}
	p.least.Store(0)
	p.most.Store(0)
	p.stamp.Store(stamp)
}

const forever = time.Duration(1<<63 - 1)

// histogram is several parts together.
type histogram struct {
	bucket      [buckets]uint64
	count       uint64
	least, most time.Duration
}

func (h *histogram) merge(p *part) {
	if h.count == 0 {
		h.least, h.most = forever, 0
	}
	for i := range p.bucket {
		n := uint64(p.bucket[i].Load())
		h.bucket[i] += n
		h.count += n
	}
	h.least = min(h.least, forever-time.Duration(p.least.Load()))
	h.most = max(h.most, time.Duration(p.most.Load()))
}

// at returns the percentile p, from 0 to 100, by the nearest rank; 0 when there
// is nothing.
func (h *histogram) at(p float64) time.Duration {
	if h.count == 0 {
		return 0
	}
	exact := p / 100 * float64(h.count)
	rank := uint64(exact)
	if float64(rank) < exact {
		rank++
	}
	switch {
	case rank <= 1:
		return h.least
	case rank >= h.count:
		return h.most
	}
	before := uint64(0)
	for i, n := range h.bucket {
		if before+n < rank {
			before += n
			continue
		}
		from, to := bounds(i)
		within := (float64(rank-before) - 0.5) / float64(n)
		return min(max(from+time.Duration(within*float64(to-from)), h.least), h.most)
	}
	return h.most
}

// mean takes each latency for the middle of its bucket.
func (h *histogram) mean() time.Duration {
	if h.count == 0 {
		return 0
	}
	sum := 0.0
	for i, n := range h.bucket {
		if n > 0 {
			from, to := bounds(i)
			sum += float64(n) * float64(min(max((from+to)/2, h.least), h.most))
		}
	}
	return time.Duration(sum / float64(h.count))
}
