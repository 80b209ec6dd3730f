package hystrix

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/afex/hystrix-go/hystrix"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
)

// plan is one call of a random schedule.
type plan struct {
	start, takes time.Duration
	fails        bool
	cancel       time.Duration // after its start; 0: never
	fallback     int           // 0: none, 1: answers, 2: fails too
	plain        bool          // without a context
}

// came is what a call came to, in words.
type came string

// TestSameResultsAsTheLibrary makes random calls at once through both, and
// wants the same errors and the same fallbacks at the same instants. The
// circuit stays closed: its decisions are compared elsewhere.
func TestSameResultsAsTheLibrary(t *testing.T) {
	type result struct {
		Fault  string
		Rounds int
		Seen   map[string]int
	}
	saw := inBubble(t, func() result {
		r := result{Seen: map[string]int{}}
		rounds := 3000
		if testing.Short() {
			rounds = 300
		}
		r.Rounds = rounds
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range rounds {
			cfg := CommandConfig{Timeout: 100, RequestVolumeThreshold: 1e6, MaxConcurrentRequests: 1 + rng.IntN(4)}
			longest, leave := 99*time.Millisecond, false
			if i%2 == 0 { // what is left keeps its place here, so there is room for all
				cfg.MaxConcurrentRequests, longest, leave = 100, 200*time.Millisecond, true
			}
			plans := make([]plan, 1+rng.IntN(12))
			for k := range plans {
				plans[k] = randomPlan(rng, k, longest, leave)
			}
			name := fmt.Sprint(i % 50)
			theirs, ours := bothCame(name, cfg, plans)
			for k := range plans {
				r.Seen[string(ours[k])]++
				if theirs[k] != ours[k] {
					r.Fault = fmt.Sprintf("round %d, %+v: call %d of %+v\nthe library: %s\nours:        %s", i, cfg, k, plans, theirs[k], ours[k])
					return r
				}
			}
		}
		return r
	})
	if saw.Fault != "" {
		t.Fatal(saw.Fault)
	}
	kinds := map[string]int{}
	for text, n := range saw.Seen {
		for _, kind := range []string{"<nil>", errRun.Error(), "timeout", "max concurrency", context.Canceled.Error(), "fallback failed"} {
			if strings.Contains(text, kind) {
				kinds[kind] += n
			}
		}
	}
	t.Logf("%v", kinds)
	for kind, n := range kinds {
		if n < saw.Rounds/30 || len(kinds) != 6 {
			t.Errorf("%q %d times, of %d kinds; want 6 kinds, %d times each", kind, n, len(kinds), saw.Rounds/30)
		}
	}
}

// randomPlan never lets two things happen at one instant: what a call does has
// microseconds of its own, less than a millisecond of them.
func randomPlan(rng *rand.Rand, k int, longest time.Duration, leave bool) plan {
	ms := func(most time.Duration) time.Duration {
		return time.Duration(rng.Int64N(int64(most/time.Millisecond))) * time.Millisecond
	}
	own := time.Duration(k+1) * time.Microsecond
	p := plan{
		start: ms(150*time.Millisecond) + own, takes: ms(longest) + 37*own, fails: rng.IntN(2) == 0,
		fallback: rng.IntN(3), plain: rng.IntN(2) == 0,
	}
	if leave && !p.plain && rng.IntN(3) == 0 {
		p.cancel = ms(longest) + 71*own
	}
	return p
}

