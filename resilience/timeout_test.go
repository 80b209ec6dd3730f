package resilience_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/resiliencetest"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

var hang = forever(reply{Hang: true})

// within makes one call that has a deadline, and returns how long it took.
func within(t testing.TB, b *bench, c *resilience.Client, d time.Duration, hint resilience.Hint, op resilience.Op) (took time.Duration, err error) {
	t.Helper()
	begin := b.Elapsed()
	b.Run(func() {
		ctx, cancel := b.WithTimeout(context.Background(), d)
		defer cancel()
		err = c.Do(ctx, hint, op)
		took = b.Elapsed() - begin
	})
	if b.Elapsed()-begin != took {
		t.Errorf("a timer was left: the clock ran on to %v", b.Elapsed()-begin)
	}
	return took, err
}

// failures is what the selector holds against a node.
func failures(c *resilience.Client, id string) uint64 {
	for _, s := range c.Selector().Nodes() {
		if s.Node.ID == id {
			return s.Failures
		}
	}
	return 0
}

// TestAttemptTimeout: it cuts where another attempt is permitted, and nowhere
// else; and a timeout alone never makes a failure.
func TestAttemptTimeout(t *testing.T) {
	t.Parallel()
	broke := resilience.BudgetSettings{Share: 1e-6, Floor: -1}
	late := forever(reply{After: 700 * ms})
	tests := []struct {
		name     string
		hint     resilience.Hint
		settings sets
		script   resiliencetest.Script // of node a; b is well
		took     time.Duration
		attempts int
		fails    bool
		late     uint64 // failures on record at a
	}{
		{"safe", resilience.Safe("m"), sets{}, hang, 100 * ms, 2, false, 1},
		{"keyed", resilience.Keyed("m", "k"), sets{}, late, 100 * ms, 2, false, 1},
		{"not repeatable", resilience.Unsafe("m"), sets{}, late, 700 * ms, 1, false, 1},
		{"not repeatable, hanging", resilience.Unsafe("m"), sets{}, hang, time.Second, 1, true, 1},
		{"budget is empty", resilience.Safe("m"), sets{Budget: broke}, late, 700 * ms, 1, false, 1},
		{"the only attempt", resilience.Safe("m"), sets{Attempts: 1}, late, 700 * ms, 1, false, 1},
		{"no time for another", resilience.Safe("m"), sets{AttemptTimeout: 995 * ms}, forever(reply{After: 999 * ms}), 999 * ms, 1, false, 1},
		{"just time for another", resilience.Safe("m"), sets{AttemptTimeout: 985 * ms}, forever(reply{After: 999 * ms}), 985 * ms, 2, false, 1},
		{"off", resilience.Safe("m"), sets{AttemptTimeout: -1}, late, 700 * ms, 1, false, 0},
		{"of the method", resilience.Safe("m"), sets{Methods: map[string]resilience.MethodSettings{"m": {AttemptTimeout: 300 * ms}}}, late, 300 * ms, 2, false, 1},
		{"off for the method", resilience.Safe("m"), sets{Methods: map[string]resilience.MethodSettings{"m": {AttemptTimeout: -1}}}, late, 700 * ms, 1, false, 0},
		{"quick enough", resilience.Safe("m"), sets{}, forever(reply{After: 99 * ms}), 99 * ms, 1, false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(nil, nil)
			tt.settings.Backoff = noPause
			if tt.settings.AttemptTimeout == 0 {
				tt.settings.AttemptTimeout = 100 * ms
			}
			client := newClient(t, b, config{Settings: tt.settings})
			b.Node("a", forever(reply{After: 10 * ms}))
			b.Node("b", forever(reply{After: 10 * ms}))
			for range 2 { // what an attempt usually takes: 10 ms
				if _, err := within(t, b, client, time.Second, resilience.Safe("m"), b.Op); err != nil {
					t.Fatal(err)
				}
			}
			b.Node("a", tt.script)
			took, err := within(t, b, client, time.Second, tt.hint, b.Op)
			want := tt.took
			if tt.attempts == 2 {
				want += 10 * ms
			}
			if took != want || (err != nil) != tt.fails {
				t.Errorf("%v after %v, want an error %v after %v", err, took, tt.fails, want)
			}
			if n := b.Attempts("a") + b.Attempts("b") - 2; n != tt.attempts {
				t.Errorf("%d attempts, want %d", n, tt.attempts)
			}
			if n := failures(client, "a"); n != tt.late {
				t.Errorf("%d failures on record, want %d", n, tt.late)
			}
			idle(t, client)
		})
	}
}

