package resilience_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// Those who wait are let in by the answers to calls under other settings, too.
func TestAwaitOverUpdates(t *testing.T) {
	for name, change := range map[string]func(*resilience.Client) error{
		"update": func(c *resilience.Client) error { return c.Update(sets{Attempts: 2, Strategy: "round-robin"}) },
		"shadow": func(c *resilience.Client) error { return c.Shadow(&sets{}) },
	} {
		t.Run(name, func(t *testing.T) {
			b, client := outageBench(t, sets{})
			var err error
			b.Run(func() {
				b.Sleep(500*ms - b.Elapsed())
				b.Go(func() { err = client.Do(context.Background(), resilience.Unsafe("m"), b.Op) })
				b.Sleep(95 * ms)
				if err := change(client); err != nil {
					t.Error(err)
				}
				b.Sleep(10 * ms)
				for range 2 {
					if err := client.Do(context.Background(), resilience.Unsafe("m"), b.Op); err != nil {
						t.Error(err)
					}
				}
			})
			if err != nil {
				t.Errorf("two calls were answered, and who waited was not let in: %v", err)
			}
		})
	}
}

// A call that never reaches its node while others do is made a few times, not
// once for each two of their answers.
func TestAwaitIsBounded(t *testing.T) {
	b := newBench(forever(reply{After: ms}), forever(reply{After: ms}))
	client := newClient(t, b, config{Settings: sets{Ejection: resilience.EjectionSettings{Off: true}}})
	attempts := 0
	b.Run(func() {
		b.Go(func() {
			b.Sleep(10 * ms)
			err := client.Do(context.Background(), resilience.Unsafe("m"), func(context.Context, *selector.Node) error {
				attempts++
				return resilience.Mark(errOp, resilience.NotSent)
			})
			if e := callError(t, err); e.Why != retry.Exhausted || len(e.Attempts) != attempts {
				t.Errorf("%v after %d attempts: %v", e.Why, attempts, e)
			}
		})
		for range 500 {
			b.Sleep(ms)
			if err := client.Do(context.Background(), resilience.Unsafe("m"), b.Op); err != nil {
				t.Error(err)
			}
		}
	})
	if attempts != 6 {
		t.Errorf("%d attempts, want twice the usual", attempts)
	}
}

// A node that said when to come back was reached.
func TestAwaitHeedsAHint(t *testing.T) {
	hint := resilience.NotSent
	hint.After = 10 * ms
	b, client := outageBench(t, sets{Backoff: noPause})
	begin := b.Elapsed()
	e := callError(t, do(t, b, client, resilience.Safe("m"), func(context.Context, *selector.Node) error { return resilience.Mark(errOp, hint) }))
	if took := b.Elapsed() - begin; e.Why != retry.Exhausted || took != 20*ms {
		t.Errorf("%v after %v, want two hints and no more", e, took)
	}
}

// Who is let in and has left gives way to the next.
func TestAwaitGivesWay(t *testing.T) {
	b := newBench(forever(reply{After: ms}).Until(100*ms, forever(fails(resilience.NotSent)).Until(600*ms, forever(reply{}))))
	client := newClient(t, b, config{Settings: sets{Backoff: noPause}})
	if err := do(t, b, client, resilience.Unsafe("m"), b.Op); err != nil {
		t.Fatal(err)
	}
	var errs [2]error
	b.Run(func() {
		b.Sleep(500*ms - b.Elapsed())
		ctx, cancel := b.Clock().WithCancel(context.Background())
		b.Go(func() { errs[0] = client.Do(ctx, resilience.Unsafe("m"), b.Op) })
		b.Go(func() { b.Sleep(ms); errs[1] = client.Do(context.Background(), resilience.Unsafe("m"), b.Op) })
		b.Sleep(101 * ms)
		cancel(errOp)
		for range 2 { // answered at once: it does not know of its end yet
			if err := client.Do(context.Background(), resilience.Unsafe("m"), func(context.Context, *selector.Node) error { return nil }); err != nil {
				t.Error(err)
			}
		}
	})
	if !errors.Is(errs[0], errOp) || errs[1] != nil {
		t.Errorf("who has left: %v; who was next: %v", errs[0], errs[1])
	}
}

// Where nobody else asks, waiting is in vain, and ends: those who wait may be all
// whom the bulkhead or the number of workers lets make calls.
func TestAwaitWhereAllWait(t *testing.T) {
	for name, tt := range map[string]struct {
		settings sets
		workers  int
	}{
		"workers":  {sets{}, 4},
		"bulkhead": {sets{Bulkhead: 4}, 20},
	} {
		t.Run(name, func(t *testing.T) {
			b, client := outageBench(t, tt.settings)
			last := time.Duration(0)
			b.Run(func() {
				b.Sleep(200*ms - b.Elapsed())
				for range tt.workers {
					b.Sleep(5 * ms)
					b.Go(func() {
						for b.Elapsed() < 3*time.Second {
							if client.Do(context.Background(), resilience.Unsafe("m"), b.Op) != nil {
								last = b.Elapsed()
							}
							b.Sleep(100 * ms)
						}
					})
				}
			})
			if last > time.Second {
				t.Errorf("the service is back at 600 ms, and calls fail until %v", last)
			}
		})
	}
}

// A lone caller's failure is known soon, by as many attempts as ever.
func TestAwaitAlone(t *testing.T) {
	b, client := outageBench(t, sets{})
	b.Run(func() {
		b.Sleep(110*ms - b.Elapsed())
		begin := b.Elapsed()
		e := callError(t, client.Do(context.Background(), resilience.Safe("m"), b.Op))
		if took := b.Elapsed() - begin; e.Why != retry.Exhausted || len(e.Attempts) != 3 || took > 400*ms {
			t.Errorf("%v after %v and %d attempts", e.Why, took, len(e.Attempts))
		}
	})
}

// Calls that come to the door, are let in, give up and run out of time at once,
// while the settings change. The race detector judges, and leaktest.
func TestAwaitStorm(t *testing.T) {
	t.Parallel()
	client := realClient(t, config{Nodes: nodes(3), Settings: sets{Await: 5 * ms, Backoff: noPause}})
	answer := func(context.Context, *selector.Node) error { return nil }
	if err := client.Do(context.Background(), resilience.Safe("m"), answer); err != nil {
		t.Fatal(err)
	}
	refuse := func(context.Context, *selector.Node) error { return resilience.Mark(errOp, resilience.NotSent) }
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for k := range 100 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+(i+k)%7)*ms)
				switch {
				case i == 0 && k%10 == 0:
					if err := client.Update(sets{Await: time.Duration(1+k%5) * ms, Backoff: noPause}); err != nil {
						t.Error(err)
					}
				case i < 4:
					_ = client.Do(ctx, resilience.Safe("m"), answer)
				case i < 6:
					time.AfterFunc(time.Duration(k%3)*ms, cancel)
					fallthrough
				default:
					_ = client.Do(ctx, resilience.Safe("m"), refuse)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	idle(t, client)
}
