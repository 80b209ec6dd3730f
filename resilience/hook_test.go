package resilience_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

func TestHook(t *testing.T) {
	t.Parallel()
	errHook := errors.New("the hook's own")
	tests := []struct {
		name     string
		hook     retry.Hook
		outcome  resilience.Outcome
		kind     retry.Idempotency
		attempts int
		why      retry.Reason
		err      error
	}{
		{"always, in doubt, safe", retry.Always, resilience.Ambiguous, retry.Safe, 3, retry.Exhausted, errOp},
		{"always, in doubt, not repeatable", retry.Always, resilience.Ambiguous, retry.NonIdempotent, 1, retry.NotRepeatable, errOp},
		{"always, in doubt, unspecified", retry.Always, resilience.Ambiguous, retry.Unspecified, 1, retry.NotRepeatable, errOp},
		{"always, answered", retry.Always, resilience.Failed, retry.NonIdempotent, 3, retry.Exhausted, errOp},
		{"always, abandoned by somebody", retry.Always, resilience.Abandoned, retry.NonIdempotent, 1, retry.NotRepeatable, errOp},
		{"on error, in doubt", retry.OnError, resilience.Ambiguous, retry.Safe, 3, retry.Exhausted, errOp},
		{"on error, answered", retry.OnError, resilience.Failed, retry.Safe, 1, retry.Final, errOp},
		{"never", func(retry.Try) (bool, error) { return false, nil }, resilience.NotSent, retry.Safe, 1, retry.Stopped, errOp},
		{"after the second", func(t retry.Try) (bool, error) { return t.Attempt < 2, nil }, resilience.NotSent, retry.Safe, 2, retry.Stopped, errOp},
		{"error, answered", func(retry.Try) (bool, error) { return false, errHook }, resilience.Failed, retry.Safe, 1, retry.Stopped, errHook},
		{"error", func(retry.Try) (bool, error) { return true, errHook }, resilience.NotSent, retry.Safe, 1, retry.Stopped, errHook},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(forever(fails(tt.outcome)), forever(fails(tt.outcome)))
			client := newClient(t, b, config{RetryIf: tt.hook, Settings: sets{Backoff: noPause}})
			err := do(t, b, client, resilience.Hint{Method: "m", Idempotency: tt.kind}, b.Op)
			if n := b.Attempts("a") + b.Attempts("b"); n != tt.attempts {
				t.Errorf("%d attempts, want %d", n, tt.attempts)
			}
			if !errors.Is(err, errOp) || !errors.Is(err, tt.err) {
				t.Errorf("%v does not match %v", err, tt.err)
			}
			var e *resilience.Error
			if errors.As(err, &e) && e.Why != tt.why || e == nil && tt.why != retry.Final {
				t.Errorf("%+v, want %v", err, tt.why)
			}
		})
	}
}

// TestHookIsAskedOnce an attempt that failed, with what it came to.
func TestHookIsAskedOnce(t *testing.T) {
	t.Parallel()
	var tries []retry.Try
	hook := func(t retry.Try) (bool, error) { tries = append(tries, t); return t.Again, nil }
	b := newBench(steps(fails(resilience.Ambiguous), fails(resilience.NotSent), reply{}))
	client := newClient(t, b, config{RetryIf: hook})
	if err := do(t, b, client, resilience.Keyed("m", "k"), b.Op); err != nil {
		t.Fatal(err)
	}
	if len(tries) != 2 {
		t.Fatalf("asked %d times, want 2", len(tries))
	}
	for i, effect := range []retry.Effect{retry.Possible, retry.None} {
		got := tries[i]
		if got.Method != "m" || got.Idempotency != retry.Keyed || got.Attempt != i+1 || got.Effect != effect || !got.Again || !errors.Is(got.Err, errOp) {
			t.Errorf("try %d: %+v", i+1, got)
		}
	}
}

// TestIntervalsAreMadeLate: the constructor of a user's back-off is called at
// a call's first retry that waits, not for calls that need none.
func TestIntervalsAreMadeLate(t *testing.T) {
	t.Parallel()
	made := 0
	intervals := func() backoff.BackOff {
		made++
		return backoff.NewConstantBackOff(70 * ms)
	}
	b := newBench(nil)
	client := newClient(t, b, config{Intervals: intervals})
	for _, tt := range []struct {
		name  string
		hint  resilience.Hint
		reply reply
		want  int
	}{
		{"well", resilience.Safe("m"), reply{}, 0},
		{"answered", resilience.Safe("m"), fails(resilience.Failed), 0},
		{"not repeatable", resilience.Unsafe("m"), fails(resilience.Ambiguous), 0},
		{"tried again, twice", resilience.Safe("m"), fails(resilience.Ambiguous), 1},
	} {
		made = 0
		b.Node("a", forever(tt.reply))
		before := b.Elapsed()
		_ = do(t, b, client, tt.hint, b.Op)
		if made != tt.want {
			t.Errorf("%s: made %d times, want %d", tt.name, made, tt.want)
		}
		if took := b.Elapsed() - before; took != time.Duration(2*tt.want)*70*ms {
			t.Errorf("%s: took %v; the user's intervals are taken as they are", tt.name, took)
		}
	}
}