// TestTimeoutErrors: all attempts hang; the last is not cut.
func TestTimeoutErrors(t *testing.T) {
	t.Parallel()
	b := newBench(hang, hang, hang)
	client := newClient(t, b, config{Settings: sets{AttemptTimeout: 100 * ms, Backoff: noPause}})
	took, err := within(t, b, client, time.Second, resilience.Safe("m"), b.Op)
	e := callError(t, err)
	if took != time.Second || len(e.Attempts) != 3 || e.Why != retry.Cancelled || !e.Ambiguous() {
		t.Errorf("%v after %v, want 3 attempts and the whole second", err, took)
	}
	for i, elapsed := range []time.Duration{100 * ms, 100 * ms, 800 * ms} {
		a := e.Attempts[i]
		if a.Elapsed != elapsed {
			t.Errorf("attempt %d took %v, want %v", i+1, a.Elapsed, elapsed)
		}
		cut := i < 2
		var timeout *resilience.TimeoutError
		if errors.Is(a.Err, resilience.ErrAttemptTimeout) != cut || errors.As(a.Err, &timeout) != cut || !errors.Is(a.Err, context.DeadlineExceeded) {
			t.Errorf("attempt %d: %v", i+1, a.Err)
		}
		if cut && (timeout.After != 100*ms || !timeout.Timeout() || !errors.Is(timeout, context.Canceled)) {
			t.Errorf("attempt %d: %+v", i+1, timeout)
		}
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not match context.DeadlineExceeded", err)
	}
}

// TestDefaultAttemptTimeout: the time left divided by the attempts left, and
// nothing where there is no deadline.
func TestDefaultAttemptTimeout(t *testing.T) {
	t.Parallel()
	b := newBench(hang, hang, hang)
	client := newClient(t, b, config{Settings: sets{Backoff: noPause}})
	_, err := within(t, b, client, 900*ms, resilience.Safe("m"), b.Op)
	for i, a := range callError(t, err).Attempts {
		if a.Elapsed != 300*ms {
			t.Errorf("attempt %d took %v, want a third of the time", i+1, a.Elapsed)
		}
	}
	b.Node("a", forever(reply{After: time.Hour}))
	b.SetNodes(selector.Node{ID: "a"})
	if err := do(t, b, client, resilience.Safe("m"), b.Op); err != nil {
		t.Errorf("without a deadline: %v", err)
	}
}

// TestAttemptContext: what an op sees of the timeout.
func TestAttemptContext(t *testing.T) {
	t.Parallel()
	b := newBench(nil, nil)
	client := newClient(t, b, config{Settings: sets{AttemptTimeout: 100 * ms, Backoff: noPause}})
	n := 0
	_, err := within(t, b, client, time.Second, resilience.Safe("m"), func(ctx context.Context, _ *selector.Node) error {
		if n++; n > 1 {
			return nil
		}
		if deadline, ok := ctx.Deadline(); !ok || deadline.Sub(b.Clock().Now()) != time.Second {
			t.Errorf("deadline %v, want the caller's", deadline)
		}
		err := b.Clock().Sleep(ctx, time.Hour)
		if b.Elapsed() != 100*ms || !errors.Is(context.Cause(ctx), resilience.ErrAttemptTimeout) {
			t.Errorf("ended after %v because of %v", b.Elapsed(), context.Cause(ctx))
		}
		return err
	})
	if err != nil || n != 2 {
		t.Errorf("%v after %d attempts", err, n)
	}
}

