package resilience_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/resiliencetest"
	"github.com/holdfast-go/holdfast/selector"
)

// stalled makes calls, one every 5 ms, while node a hangs from 2 s on; those
// that are under way by then hang as well. It returns how long the calls took
// that began in the stall, and what the attempts came to that were cut.
func stalled(t *testing.T, hint resilience.Hint, settings sets) (slowest time.Duration, cuts []time.Duration, failed int, log []resilience.Event) {
	t.Helper()
	b := resiliencetest.New(3)
	const from = 2 * time.Second
	for _, id := range []string{"a", "b", "c"} {
		b.Node(id, func(_ int, at time.Duration) reply {
			return reply{After: 10 * ms, Hang: id == "a" && at+10*ms > from}
		})
	}
	c, err := b.Client(config{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	b.Run(func() {
		for range 800 {
			b.Sleep(5 * ms)
			begin := b.Elapsed()
			b.Go(func() {
				ctx, cancel := b.WithTimeout(context.Background(), 6*time.Second)
				defer cancel()
				err := c.Do(ctx, hint, func(ctx context.Context, n *selector.Node) error {
					err := b.Op(ctx, n)
					return err
				})
				if err != nil {
					failed++
				}
				if begin > from-20*ms {
					slowest = max(slowest, b.Elapsed()-begin)
				}
			})
		}
	})
	for _, e := range b.Events(resilience.AttemptDone) {
		if errors.Is(e.Err, resilience.ErrAttemptTimeout) {
			cuts = append(cuts, e.Elapsed)
		}
	}
	return slowest, cuts, failed, b.Events(resilience.NodeEvent)
}

// TestSilentNodesAreNotWaitedFor: an attempt at a node that has fallen silent
// is cut as soon as that is known, and not at its timeout, which is two seconds
// here: a third of the deadline.
func TestSilentNodesAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	slowest, cuts, failed, events := stalled(t, resilience.Safe("m"), sets{})
	if failed > 0 || len(cuts) == 0 || slowest > 500*ms {
		t.Errorf("the slowest call took %v, %d attempts were cut (%v), %d calls failed: want none to wait for long", slowest, len(cuts), cuts, failed)
	}
	kinds := map[selector.Kind]int{}
	for _, e := range events {
		kinds[e.Change.Kind]++
	}
	if kinds[selector.Suspected] == 0 || kinds[selector.Ejected] != 1 {
		t.Errorf("node events %v, want a suspect that is ejected in the end", kinds)
	}
	// Who wants the timeouts only can have them.
	slowest, _, _, _ = stalled(t, resilience.Safe("m"), sets{Ejection: resilience.EjectionSettings{IgnoreSilence: true}})
	if slowest < 2*time.Second {
		t.Errorf("silence ignored: the slowest call took %v, want its timeout of 2 s", slowest)
	}
}

// TestSilenceCutsNothingThatMayHaveActed: such calls go on to the deadline.
func TestSilenceCutsNothingThatMayHaveActed(t *testing.T) {
	t.Parallel()
	slowest, cuts, failed, _ := stalled(t, resilience.Unsafe("m"), sets{})
	if len(cuts) > 0 || failed == 0 || slowest < 6*time.Second {
		t.Errorf("%d attempts cut, %d calls failed, the slowest after %v: want those in the stall to wait for their deadline", len(cuts), failed, slowest)
	}
}

// TestALateAttempt: a client that has hardly made a call yet makes an attempt
// elsewhere that is late, at once, if it may be repeated; and no other.
func TestALateAttempt(t *testing.T) {
	t.Parallel()
	b := resiliencetest.New(3)
	for _, id := range []string{"a", "b", "c"} {
		b.Node(id, func(_ int, at time.Duration) reply {
			return reply{After: 10 * ms, Hang: id == "a" && at > time.Second}
		})
	}
	c, err := b.Client(config{Settings: sets{Strategy: "round-robin"}})
	if err != nil {
		t.Fatal(err)
	}
	b.Run(func() {
		for i := range 50 {
			b.Sleep(45 * ms)
			hint := resilience.Safe("m")
			if i%5 == 4 {
				hint = resilience.Unsafe("m")
			}
			b.Go(func() {
				begin := b.Elapsed()
				ctx, cancel := b.WithTimeout(context.Background(), 2*time.Second)
				defer cancel()
				err := c.Do(ctx, hint, b.Op)
				if took := b.Elapsed() - begin; hint == resilience.Safe("m") && (err != nil || took > 100*ms) {
					t.Errorf("%v after %v", err, took)
				}
			})
		}
	})
	cut := 0
	for _, e := range b.Events(resilience.AttemptDone) {
		switch late := errors.Is(e.Err, resilience.ErrAttemptTimeout); {
		case late && !e.Idempotency.Repeatable():
			t.Error("an attempt was cut that must not be repeated")
		case late:
			cut++
		}
	}
	if cut == 0 || cut > 5 {
		t.Errorf("%d attempts were cut, want those that found a silent", cut)
	}
}

// TestALateAttemptThatGoesOn: where it must not be repeated, the deadline ends
// it, and that is held against its node.
func TestALateAttemptThatGoesOn(t *testing.T) {
	t.Parallel()
	b := newBench(forever(reply{After: 10 * ms}).Until(500*ms, forever(reply{Hang: true})), forever(reply{After: 10 * ms}), forever(reply{After: 10 * ms}))
	c := newClient(t, b, config{Settings: sets{AttemptTimeout: time.Minute}})
	b.Run(func() {
		for b.Elapsed() < 2*time.Second {
			b.Sleep(20 * ms)
			b.Go(func() {
				ctx, cancel := b.WithTimeout(context.Background(), 300*ms)
				defer cancel()
				_ = c.Do(ctx, resilience.Unsafe("m"), b.Op)
			})
		}
	})
	for _, s := range c.Selector().Nodes() {
		if hangs := s.Node.ID == "a"; (s.Failures > 0) != hangs {
			t.Errorf("%s: %d failures", s.Node, s.Failures)
		}
	}
	idle(t, c)
}