// TestIntervalsStop: backoff.Stop ends the retries.
func TestIntervalsStop(t *testing.T) {
	t.Parallel()
	b := newBench(forever(fails(resilience.Ambiguous)), nil)
	client := newClient(t, b, config{Intervals: func() backoff.BackOff { return &backoff.StopBackOff{} }})
	if e := callError(t, do(t, b, client, resilience.Safe("m"), b.Op)); len(e.Attempts) != 1 || e.Why != retry.Stopped {
		t.Errorf("%v, want one attempt, stopped", e)
	}
}

// TestPauses: what the client waits, per kind of outcome: not at all for
// another node when nothing was sent, a jittered interval below its cap
// otherwise, and never less than the hint.
func TestPauses(t *testing.T) {
	t.Parallel()
	hinted := resilience.Refused
	hinted.After = 3 * time.Second
	given := resilience.BackoffSettings{Initial: 50 * ms}
	tests := []struct {
		name     string
		outcome  resilience.Outcome
		backoff  resilience.BackoffSettings
		from, to time.Duration
	}{
		{"not sent, another node is there", resilience.NotSent, given, 0, 0},
		{"refused without a hint, another node is there", resilience.Refused, given, 0, 0},
		{"in doubt", resilience.Ambiguous, given, 1, 50 * ms},
		{"refused with a hint", hinted, given, 3 * time.Second, 3*time.Second + 50*ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var waits []time.Duration
			for seed := range uint64(50) {
				b := benchOf(seed, forever(fails(tt.outcome)), nil)
				client := newClient(t, b, config{Settings: sets{Backoff: tt.backoff}})
				if err := do(t, b, client, resilience.Safe("m"), b.Op); err != nil {
					t.Fatal(err)
				}
				waits = append(waits, b.Elapsed())
			}
			if low, high := slices.Min(waits), slices.Max(waits); low < tt.from || high > tt.to {
				t.Errorf("from %v to %v, want within %v to %v", low, high, tt.from, tt.to)
			}
			if tt.from != tt.to && len(slices.Compact(slices.Sorted(slices.Values(waits)))) < 40 {
				t.Errorf("no jitter: %v", waits)
			}
		})
	}
}

// TestNotSentTwiceWaits: with no other node left there is a pause.
func TestNotSentTwiceWaits(t *testing.T) {
	t.Parallel()
	b := newBench(steps(fails(resilience.NotSent), reply{}))
	client := newClient(t, b, config{})
	if err := do(t, b, client, resilience.Safe("m"), b.Op); err != nil {
		t.Fatal(err)
	}
	if b.Elapsed() == 0 {
		t.Error("the only node was tried again at once")
	}
	if waits := b.Events(resilience.RetryWaiting); len(waits) != 1 || waits[0].Wait != b.Elapsed() {
		t.Errorf("%v, want one wait of %v", waits, b.Elapsed())
	}
}

// TestPauseEndsWithTheCaller: nobody sleeps on when the caller has gone.
func TestPauseEndsWithTheCaller(t *testing.T) {
	t.Parallel()
	o := resilience.Refused
	o.After = time.Hour
	b := newBench(forever(fails(o)))
	client := newClient(t, b, config{Settings: sets{Budget: resilience.BudgetSettings{Floor: 1e-5, Window: 1e6 * time.Second}}})
	errGone := errors.New("the caller has gone")
	var err error
	b.Run(func() {
		ctx, cancel := b.Clock().WithCancel(context.Background())
		b.Go(func() { b.Sleep(time.Second); cancel(errGone) })
		err = client.Do(ctx, resilience.Safe("m"), b.Op)
	})
	e := callError(t, err)
	if b.Elapsed() != time.Second || e.Why != retry.Cancelled || len(e.Attempts) != 1 {
		t.Errorf("%v after %v", e, b.Elapsed())
	}
	if tokens, most := client.Budget().Balance(b.Clock().Now()); tokens != most {
		t.Errorf("the retry that was not made cost %v", most-tokens)
	}
	for _, want := range []error{errOp, context.Canceled, errGone} {
		if !errors.Is(err, want) {
			t.Errorf("%v does not match %v", err, want)
		}
	}
}
