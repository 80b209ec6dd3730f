package retry_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/retry"
)

const ms = time.Millisecond

// fixed is a generator that gives what is in it, then stops.
type fixed struct {
	intervals []time.Duration
	next      int
	resets    int
}

func (f *fixed) Reset() { f.next = 0; f.resets++ }

func (f *fixed) NextBackOff() time.Duration {
	if f.next == len(f.intervals) {
		return backoff.Stop
	}
	f.next++
	return f.intervals[f.next-1]
}

func verbatim(intervals ...time.Duration) *retry.Intervals {
	return &retry.Intervals{Verbatim: true, New: func() backoff.BackOff { return &fixed{intervals: intervals} }}
}

// TestExponential: the intervals under the jitter, cap included, which
// backoff/v4 itself exceeds at the first interval.
func TestExponential(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		initial    time.Duration
		most       time.Duration
		multiplier float64
		want       []time.Duration
	}{
		{"doubling", 25 * ms, 300 * ms, 2, []time.Duration{25 * ms, 50 * ms, 100 * ms, 200 * ms, 300 * ms, 300 * ms}},
		{"constant", 25 * ms, 300 * ms, 1, []time.Duration{25 * ms, 25 * ms, 25 * ms}},
		{"starts at the cap", 300 * ms, 300 * ms, 2, []time.Duration{300 * ms, 300 * ms}},
		{"starts above the cap", time.Second, 300 * ms, 2, []time.Duration{300 * ms, 300 * ms}},
		{"no interval", 0, 300 * ms, 2, []time.Duration{0, 0, 0}},
		{"up to the end of time", 1, math.MaxInt64, 100, []time.Duration{1, 100, 10_000}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			iv := retry.Intervals{New: retry.Exponential(tt.initial, tt.most, tt.multiplier), Verbatim: true}
			var got []time.Duration
			for range tt.want {
				got = append(got, iv.Next(clock.System, 0))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			for range 200 {
				if d := iv.Next(clock.System, 0); d < 0 || d > tt.most {
					t.Fatalf("%v is outside [0, %v]", d, tt.most)
				}
			}
		})
	}
}

// TestJitterIsUniform: full jitter draws evenly from [0, interval); Pearson's
// χ² and Kolmogorov–Smirnov at a level of 0.1 %, with a fixed seed. Equal
// jitter, ±50 % and backoff/v4's own factor of 1 all fail both by far.
func TestJitterIsUniform(t *testing.T) {
	t.Parallel()
	const (
		draws    = 200_000
		bins     = 100
		interval = 80 * ms
		chi2     = 148.23 // 99 degrees of freedom, 0.1 %
		ks       = 1.9495 // asymptotic, times √draws, 0.1 %
	)
	c := clock.NewVirtual(7)
	sample := make([]float64, 0, draws)
	var counts [bins]float64
	for range draws {
		iv := retry.Intervals{New: retry.Exponential(interval, interval, 2)}
		x := float64(iv.Next(c, 0)) / float64(interval)
		if x < 0 || x >= 1 {
			t.Fatalf("%v of the interval", x)
		}
		counts[int(x*bins)]++
		sample = append(sample, x)
	}
	var x2 float64
	const expected = float64(draws) / bins
	for _, n := range counts {
		x2 += (n - expected) * (n - expected) / expected
	}
	slices.Sort(sample)
	var d float64
	for i, x := range sample {
		d = max(d, x-float64(i)/draws, float64(i+1)/draws-x)
	}
	if d *= math.Sqrt(draws); x2 > chi2 || d > ks {
		t.Errorf("χ² = %.1f (want below %.1f), KS = %.3f (want below %.3f)", x2, chi2, d, ks)
	}
	t.Logf("χ² = %.1f, KS = %.3f", x2, d)
}

// TestCapIsACap: a million draws, most of them at the cap.
func TestCapIsACap(t *testing.T) {
	t.Parallel()
	const most = 100 * ms
	c := clock.NewVirtual(8)
	iv := retry.Intervals{New: retry.Exponential(ms, most, 3)}
	var largest time.Duration
	for range 1_000_000 {
		largest = max(largest, iv.Next(c, 0))
	}
	if largest >= most || largest < most*999/1000 {
		t.Errorf("the largest of a million is %v, want just below %v", largest, most)
	}
}

// TestHintIsAFloor: the pause is added to the server's hint, never taken from
// it, and no hint overflows.
func TestHintIsAFloor(t *testing.T) {
	t.Parallel()
	c := clock.NewVirtual(9)
	for range 1000 {
		iv := retry.Intervals{New: retry.Exponential(50*ms, 50*ms, 2)}
		if d := iv.Next(c, time.Second); d < time.Second || d >= 1050*ms {
			t.Fatalf("%v, want from 1s to below 1.05s", d)
		}
	}
	tests := []struct {
		name     string
		interval time.Duration
		after    time.Duration
		want     time.Duration
	}{
		{"hint and interval", 50 * ms, time.Second, 1050 * ms},
		{"negative hint", 50 * ms, -time.Second, 50 * ms},
		{"negative interval", -50 * ms, time.Second, time.Second},
		{"the longest hint", 50 * ms, math.MaxInt64, math.MaxInt64},
		{"the longest interval", math.MaxInt64, time.Second, math.MaxInt64},
	}
	for _, tt := range tests {
		if got := verbatim(tt.interval).Next(c, tt.after); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestNoGenerator(t *testing.T) {
	t.Parallel()
	for name, iv := range map[string]*retry.Intervals{
		"zero value":      {},
		"constructor nil": {New: func() backoff.BackOff { return nil }},
	} {
		for range 3 {
			if d := iv.Next(clock.System, 0); d != 0 {
				t.Errorf("%s: %v, want no pause", name, d)
			}
			if d := iv.Next(clock.System, time.Second); d != time.Second {
				t.Errorf("%s: %v, want the hint", name, d)
			}
		}
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	iv := verbatim(ms, 2*ms)
	for _, want := range []time.Duration{ms, 2 * ms, -1, -1} {
		if got := iv.Next(clock.System, 0); got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	if got := verbatim().Next(clock.System, time.Hour); got >= 0 {
		t.Errorf("stop, with a hint: %v, want negative", got)
	}
	jittered := retry.Intervals{New: func() backoff.BackOff { return &backoff.StopBackOff{} }}
	if got := jittered.Next(clock.System, 0); got >= 0 {
		t.Errorf("stop, under jitter: %v, want negative", got)
	}
}

// TestConstructorIsCalledOnce: at the first retry and never again, and what it
// returns is reset, for backoff/v4 asks for that.
func TestConstructorIsCalledOnce(t *testing.T) {
	t.Parallel()
	var made []*fixed
	iv := retry.Intervals{Verbatim: true, New: func() backoff.BackOff {
		made = append(made, &fixed{intervals: []time.Duration{ms, ms, ms}})
		return made[len(made)-1]
	}}
	if len(made) != 0 {
		t.Fatal("made before the first retry")
	}
	for range 3 {
		iv.Next(clock.System, 0)
	}
	if len(made) != 1 || made[0].resets != 1 {
		t.Errorf("made %d times, reset %d times; want once each", len(made), made[0].resets)
	}
}
