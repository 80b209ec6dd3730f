package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// verdict is what a call must come to.
type verdict struct {
	attempts  int
	why       retry.Reason
	ambiguous bool
	plain     bool // the op's error itself, not a *resilience.Error
}

// circumstances are all that decides about a call whose every attempt ends
// the same way.
type circumstances struct {
	outcome  resilience.Outcome
	kind     retry.Idempotency
	attempts int
	broke    bool // the budget is empty
	hurried  bool // the deadline is too near for another attempt
}

func (c circumstances) want() verdict {
	repeatable := c.kind == retry.Safe || c.kind == retry.Idempotent || c.kind == retry.Keyed
	v := verdict{attempts: 1, ambiguous: c.outcome.Name == "ambiguous"}
	switch {
	case c.outcome.Name == "failed":
		v.why, v.plain = retry.Final, true
	case v.ambiguous && !repeatable:
		v.why = retry.NotRepeatable
	case c.attempts == 1:
		v.why = retry.Exhausted
	case c.hurried:
		v.why = retry.OutOfTime
	case c.broke:
		v.why = retry.OverBudget
	default:
		v.attempts, v.why = c.attempts, retry.Exhausted
	}
	return v
}

// TestOutcomeTable: effect × idempotency × attempts × budget × deadline.
func TestOutcomeTable(t *testing.T) {
	t.Parallel()
	for _, outcome := range []resilience.Outcome{
		resilience.NotSent, resilience.Rejected, resilience.Refused, resilience.Ambiguous, resilience.Failed,
	} {
		for kind := retry.Unspecified; kind <= retry.NonIdempotent; kind++ {
			for _, attempts := range []int{1, 2, 3, 5} {
				for switches := range 4 {
					c := circumstances{outcome, kind, attempts, switches&1 != 0, switches&2 != 0}
					t.Run(fmt.Sprintf("%v/%v/of %d/broke=%v/hurried=%v", outcome, kind, attempts, c.broke, c.hurried), func(t *testing.T) {
						t.Parallel()
						c.check(t)
					})
				}
			}
		}
	}
}

func (c circumstances) check(t *testing.T) {
	well := forever(reply{After: 10 * ms})
	b := newBench(well, well, well)
	settings := sets{Attempts: c.attempts, AttemptTimeout: -1, Backoff: noPause}
	settings.Ejection.Off = true
	if c.broke {
		settings.Budget = resilience.BudgetSettings{Share: 1e-6, Floor: -1}
	}
	client := newClient(t, b, config{Settings: settings})
	for range 3 { // so that it is known what an attempt takes
		if err := do(t, b, client, resilience.Safe("m"), b.Op); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"a", "b", "c"} {
		b.Node(id, forever(reply{After: 10 * ms, Outcome: c.outcome, Err: errOp}))
	}
	made := 0
	op := func(ctx context.Context, node *selector.Node) error { made++; return b.Op(ctx, node) }
	var err error
	b.Run(func() {
		timeout := time.Minute
		if c.hurried {
			timeout = 19 * ms
		}
		ctx, cancel := b.WithTimeout(context.Background(), timeout)
		defer cancel()
		err = client.Do(ctx, resilience.Hint{Method: "m", Idempotency: c.kind, Key: "k"}, op)
	})

	want := c.want()
	if made != want.attempts {
		t.Errorf("%d attempts, want %d", made, want.attempts)
	}
	if resilience.IsAmbiguous(err) != want.ambiguous {
		t.Errorf("ambiguous: %v, want %v", !want.ambiguous, want.ambiguous)
	}
	if !errors.Is(err, errOp) {
		t.Errorf("%v does not match the op's error", err)
	}
	var e *resilience.Error
	if isError := errors.As(err, &e); isError == want.plain {
		t.Fatalf("%T, want the op's error itself: %v", err, want.plain)
	} else if !isError {
		return
	}
	if e.Why != want.why || e.Method != "m" || e.Key != "k" || len(e.Attempts) != want.attempts {
		t.Errorf("why %v, method %q, key %q, %d attempts; want %v, m, k, %d", e.Why, e.Method, e.Key, len(e.Attempts), want.why, want.attempts)
	}
	for i, a := range e.Attempts {
		if a.Outcome.Name != c.outcome.Name || a.Elapsed != 10*ms || a.Node == nil || !errors.Is(a.Err, errOp) {
			t.Errorf("attempt %d: %+v", i+1, a)
		}
		if i > 0 && i < 3 && a.Node == e.Attempts[i-1].Node {
			t.Errorf("attempt %d went to node %v again", i+1, a.Node)
		}
	}
	idle(t, client)
}

// TestSuccess: a call that succeeds has one attempt and no error, whatever it
// is.
func TestSuccess(t *testing.T) {
	t.Parallel()
	for kind := retry.Unspecified; kind <= retry.NonIdempotent; kind++ {
		b := newBench(nil)
		client := newClient(t, b, config{})
		if err := do(t, b, client, resilience.Hint{Idempotency: kind, Key: "k"}, b.Op); err != nil || b.Attempts("a") != 1 {
			t.Errorf("%v: %v after %d attempts", kind, err, b.Attempts("a"))
		}
	}
}

// TestUnbudgeted: a negative share is no budget.
func TestUnbudgeted(t *testing.T) {
	t.Parallel()
	b := newBench(forever(fails(resilience.NotSent)))
	client := newClient(t, b, config{Settings: sets{Attempts: 100, Backoff: noPause, Budget: resilience.BudgetSettings{Share: -1, Floor: -1}}})
	for range 10 {
		if e := callError(t, do(t, b, client, resilience.Safe("m"), b.Op)); len(e.Attempts) != 100 || e.Why != retry.Exhausted {
			t.Fatalf("%d attempts, %v", len(e.Attempts), e.Why)
		}
	}
}

// TestBudgetIsShared by the calls of a client, and paid by their successes.
func TestBudgetIsShared(t *testing.T) {
	t.Parallel()
	b := newBench(nil, nil)
	settings := sets{Backoff: noPause, Budget: resilience.BudgetSettings{Share: .5, Floor: -1}}
	settings.Ejection.Off = true
	client := newClient(t, b, config{Settings: settings})
	for range 8 {
		_ = do(t, b, client, resilience.Safe("m"), b.Op)
	}
	b.Node("a", forever(fails(resilience.NotSent)))
	b.Node("b", forever(fails(resilience.NotSent)))
	var reasons []retry.Reason
	b.Run(func() {
		b.Sleep(time.Second)
		for range 4 {
			var e *resilience.Error
			if errors.As(client.Do(context.Background(), resilience.Safe("m"), b.Op), &e) {
				reasons = append(reasons, e.Why)
			}
		}
	})
	want := []retry.Reason{retry.Exhausted, retry.Exhausted, retry.OverBudget, retry.OverBudget} // 2 + 2 + 0 + 0 retries
	if fmt.Sprint(reasons) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", reasons, want)
	}
	if n := b.Attempts("a") + b.Attempts("b"); n != 8+4+4 {
		t.Errorf("%d attempts, want 16", n)
	}
}
