package breaker

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestStress lets everything happen at once; the race detector and the checks
// at the end are the judges. Time is short, so that all states are passed
// through.
func TestStress(t *testing.T) {
	for _, rule := range []Rule{CUSUM{}, Consecutive{N: 3}, Rate{Window: time.Millisecond, MinCalls: 5}, Count{}, Never{}} {
		t.Run(rule.String(), func(t *testing.T) {
			const probes = 2
			cfg := Config{
				Rule: rule, Probes: probes, OpenFor: 20 * time.Microsecond, OpenMax: 200 * time.Microsecond,
				ProbeTimeout: 100 * time.Microsecond, Ramp: 50 * time.Microsecond, SlowCall: time.Second,
			}
			var transitions atomic.Int64
			last := Closed
			cfg.OnEvent = func(e Event) { // one at a time, so last needs no lock
				if e.From != last {
					t.Errorf("%v→%v after one that led to %v", e.From, e.To, last)
				}
				last = e.To
				transitions.Add(1)
			}
			f, err := NewFamily(cfg)
			if err != nil {
				t.Fatal(err)
			}
			c := f.New("x").(*Circuit)
			steps := 20_000
			if raceEnabled {
				steps = 4_000
			}
			var wg sync.WaitGroup
			for g := range 6 {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(g), 0))
					for range steps {
						stressStep(c, f, cfg, rng)
					}
				})
			}
			wg.Wait()
			if transitions.Load() < 100 {
				t.Errorf("only %d transitions", transitions.Load())
			}
			recovers(t, c, probes)
		})
	}
}

func stressStep(c *Circuit, f *Family, cfg Config, rng *rand.Rand) {
	switch n := rng.IntN(1000); n {
	case 0, 1:
		c.Trip(Reason{})
	case 2:
		c.Reset(Reason{})
	case 3:
		c.Force(Mode(rng.IntN(3)), "")
		c.Force(Auto, "")
	case 4:
		c.SetShadow(rng.IntN(4) == 0)
	case 5:
		_ = f.Update(cfg)
	case 6:
		c.Subscribe(func(Event) { c.Snapshot() })()
	case 7:
		c.Snapshot()
	default:
		p, err := c.Acquire()
		if err != nil || n < 20 { // rejected, or a permit that is lost
			return
		}
		if n < 200 {
			runtime.Gosched()
		}
		p.Done(Report{Result: []Result{Success, Success, Failure, Ignored}[rng.IntN(4)]})
	}
}

// recovers checks that the breaker is not wedged: time and successes close it.
func recovers(t *testing.T, c *Circuit, probes int) {
	t.Helper()
	c.Force(Auto, "")
	c.SetShadow(false)
	now := time.Now()
	for range probes {
		now = now.Add(time.Hour)
		p, wait, ok := c.TryAcquire(now)
		if !ok {
			t.Fatalf("rejected for %v although an hour has passed", wait)
		}
		p.Done(Report{Result: Success})
	}
	if got := c.State(); got != Closed {
		t.Errorf("%v after %d successes, want closed", got, probes)
	}
}

// At most Probes calls pass at once when half-open, whoever asks.
func TestProbesAreCountedAcrossGoroutines(t *testing.T) {
	const probes = 3
	for range 200 {
		r := newRig(t, Config{Probes: probes, Ramp: -1})
		r.trip()
		r.advance(time.Second)
		now := r.clock.Now()
		var admitted atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, _, ok := r.TryAcquire(now); ok {
					admitted.Add(1)
				}
			})
		}
		wg.Wait()
		if got := admitted.Load(); got != probes {
			t.Fatalf("%d probes admitted, want %d", got, probes)
		}
	}
}

// No failure is lost among goroutines: N of them open, whoever reports them.
func TestFailuresAreCountedAcrossGoroutines(t *testing.T) {
	const n = 800
	r := newRig(t, Config{Rule: Consecutive{N: n}})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range n / 8 {
				p, _ := r.Acquire()
				p.Done(Report{Result: Failure})
			}
		})
	}
	wg.Wait()
	r.want(Open)
}
