package resilience_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// bomb goes off once, at a place in the call path.
type bomb struct {
	armed bool
	blast func()
}

func (b *bomb) tick() {
	if b.armed {
		b.armed = false
		b.blast()
	}
}

// places are where user code runs: what the config gets, and what the op does
// (nil: it fails, so that all of the path is walked).
var places = map[string]func(cfg *config, tick func()) (op func() error){
	"op": func(_ *config, tick func()) func() error {
		return func() error { tick(); return nil }
	},
	"wrapper, before": func(cfg *config, tick func()) func() error {
		cfg.Wrap = []resilience.Wrapper{before(tick)}
		return nil
	},
	"wrapper, after": func(cfg *config, tick func()) func() error {
		cfg.Wrap = []resilience.Wrapper{after(tick)}
		return nil
	},
	"attempt wrapper, before": func(cfg *config, tick func()) func() error {
		cfg.WrapAttempt = []resilience.Wrapper{before(tick)}
		return nil
	},
	"attempt wrapper, after": func(cfg *config, tick func()) func() error {
		cfg.WrapAttempt = []resilience.Wrapper{after(tick)}
		return nil
	},
	"classify": func(cfg *config, tick func()) func() error {
		cfg.Classify = func(ctx context.Context, err error) resilience.Outcome { tick(); return resilience.Classify(ctx, err) }
		return nil
	},
	"hook": func(cfg *config, tick func()) func() error {
		cfg.RetryIf = func(t retry.Try) (bool, error) { tick(); return t.Again, nil }
		return nil
	},
	"intervals": func(cfg *config, tick func()) func() error {
		cfg.Intervals = func() backoff.BackOff { tick(); return &backoff.ZeroBackOff{} }
		return nil
	},
	"fallback": func(cfg *config, tick func()) func() error {
		cfg.Fallback = func(context.Context, *resilience.Call, error) error { tick(); return nil }
		return nil
	},
	"observer, attempt": observed(resilience.AttemptDone),
	"observer, wait":    observed(resilience.RetryWaiting),
	"observer, call":    observed(resilience.CallDone),
	"observer, fallback": func(cfg *config, tick func()) func() error {
		cfg.Fallback = func(context.Context, *resilience.Call, error) error { return nil }
		return observed(resilience.FallbackDone)(cfg, tick)
	},
}

func before(tick func()) resilience.Wrapper {
	return func(next resilience.Func) resilience.Func {
		return func(ctx context.Context, call *resilience.Call) error { tick(); return next(ctx, call) }
	}
}

func after(tick func()) resilience.Wrapper {
	return func(next resilience.Func) resilience.Func {
		return func(ctx context.Context, call *resilience.Call) error {
			err := next(ctx, call)
			tick()
			return err
		}
	}
}

func observed(kind resilience.EventKind) func(cfg *config, tick func()) func() error {
	return func(cfg *config, tick func()) func() error {
		cfg.Observer = resilience.ObserverFunc(func(e resilience.Event) {
			if e.Kind == kind {
				tick()
			}
		})
		return nil
	}
}

// TestPanics: a panic or a Goexit in user code passes through and leaves
// nothing behind: no permit, no place in the bulkhead, no attempt in flight,
// no timer, no goroutine. The client goes on working.
func TestPanics(t *testing.T) {
	t.Parallel()
	for name, place := range places {
		for _, way := range []string{"panic", "goexit"} {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				charge := &bomb{blast: func() { panic("boom") }}
				if way == "goexit" {
					charge.blast = runtime.Goexit
				}
				b := newBench(nil, nil)
				engine := newCountingEngine(t, b)
				cfg := config{Engine: engine, Settings: sets{
					Bulkhead: 1, AttemptTimeout: time.Minute, Timeout: time.Hour,
					Backoff: resilience.BackoffSettings{Initial: ms}, Budget: resilience.BudgetSettings{Share: -1},
				}}
				answer := place(&cfg, charge.tick)
				if answer == nil {
					answer = func() error { return errOp }
				}
				client := newClient(t, b, cfg)
				call := func() (ended bool) {
					b.Run(func() {
						defer func() {
							if way == "panic" {
								ended = recover() != nil
							}
						}()
						_ = client.Do(context.Background(), resilience.Safe("m"), func(context.Context, *selector.Node) error {
							b.Sleep(10 * ms)
							return answer()
						})
					})
					return ended
				}
				charge.armed = true
				if ended := call(); charge.armed || way == "panic" && !ended {
					t.Fatalf("the bomb did not go off, or its panic was lost")
				}
				if engine.out != 0 {
					t.Errorf("%d permits are out", engine.out)
				}
				idle(t, client)
				if b.Elapsed() >= time.Minute {
					t.Errorf("a timer was left: the clock ran on to %v", b.Elapsed())
				}
				if call() {
					t.Error("panicked again")
				}
				if engine.out != 0 {
					t.Errorf("then %d permits are out", engine.out)
				}
				idle(t, client)
			})
		}
	}
}