// TestCutAttemptAnswersAllTheSame: an op that ignores the cut is waited for,
// its success is the call's.
func TestCutAttemptAnswersAllTheSame(t *testing.T) {
	t.Parallel()
	b := newBench(nil, nil)
	client := newClient(t, b, config{Settings: sets{AttemptTimeout: 100 * ms}})
	took, err := within(t, b, client, time.Second, resilience.Safe("m"), func(context.Context, *selector.Node) error {
		b.Sleep(400 * ms)
		return nil
	})
	if err != nil || took != 400*ms {
		t.Errorf("%v after %v, want success after 400ms", err, took)
	}
}

// TestReservedRetry: what the cut takes from the budget is the retry itself:
// one token a retry, none where none is made, and a panic gives it back.
func TestReservedRetry(t *testing.T) {
	t.Parallel()
	ignore := func(b *bench, then func() error) resilience.Op {
		return func(context.Context, *selector.Node) error { b.Sleep(400 * ms); return then() }
	}
	tests := []struct {
		name string
		op   func(*bench) resilience.Op
		cost float64
	}{
		{"cut and tried again", func(b *bench) resilience.Op { return b.Op }, 1},
		{"cut, answers well", func(b *bench) resilience.Op { return ignore(b, func() error { return nil }) }, 0},
		{"cut, answers badly", func(b *bench) resilience.Op {
			return ignore(b, func() error { return resilience.Mark(errOp, resilience.Failed) })
		}, 0},
		{"cut, panics", func(b *bench) resilience.Op { return ignore(b, func() error { panic("boom") }) }, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(hang, nil)
			// Next to nothing is earned, so that the balance tells what was spent.
			client := newClient(t, b, config{Settings: sets{
				AttemptTimeout: 100 * ms, Backoff: noPause, Attempts: 2,
				Budget: resilience.BudgetSettings{Share: 1e-9, Floor: 1e-5, Window: 1000 * time.Hour},
			}})
			balance := func() float64 {
				tokens, _ := client.Budget().Balance(b.Clock().Now())
				return tokens
			}
			before := balance()
			b.Run(func() {
				defer func() { _ = recover() }()
				_ = client.Do(context.Background(), resilience.Safe("m"), tt.op(b))
			})
			if cost := before - balance(); cost < tt.cost-1e-3 || cost > tt.cost+1e-3 {
				t.Errorf("cost %v retries, want %v", cost, tt.cost)
			}
		})
	}
}

// TestCutAttemptHasItsSuccessor: the pause is cut to what the deadline leaves,
// so that the cut is never what made the call fail.
func TestCutAttemptHasItsSuccessor(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		b := benchOf(seed, hang, nil)
		client := newClient(t, b, config{Settings: sets{
			AttemptTimeout: 100 * ms, Backoff: resilience.BackoffSettings{Initial: time.Minute, Max: time.Minute},
		}})
		if took, err := within(t, b, client, time.Second, resilience.Safe("m"), b.Op); err != nil || took >= time.Second {
			t.Errorf("seed %d: %v after %v", seed, err, took)
		}
	}
}

// TestLateIsToldAtOnce: an attempt that may not be cut counts against its node
// when it becomes late, not when it ends, and once.
func TestLateIsToldAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(hang, nil)
	client := newClient(t, b, config{Settings: sets{AttemptTimeout: 100 * ms}})
	b.Go(func() {
		for _, want := range []uint64{0, 1, 1} { // at 99, 198 and 297 ms
			b.Sleep(99 * ms)
			if n := failures(client, "a"); n != want {
				t.Errorf("after %v: %d failures, want %d", b.Elapsed(), n, want)
			}
		}
	})
	if _, err := within(t, b, client, time.Second, resilience.Unsafe("m"), b.Op); !resilience.IsAmbiguous(err) {
		t.Error(err)
	}
	if n := failures(client, "a"); n != 1 {
		t.Errorf("at the end: %d failures, want 1", n)
	}
}
