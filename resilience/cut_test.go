package resilience_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// cutter ends an attempt by its own means, or does not.
type cutter struct {
	allow  bool
	cancel context.CancelCauseFunc
	asked  int
	cause  error
}

func (c *cutter) Cut(cause error) bool {
	c.asked++
	c.cause = cause
	if c.allow {
		c.cancel(errOp)
	}
	return c.allow
}

// TestOwnCut: the op's own cutter is asked, once, where another attempt could
// be made; what it ends is tried again, what it lets go on is late.
func TestOwnCut(t *testing.T) {
	t.Parallel()
	broke := resilience.BudgetSettings{Share: 1e-6, Floor: -1}
	tests := []struct {
		name     string
		allow    bool
		settings sets
		asked    int
		attempts int
		late     uint64
		outcome  resilience.Outcome // of the attempt, as its op judges it
	}{
		{"cut, not sent", true, sets{}, 1, 2, 1, resilience.NotSent},
		{"let go", false, sets{}, 1, 1, 1, resilience.Succeeded},
		{"the only attempt", true, sets{Attempts: 1}, 0, 1, 1, resilience.Succeeded},
		{"budget is empty", true, sets{Budget: broke}, 0, 1, 1, resilience.Succeeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(nil, nil)
			tt.settings.AttemptTimeout, tt.settings.Backoff = 100*ms, noPause
			client := newClient(t, b, config{OwnCut: true, Settings: tt.settings})
			c := &cutter{allow: tt.allow}
			attempts := 0
			tokens := func() float64 { n, _ := client.Budget().Balance(b.Clock().Now()); return n }
			begin := tokens()
			var err error
			b.Run(func() {
				err = client.Call(context.Background(), resilience.Unsafe("m"), func(ctx context.Context, call *resilience.Call) error {
					if attempts++; attempts > 1 {
						return nil
					}
					if !call.Bounded() {
						t.Error("not bounded")
					}
					ctx, c.cancel = b.Clock().WithCancel(ctx)
					call.CutBy(c)
					err := b.Clock().Sleep(ctx, 400*ms)
					if err != nil && b.Elapsed() != 100*ms {
						t.Errorf("cut after %v", b.Elapsed())
					}
					return resilience.Mark(err, tt.outcome)
				})
			})
			if err != nil || attempts != tt.attempts || c.asked != tt.asked {
				t.Errorf("%v after %d attempts, asked %d times; want %d, %d", err, attempts, c.asked, tt.attempts, tt.asked)
			}
			if c.asked > 0 && !errors.Is(c.cause, resilience.ErrAttemptTimeout) {
				t.Errorf("cut because of %v", c.cause)
			}
			if n := failures(client, "a"); n != tt.late {
				t.Errorf("%d failures on record, want %d", n, tt.late)
			}
			if spent := begin - tokens(); tt.attempts == 1 && spent > 0 {
				t.Errorf("%v retries were spent and none was made", spent)
			}
			idle(t, client)
		})
	}
}

// TestOwnCutNeedsACutter: an op that names none is not cut, not by that of a
// call before it either.
func TestOwnCutNeedsACutter(t *testing.T) {
	t.Parallel()
	b := newBench(forever(reply{After: time.Second}))
	client := newClient(t, b, config{OwnCut: true, Settings: sets{AttemptTimeout: 100 * ms}})
	old := &cutter{allow: true, cancel: func(error) {}}
	b.Run(func() {
		for range 10 {
			err := client.Call(context.Background(), resilience.Safe("m"), func(_ context.Context, call *resilience.Call) error {
				call.CutBy(old)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
	if err := do(t, b, client, resilience.Safe("m"), b.Op); err != nil || b.Elapsed() != time.Second {
		t.Errorf("%v after %v", err, b.Elapsed())
	}
	if old.asked != 0 {
		t.Error("the cutter of another call was asked")
	}

	// Another client's calls, in the same memory, are not bounded.
	other := newClient(t, b, config{Settings: sets{AttemptTimeout: -1}})
	b.Run(func() {
		err := other.Call(context.Background(), resilience.Safe("m"), func(_ context.Context, call *resilience.Call) error {
			if call.Bounded() {
				t.Error("bounded")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// TestNotBounded: without OwnCut, CutBy does nothing.
func TestNotBounded(t *testing.T) {
	t.Parallel()
	b := newBench(nil, nil)
	client := newClient(t, b, config{Settings: sets{AttemptTimeout: 100 * ms, Backoff: noPause}})
	c := &cutter{}
	attempts := 0
	b.Run(func() {
		err := client.Call(context.Background(), resilience.Safe("m"), func(ctx context.Context, call *resilience.Call) error {
			if attempts++; attempts > 1 {
				return nil
			}
			if call.Bounded() {
				t.Error("bounded")
			}
			call.CutBy(c)
			return b.Clock().Sleep(ctx, time.Second)
		})
		if err != nil {
			t.Error(err)
		}
	})
	if c.asked != 0 || attempts != 2 {
		t.Errorf("asked %d times, %d attempts", c.asked, attempts)
	}
	new(resilience.Call).CutBy(c) // a Call that describes no attempt
}

// TestHoldIn is Hold, in memory of one's own.
func TestHoldIn(t *testing.T) {
	t.Parallel()
	b := newBench(nil)
	client := newClient(t, b, config{})
	inFlight := func() int { return client.Selector().Nodes()[0].InFlight }
	var held selector.Held
	b.Run(func() {
		err := client.Call(context.Background(), resilience.Safe("m"), func(_ context.Context, call *resilience.Call) error {
			call.HoldIn(&held)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	if n := inFlight(); n != 1 {
		t.Errorf("held: %d in flight, want 1", n)
	}
	for range 2 {
		if held.Release(); inFlight() != 0 {
			t.Errorf("released: %d in flight, want 0", inFlight())
		}
	}
	var nothing selector.Held
	new(resilience.Call).HoldIn(&nothing)
	nothing.Release()
}

// TestOwnCutIsAskedOnce: a cutter that has refused while the node was silent
// is not asked again.
func TestOwnCutIsAskedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(nil, nil, nil)
	client := newClient(t, b, config{OwnCut: true, Settings: sets{AttemptTimeout: 2 * time.Second, Backoff: noPause}})
	early, most := 0, 0
	b.Run(func() {
		for range 600 {
			b.Sleep(5 * ms)
			b.Go(func() {
				err := client.Call(context.Background(), resilience.Safe("m"), func(_ context.Context, call *resilience.Call) error {
					c, took := &cutter{}, 10*ms
					if call.CutBy(c); call.Node.ID == "a" && b.Elapsed() > 2*time.Second {
						took = 1500 * ms
					}
					b.Sleep(took)
					early, most = early+c.asked, max(most, c.asked)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
	})
	if early == 0 || most > 1 {
		t.Errorf("asked %d times before the timeout, up to %d times an attempt; want some, once", early, most)
	}
}