// TestPanicAtEjection: an observer that panics when it hears of an ejection
// does so inside the report of the attempt that caused it.
func TestPanicAtEjection(t *testing.T) {
	t.Parallel()
	b := newBench(forever(fails(resilience.Ambiguous)), nil, nil)
	engine := newCountingEngine(t, b)
	panicked := 0
	client := newClient(t, b, config{Engine: engine, Settings: sets{Attempts: 1, Bulkhead: 1}, Observer: resilience.ObserverFunc(func(e resilience.Event) {
		if e.Kind == resilience.NodeEvent && e.Change.Kind == selector.Ejected {
			panicked++
			panic("boom")
		}
	})})
	b.Run(func() {
		for range 300 {
			func() {
				defer func() { _ = recover() }()
				_ = client.Do(context.Background(), resilience.Safe("m"), b.Op)
			}()
			b.Sleep(20 * ms)
		}
	})
	if panicked == 0 {
		t.Fatal("nothing was ejected")
	}
	if engine.out != 0 {
		t.Errorf("%d permits are out", engine.out)
	}
	idle(t, client)
}

// TestPanicInProbe: a probe that panics gives its permit back, so that the
// ejected node can be probed again.
func TestPanicInProbe(t *testing.T) {
	t.Parallel()
	b := newBench(nil, nil)
	client := newClient(t, b, config{})
	if err := client.Selector().Eject("a", "for the test"); err != nil {
		t.Fatal(err)
	}
	b.Run(func() {
		b.Sleep(time.Minute)
		probed := 0
		for range 3 {
			func() {
				defer func() { _ = recover() }()
				_ = client.Do(context.Background(), resilience.Safe("m"), func(_ context.Context, n *selector.Node) error {
					if n.ID == "a" {
						probed++
						panic("boom")
					}
					return nil
				})
			}()
			b.Sleep(time.Minute)
		}
		if probed < 2 {
			t.Errorf("probed %d times, want again after the panic", probed)
		}
		for range 4 {
			if err := client.Do(context.Background(), resilience.Safe("m"), b.Op); err != nil {
				t.Error(err)
			}
		}
	})
	for _, s := range client.Selector().Nodes() {
		if s.Ejected || s.State != breaker.Closed {
			t.Errorf("node %s is out still: %+v", s.Node.ID, s)
		}
	}
	idle(t, client)
}

// TestPanicThroughBreak: so does a breaker that stands by itself.
func TestPanicThroughBreak(t *testing.T) {
	t.Parallel()
	b := newBench()
	engine := newCountingEngine(t, b)
	thing := engine.New("thing")
	stack := resilience.Stack(resilience.Bulkhead(1), resilience.ServiceBreaker(thing, b.Clock()))
	for _, f := range []resilience.Func{
		func(context.Context, *resilience.Call) error { panic("boom") },
		func(context.Context, *resilience.Call) error { runtime.Goexit(); return nil },
		func(context.Context, *resilience.Call) error { return nil },
	} {
		var err error
		b.Run(func() {
			defer func() { _ = recover() }()
			err = stack(f)(context.Background(), new(resilience.Call))
		})
		if engine.out != 0 || err != nil {
			t.Errorf("%d permits are out, %v", engine.out, err)
		}
	}
}

// TestPanicValue: the panic comes out as it went in.
func TestPanicValue(t *testing.T) {
	t.Parallel()
	client, err := resilience.New(config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if r := recover(); r != "boom" {
			t.Errorf("recovered %v", r)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}()
	_ = client.Do(t.Context(), resilience.Safe("m"), func(context.Context, *selector.Node) error { panic("boom") })
}
