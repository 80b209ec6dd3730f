package clock

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRealNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Real
		start := r.Now()
		ctx, stop := r.WithTimeout(t.Context(), time.Second)
		defer stop()
		deadline, _ := ctx.Deadline()
		if got := deadline.Sub(r.Now()); got != time.Second {
			t.Errorf("a deadline in a second is %v away", got)
		}
		_ = r.Sleep(t.Context(), 3*time.Second)
		if got := r.Now().Sub(start); got != 3*time.Second {
			t.Errorf("%v passed, want 3s", got)
		}
	})
}

func TestRealSleep(t *testing.T) {
	rows := []struct {
		name  string
		after time.Duration // of the context
		d     time.Duration
		want  time.Duration
		err   error
	}{
		{"to its end", time.Minute, time.Second, time.Second, nil},
		{"cut short", time.Second, time.Minute, time.Second, context.DeadlineExceeded},
		{"endless, cut short", time.Second, math.MaxInt64, time.Second, context.DeadlineExceeded},
		{"zero", time.Second, 0, 0, nil},
		{"negative", time.Second, -time.Second, 0, nil},
		{"ended before", 0, time.Second, 0, context.DeadlineExceeded},
		{"ended before, zero", 0, 0, 0, context.DeadlineExceeded},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := System.WithTimeout(t.Context(), row.after)
				defer stop()
				start := time.Now()
				if err := System.Sleep(ctx, row.d); !errors.Is(err, row.err) {
					t.Errorf("error %v, want %v", err, row.err)
				}
				if got := time.Since(start); got != row.want {
					t.Errorf("slept %v, want %v", got, row.want)
				}
			})
		})
	}
}

func TestRealWaitsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Real
		r.Wait() // nothing yet
		start := time.Now()
		var ended atomic.Int32
		for i := range 10 {
			r.Go(func() {
				defer ended.Add(1)
				_ = r.Sleep(t.Context(), time.Duration(i)*time.Second)
				if i == 9 {
					runtime.Goexit()
				}
			})
		}
		var others sync.WaitGroup
		for range 3 {
			others.Go(func() {
				r.Wait()
				if got := ended.Load(); got != 10 {
					t.Errorf("Wait returned after %d of 10", got)
				}
			})
		}
		others.Wait()
		if got := time.Since(start); got != 9*time.Second {
			t.Errorf("waited %v", got)
		}
		r.Wait()
	})
}

// TestRealGoBesideWait fails under -race, or panics, with a sync.WaitGroup:
// its counter must not leave zero while somebody waits.
func TestRealGoBesideWait(t *testing.T) {
	var r Real
	var all sync.WaitGroup
	var n atomic.Int32
	for range 4 {
		all.Go(func() {
			for range 1000 {
				r.Go(func() { n.Add(1) })
			}
		})
		all.Go(func() {
			for range 1000 {
				r.Wait()
			}
		})
	}
	all.Wait()
	r.Wait()
	if got := n.Load(); got != 4000 {
		t.Errorf("%d ran", got)
	}
}

func TestFloat64AndJitter(t *testing.T) {
	for _, c := range []Clock{System, NewVirtual(3)} {
		const n = 20_000
		sum := 0.0
		for range n {
			x := Float64(c)
			if x < 0 || x >= 1 {
				t.Fatalf("%v is outside [0, 1)", x)
			}
			sum += x
			if d := Jitter(c, 10); d < 0 || d >= 10 {
				t.Fatalf("%v is outside [0, 10)", d)
			}
		}
		// Seven standard deviations of the mean of n uniforms.
		if mean := sum / n; math.Abs(mean-0.5) > 7*0.2887/math.Sqrt(n) {
			t.Errorf("%T: mean %v", c, mean)
		}
		for _, d := range []time.Duration{0, -1, math.MinInt64} {
			if got := Jitter(c, d); got != 0 {
				t.Errorf("Jitter(%v) is %v", d, got)
			}
		}
		if d := Jitter(c, math.MaxInt64); d < 0 {
			t.Errorf("%v overflowed", d)
		}
	}
}

func TestJitterReachesBothEnds(t *testing.T) {
	v := NewVirtual(1)
	var seen [4]int
	for range 4000 {
		seen[Jitter(v, 4)]++
	}
	for i, n := range seen {
		if n < 800 || n > 1200 { // 1000 expected, 27 standard deviation
			t.Errorf("%d drawn %d times of 4000", i, n)
		}
	}
}
