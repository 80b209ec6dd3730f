package resilience_test

import (
	"context"
	"errors"
	"testing"

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
