package resilience_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// TestDeadline: whatever the nodes do, no call outlasts its deadline, none
// sleeps towards one that it cannot meet, and no retry starts that could not
// finish in what an attempt takes on a good node.
func TestDeadline(t *testing.T) {
	t.Parallel()
	const usual = 10 * ms
	seen := map[retry.Reason]int{}
	waits := 0
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 6))
		script := func(int, time.Duration) reply {
			o := []resilience.Outcome{resilience.NotSent, resilience.Refused, resilience.Ambiguous}[rng.IntN(3)]
			if rng.IntN(3) == 0 {
				o.After = time.Duration(rng.Int64N(int64(200 * ms)))
			}
			r := reply{After: usual, Outcome: o}
			r.Hang = rng.IntN(10) == 0
			return r
		}
		b := benchOf(seed, forever(reply{After: usual}), forever(reply{After: usual}))
		client := newClient(t, b, config{Settings: sets{Attempts: 1 + rng.IntN(6), Backoff: resilience.BackoffSettings{Initial: 30 * ms}}})
		for range 2 {
			_ = do(t, b, client, resilience.Safe("m"), b.Op)
		}
		b.Node("a", script)
		b.Node("b", script)
		limit := time.Duration(rng.Int64N(int64(400 * ms)))
		begin := len(b.Events())
		deadline := b.Clock().Now().Add(limit)
		took, err := within(t, b, client, limit, resilience.Safe("m"), b.Op)
		if took > limit {
			t.Fatalf("seed %d: took %v of %v", seed, took, limit)
		}
		for _, e := range b.Events()[begin:] {
			switch e.Kind {
			case resilience.RetryWaiting:
				waits++
				if !e.At.Add(e.Wait + usual).Before(deadline) {
					t.Errorf("seed %d: waits %v, with %v left", seed, e.Wait, deadline.Sub(e.At))
				}
			case resilience.AttemptDone:
				if left := deadline.Sub(e.Start); e.Attempt > 1 && left <= usual {
					t.Errorf("seed %d: attempt %d begins with %v left", seed, e.Attempt, left)
				}
			case resilience.CallDone:
				seen[e.Why]++
				if e.Why == retry.OutOfTime && !errors.Is(err, resilience.ErrAttemptTimeout) && took == limit {
					t.Errorf("seed %d: out of time, and yet the time was waited for", seed)
				}
			}
		}
	}
	for _, why := range []retry.Reason{retry.OutOfTime, retry.Exhausted, retry.Cancelled} {
		if seen[why] < 20 {
			t.Errorf("%v: only %d calls", why, seen[why])
		}
	}
	if waits < 100 {
		t.Errorf("only %d waits", waits)
	}
}

// TestHopelessHint: a hint beyond the deadline ends the call at once.
func TestHopelessHint(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{time.Second, 1 << 62, 1<<63 - 1} {
		o := resilience.Refused
		o.After = after
		b := newBench(forever(fails(o)), nil)
		client := newClient(t, b, config{})
		took, err := within(t, b, client, time.Second, resilience.Safe("m"), b.Op)
		if e := callError(t, err); took != 0 || e.Why != retry.OutOfTime || len(e.Attempts) != 1 {
			t.Errorf("%v: %v after %v", after, err, took)
		}
	}
}

// TestCallTimeout: Settings.Timeout bounds the whole call, the caller's
// deadline if it is sooner, and a method's setting goes before it.
func TestCallTimeout(t *testing.T) {
	t.Parallel()
	settings := sets{Timeout: 500 * ms, Methods: map[string]resilience.MethodSettings{"quick": {Timeout: 50 * ms}, "slow": {Timeout: 2 * time.Second}}}
	for _, tt := range []struct {
		method string
		caller time.Duration
		want   time.Duration
	}{{"", time.Hour, 500 * ms}, {"quick", time.Hour, 50 * ms}, {"slow", time.Hour, 2 * time.Second}, {"slow", 70 * ms, 70 * ms}, {"other", time.Hour, 500 * ms}} {
		b := newBench(hang)
		settings.Timeout = 500 * ms
		if tt.method == "quick" {
			settings.Timeout = 0 // it is the method's alone
		}
		client := newClient(t, b, config{Settings: settings})
		took, err := within(t, b, client, tt.caller, resilience.Unsafe(tt.method), b.Op)
		if took != tt.want || !errors.Is(err, context.DeadlineExceeded) || !resilience.IsAmbiguous(err) {
			t.Errorf("%q: %v after %v, want the deadline after %v", tt.method, err, took, tt.want)
		}
	}
}

