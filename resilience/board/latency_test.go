package board

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/afex/hystrix-go/hystrix/rolling"
)

// TestBuckets: each latency lies within the bounds of its bucket, the buckets
// leave no gap, and none but the finest is wider than a sixteenth of what is in
// it.
func TestBuckets(t *testing.T) {
	t.Parallel()
	end := time.Duration(0)
	for i := range buckets {
		from, to := bounds(i)
		if from != end {
			t.Errorf("bucket %d begins at %v, and the one before ends at %v", i, from, end)
		}
		end = to
		if bucketOf(from) != i || bucketOf(to-1) != i {
			t.Errorf("bucket %d, from %v to %v, is not where its bounds fall: %d and %d", i, from, to, bucketOf(from), bucketOf(to-1))
		}
		if width := to - from; width > max(1<<unitBits, from/fine) {
			t.Errorf("bucket %d, from %v, is %v wide", i, from, width)
		}
	}
	if end < 4*time.Minute {
		t.Errorf("the last bucket ends at %v", end)
	}
	for _, d := range []time.Duration{end, time.Hour, math.MaxInt64} {
		if bucketOf(d) != buckets-1 {
			t.Errorf("%v falls into bucket %d", d, bucketOf(d))
		}
	}
	if bucketOf(-1) != 0 {
		t.Error("a negative latency falls elsewhere than a zero one")
	}
}

// TestPercentiles holds the histogram against the sorted list, and against
// hystrix-go's own, for latencies of several kinds.
func TestPercentiles(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	kinds := map[string]func() time.Duration{
		"exponential":  func() time.Duration { return time.Duration(r.ExpFloat64() * 2e7) },
		"wide":         func() time.Duration { return time.Duration(math.Exp(r.Float64()*18 + 7)) },
		"two humps":    func() time.Duration { return []time.Duration{5e6, 1e9}[r.IntN(2)] + time.Duration(r.IntN(1e6)) },
		"microseconds": func() time.Duration { return time.Duration(r.IntN(2e5)) },
		"all the same": func() time.Duration { return 1234567 },
	}
	for name, draw := range kinds {
		for _, n := range []int{1, 2, 5, 100, 10_000} {
			p, peer := new(part), rolling.NewTiming()
			p.clear(1)
			list := make([]time.Duration, n)
			sum := 0.0
			for i := range list {
				list[i] = draw()
				p.add(list[i])
				peer.Add(list[i])
				sum += float64(list[i])
			}
			slices.Sort(list)
			h := new(histogram)
			h.merge(p)
			if h.count != uint64(n) {
				t.Fatalf("%s: %d of %d", name, h.count, n)
			}
			last := time.Duration(0)
			for _, q := range []float64{0, 25, 50, 75, 90, 95, 99, 99.5, 100} {
				exact, got := list[max(int(math.Ceil(q/100*float64(n))), 1)-1], h.at(q)
				if off := (got - exact).Abs(); off > max(exact/fine, 1<<unitBits) {
					t.Errorf("%s, %d: percentile %v is %v, want %v", name, n, q, got, exact)
				}
				if (q == 0 || q == 100) && got != exact {
					t.Errorf("%s, %d: percentile %v is %v, want exactly %v", name, n, q, got, exact)
				}
				if got < last {
					t.Errorf("%s, %d: percentile %v is %v, less than the one before, %v", name, n, q, got, last)
				}
				last = got
				theirs, ours := float64(peer.Percentile(q)), ms(got)
				if math.Abs(ours-theirs) > 1.1+theirs/fine {
					t.Errorf("%s, %d: percentile %v is %v ms, and %v ms in hystrix-go", name, n, q, ours, theirs)
				}
			}
			if mean := sum / float64(n); math.Abs(float64(h.mean())-mean) > max(mean/fine, 1<<unitBits) {
				t.Errorf("%s, %d: mean %v, want %v", name, n, h.mean(), time.Duration(mean))
			}
		}
	}
	if h := new(histogram); h.at(50) != 0 || h.mean() != 0 {
		t.Error("nothing has a percentile or a mean")
	}
}

// TestPartIsUsedAgain, and knows nothing of what was in it.
func TestPartIsUsedAgain(t *testing.T) {
	t.Parallel()
	p := new(part)
	for i, d := range []time.Duration{time.Second, time.Millisecond, time.Minute} {
		p.clear(int64(i) + 1)
		p.add(d)
		h := new(histogram)
		h.merge(p)
		if h.count != 1 || h.least != d || h.most != d {
			t.Errorf("%v: %d, from %v to %v", d, h.count, h.least, h.most)
		}
	}
}
