package resilience_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// Two nodes that answer for 100 ms, then refuse, and are back at 600 ms.
func outageBench(t *testing.T, s sets) (*bench, *resilience.Client) {
	script := forever(reply{After: ms}).Until(100*ms, forever(fails(resilience.NotSent)).Until(600*ms, forever(reply{After: ms})))
	b := newBench(script, script)
	client := newClient(t, b, config{Settings: s})
	if err := do(t, b, client, resilience.Unsafe("m"), b.Op); err != nil {
		t.Fatal(err)
	}
	return b, client
}

// arrive makes calls at their times, and returns when each ended and with what.
func arrive(b *bench, c *resilience.Client, limit time.Duration, times ...time.Duration) (ended []time.Duration, errs []error) {
	ended, errs = make([]time.Duration, len(times)), make([]error, len(times))
	b.Run(func() {
		for i, at := range times {
			b.Sleep(at - b.Elapsed())
			b.Go(func() {
				ctx, cancel := b.WithTimeout(context.Background(), limit)
				defer cancel()
				errs[i] = c.Do(ctx, resilience.Unsafe("m"), b.Op)
				ended[i] = b.Elapsed()
			})
		}
	})
	return ended, errs
}

func every(gap, from, to time.Duration) (times []time.Duration) {
	for at := from; at < to; at += gap {
		times = append(times, at)
	}
	return times
}

// A service that is back within the time of those who call it has failed none
// of them, and was asked no more than without them.
func TestAwait(t *testing.T) {
	times := every(20*ms, 200*ms, 1200*ms)
	failed, attempts := map[time.Duration]int{}, map[time.Duration]int{}
	for _, await := range []time.Duration{0, -1} {
		b, client := outageBench(t, sets{Await: await})
		ended, errs := arrive(b, client, 500*ms, times...)
		for i, err := range errs {
			if err == nil {
				continue
			}
			failed[await]++
			if await < 0 {
				continue
			}
			// Answers are needed to let it in.
			if times[i]+500*ms > 600*ms+60*ms {
				t.Errorf("the call of %v failed at %v: %v", times[i], ended[i], err)
			}
			if e := callError(t, err); e.Why != retry.Exhausted && e.Why != retry.OverBudget {
				t.Errorf("the call of %v: %v", times[i], e.Why)
			}
		}
		attempts[await] = b.Attempts("a") + b.Attempts("b")
		idle(t, client)
	}
	if failed[0] > 3 || failed[-1] != 20 {
		t.Errorf("%d failed, and %d without waiting; want at most 3 and 20", failed[0], failed[-1])
	}
	if more := attempts[0] - attempts[-1]; more > 20 {
		t.Errorf("%d attempts more, for 20 calls", more)
	}
}

// Those who wait ask nobody, however many they are.
func TestAwaitAsksNobody(t *testing.T) {
	b, client := outageBench(t, sets{})
	before := len(b.Events(resilience.AttemptDone))
	if _, errs := arrive(b, client, 300*ms, every(10*ms, 110*ms, 250*ms)...); errors.Join(errs...) == nil {
		t.Fatal("nothing failed")
	}
	for _, e := range b.Events(resilience.AttemptDone)[before:] {
		if e.Attempt > 3 {
			t.Errorf("attempt %d", e.Attempt)
		}
	}
}

// Every two answers let one in, the longest waiting first.
func TestAwaitInTurn(t *testing.T) {
	b, client := outageBench(t, sets{})
	waiting := every(10*ms, 300*ms, 400*ms)
	later := every(50*ms, 605*ms, 700*ms)
	ended, errs := arrive(b, client, time.Second, append(waiting, later...)...)
	if err := errors.Join(errs[len(waiting):]...); err != nil {
		t.Fatal(err)
	}
	// Two answers of the later ones let one in, whose answer counts as well:
	// one more in all.
	for i, err := range errs[:len(waiting)] {
		if in := i < 1; (err == nil) != in {
			t.Errorf("waiting %d: ended at %v: %v", i, ended[i], err)
		}
	}
}

// What is not waited for.
func TestAwaitNot(t *testing.T) {
	refused := forever(fails(resilience.NotSent))
	for name, c := range map[string]struct {
		settings sets
		hint     resilience.Hint
		answered bool
		then     []reply
		why      retry.Reason
	}{
		"never answered":     {sets{}, resilience.Safe("m"), false, nil, retry.Exhausted},
		"another method":     {sets{}, resilience.Safe("other"), true, nil, retry.Exhausted},
		"off":                {sets{Await: -1}, resilience.Safe("m"), true, nil, retry.Exhausted},
		"one attempt":        {sets{Attempts: 1}, resilience.Safe("m"), true, nil, retry.Exhausted},
		"one was sent":       {sets{}, resilience.Safe("m"), true, []reply{fails(resilience.Ambiguous)}, retry.Exhausted},
		"one was turned off": {sets{}, resilience.Safe("m"), true, []reply{fails(resilience.Refused)}, retry.Exhausted},
	} {
		t.Run(name, func(t *testing.T) {
			c.settings.Backoff = noPause
			b := newBench(nil)
			client := newClient(t, b, config{Settings: c.settings})
			if c.answered {
				b.Node("a", forever(reply{After: ms}))
				if err := do(t, b, client, resilience.Safe("m"), b.Op); err != nil {
					t.Fatal(err)
				}
			}
			b.Node("a", refused)
			if len(c.then) > 0 {
				b.Node("a", steps(append(c.then, fails(resilience.NotSent))...))
			}
			begin := b.Elapsed()
			e := callError(t, do(t, b, client, c.hint, b.Op))
			if took := b.Elapsed() - begin; e.Why != c.why || took != 0 {
				t.Errorf("%v after %v, want %v at once", e.Why, took, c.why)
			}
		})
	}
}

// It ends with its caller, or its own time.
func TestAwaitEnds(t *testing.T) {
	b, client := outageBench(t, sets{Await: 200 * ms})
	b.Run(func() {
		b.Sleep(150*ms - b.Elapsed())
		ctx, cancel := b.Clock().WithCancel(context.Background())
		b.Go(func() { b.Sleep(30 * ms); cancel(errOp) })
		begin := b.Elapsed()
		e := callError(t, client.Do(ctx, resilience.Safe("m"), b.Op))
		if took := b.Elapsed() - begin; e.Why != retry.Cancelled || !errors.Is(e, errOp) || took != 30*ms {
			t.Errorf("%v after %v", e, took)
		}
		begin = b.Elapsed()
		e = callError(t, client.Do(context.Background(), resilience.Safe("m"), b.Op))
		if took := b.Elapsed() - begin; e.Why != retry.Exhausted || took != 200*ms {
			t.Errorf("%v after %v", e, took)
		}
	})
}