// TestCancelledBefore: a caller that has gone makes no attempt.
func TestCancelledBefore(t *testing.T) {
	t.Parallel()
	errGone := errors.New("gone")
	b := newBench(nil)
	client := newClient(t, b, config{})
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errGone)
	var err error
	b.Run(func() { err = client.Do(ctx, resilience.Safe("m"), b.Op) })
	e := callError(t, err)
	if b.Attempts("a") != 0 || len(e.Attempts) != 0 || e.Why != retry.Cancelled || e.Ambiguous() {
		t.Errorf("%v after %d attempts", e, b.Attempts("a"))
	}
	if !errors.Is(err, errGone) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not match the context's error and its cause", err)
	}
}

// TestCancelledWithin: a caller that goes while an attempt is under way ends
// it; nothing is tried again, and the node is not blamed.
func TestCancelledWithin(t *testing.T) {
	t.Parallel()
	b := newBench(hang, nil)
	client := newClient(t, b, config{})
	var err error
	b.Run(func() {
		ctx, cancel := b.Clock().WithCancel(context.Background())
		b.Go(func() { b.Sleep(time.Second); cancel(nil) })
		err = client.Do(ctx, resilience.Safe("m"), b.Op)
	})
	e := callError(t, err)
	if b.Elapsed() != time.Second || e.Why != retry.Cancelled || len(e.Attempts) != 1 || e.Attempts[0].Outcome.Name != "abandoned" {
		t.Errorf("%v after %v", e, b.Elapsed())
	}
	if !e.Ambiguous() || !errors.Is(err, context.Canceled) {
		t.Errorf("%v: an attempt that was abandoned may have been carried out", err)
	}
	if n := failures(client, "a"); n != 0 {
		t.Errorf("%d failures on record for a node that was not waited for", n)
	}
	idle(t, client)
}

// TestOldWhenAbandoned: an attempt that was old already when the caller's
// deadline ran out says something about its node; a young one does not.
func TestOldWhenAbandoned(t *testing.T) {
	t.Parallel()
	for limit, want := range map[time.Duration]uint64{15 * ms: 0, 100 * ms: 1} {
		b := newBench(forever(reply{After: 10 * ms}))
		client := newClient(t, b, config{Settings: sets{AttemptTimeout: -1}})
		if err := do(t, b, client, resilience.Safe("m"), b.Op); err != nil {
			t.Fatal(err)
		}
		b.Node("a", hang)
		if _, err := within(t, b, client, limit, resilience.Safe("m"), b.Op); err == nil {
			t.Fatal("no error")
		}
		if n := failures(client, "a"); n != want {
			t.Errorf("after %v: %d failures on record, want %d", limit, n, want)
		}
	}
}

// TestIgnoredContext: an op that ignores its context is waited for, and what
// it did counts.
func TestIgnoredContext(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
	}{{"well", nil}, {"badly", errOp}} {
		b := newBench(nil)
		client := newClient(t, b, config{})
		begin := b.Elapsed()
		var err error
		b.Run(func() {
			ctx, cancel := b.WithTimeout(context.Background(), 100*ms)
			defer cancel()
			err = client.Do(ctx, resilience.Safe("m"), func(context.Context, *selector.Node) error {
				b.Sleep(time.Second)
				return tt.err
			})
			if took := b.Elapsed() - begin; took != time.Second {
				t.Errorf("%s: returned after %v, while the op still ran", tt.name, took)
			}
		})
		if tt.err == nil {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if !errors.Is(err, errOp) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want the op's error and the deadline", tt.name, err)
		}
	}
}