// bothCame makes the calls at the same instants in both.
func bothCame(name string, cfg CommandConfig, plans []plan) (theirs, ours []came) {
	hystrix.ConfigureCommand(name, cfg)
	hystrix.Flush() // the pool's size is that of the first use
	r := newRegistry(clock.System)
	if err := r.configure(name, cfg); err != nil {
		panic(err)
	}
	theirs, ours = make([]came, len(plans)), make([]came, len(plans))
	var wg sync.WaitGroup
	for k, p := range plans {
		wg.Go(func() {
			theirs[k] = p.make(func(ctx context.Context, run func(context.Context) error, fallback func(context.Context, error) error) error {
				if p.plain {
					return hystrix.Do(name, func() error { return run(ctx) }, plainFallback(ctx, fallback))
				}
				return hystrix.DoC(ctx, name, run, fallback)
			})
		})
		wg.Go(func() {
			ours[k] = p.make(func(ctx context.Context, run func(context.Context) error, fallback func(context.Context, error) error) error {
				if p.plain {
					x, second := plain(func() error { return run(ctx) }, plainFallback(ctx, fallback))
					return r.do(x, name, second)
				}
				return r.do(&execution{ctx: ctx, run: run}, name, fallback)
			})
		})
	}
	wg.Wait()
	wait(time.Second) // what was left has ended
	synctest.Wait()
	return theirs, ours
}

func plainFallback(ctx context.Context, fallback func(context.Context, error) error) func(error) error {
	if fallback == nil {
		return nil
	}
	return func(err error) error { return fallback(ctx, err) }
}

// make makes the call, and says what came of it and when.
func (p plan) make(do func(context.Context, func(context.Context) error, func(context.Context, error) error) error) came {
	begin := time.Now()
	wait(p.start)
	ctx := context.Background()
	if p.cancel > 0 {
		cancelled, cancel := context.WithCancel(ctx)
		defer cancel()
		time.AfterFunc(p.cancel, cancel)
		ctx = cancelled
	}
	run := func(context.Context) error {
		wait(p.takes)
		if p.fails {
			return errRun
		}
		return nil
	}
	var given error
	var fallback func(context.Context, error) error
	if p.fallback > 0 {
		fallback = func(_ context.Context, err error) error {
			given = err
			if p.fallback == 2 {
				return errors.New("nothing cached")
			}
			return nil
		}
	}
	err := do(ctx, run, fallback)
	return came(fmt.Sprintf("%v, %T, %v given to the fallback, after %v", err, bare(err), given, time.Since(begin)))
}

// bare is nil for an error whose type is not promised: that of a fallback that
// failed.
func bare(err error) error {
	if err != nil && strings.Contains(err.Error(), "fallback failed") {
		return nil
	}
	return err
}

// The library compares percentages that it has rounded, in floating point. The
// native breaker opens at the very same number of failures.
func TestOpensAtTheLibrarysPercentage(t *testing.T) {
	const calls = 200 // half a percent each
	faults := inBubble(t, func() (faults []string) {
		for percent := 1; percent <= 100; percent++ {
			cfg := CommandConfig{RequestVolumeThreshold: calls, ErrorPercentThreshold: percent}
			for failures := 2*percent - 3; failures <= 2*percent; failures++ {
				name := fmt.Sprint(percent, "/", failures)
				hystrix.ConfigureCommand(name, cfg)
				library, _, _ := hystrix.GetCircuit(name)
				bc, _, err := Native(cfg)
				if err != nil {
					return []string{err.Error()}
				}
				native, err := breaker.New(name, bc)
				if err != nil {
					return []string{err.Error()}
				}
				for i := range calls {
					kind, result := "success", breaker.Success
					if i >= calls-failures {
						kind, result = "failure", breaker.Failure
					}
					_ = library.ReportEvent([]string{kind}, time.Now(), 0)
					p, _, _ := native.TryAcquire(time.Now())
					p.Done(breaker.Report{Result: result})
				}
				synctest.Wait()
				if theirs, ours := library.IsOpen(), native.State() == breaker.Open; theirs != ours {
					faults = append(faults, fmt.Sprintf("%d of %d failures at %d %%: the library is open %v, the native breaker %v", failures, calls, percent, theirs, ours))
				}
			}
		}
		return faults
	})
	for _, f := range faults {
		t.Error(f)
	}
}
