package resilience_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// byHand runs a stack around b's op without a Client.
func byHand(b *bench, wrapper resilience.Wrapper, call *resilience.Call) (err error) {
	f := wrapper(func(ctx context.Context, call *resilience.Call) error { return b.Op(ctx, call.Node) })
	b.Run(func() { err = f(context.Background(), call) })
	return err
}

func TestRetryByHand(t *testing.T) {
	t.Parallel()
	b := oneNode("", steps(fails(resilience.Ambiguous), fails(resilience.Ambiguous), reply{}))
	budget, err := retry.NewBudget(retry.BudgetConfig{Share: 1, Floor: -1}, b.Clock().Now())
	if err != nil {
		t.Fatal(err)
	}
	budget.Success()
	budget.Success()
	b.Run(func() { b.Sleep(time.Second) })
	retries := resilience.Retries{Policy: retry.Policy{Attempts: 3, Backoff: retry.Exponential(10*ms, 20*ms, 2)}, Budget: budget, Clock: b.Clock()}
	before := b.Elapsed()
	if err := byHand(b, resilience.Retry(retries), &resilience.Call{Method: "m", Idempotency: retry.Safe}); err != nil {
		t.Error(err)
	}
	if took := b.Elapsed() - before; took == 0 || took > 30*ms || b.Attempts("") != 3 {
		t.Errorf("%d attempts in %v", b.Attempts(""), took)
	}
	b.Run(func() { b.Sleep(time.Second) })
	if tokens, _ := budget.Balance(b.Clock().Now()); tokens != 1 {
		t.Errorf("balance %v: want 2 − 2 and 1 for the success", tokens)
	}

	b.Node("", forever(reply{After: 5 * ms, Outcome: resilience.Ambiguous}))
	e := callError(t, byHand(b, resilience.Retry(retries), &resilience.Call{Method: "m"}))
	if e.Why != retry.NotRepeatable || len(e.Attempts) != 1 || e.Method != "m" || e.Attempts[0].Elapsed != 5*ms {
		t.Errorf("%+v", e)
	}
	e = callError(t, byHand(b, resilience.Retry(resilience.Retries{Clock: b.Clock()}), &resilience.Call{Idempotency: retry.Safe}))
	if e.Why != retry.Exhausted || len(e.Attempts) != 1 {
		t.Errorf("the zero Retries: %+v", e)
	}
}

// oneNode is a bench with one node, without a name in a stack without Select.
func oneNode(id string, s func(int, time.Duration) reply) *bench {
	b := newBench()
	b.Node(id, s)
	return b
}

func newSelector(t testing.TB, b *bench) *selector.Selector {
	t.Helper()
	s, err := selector.New(selector.Config{Source: b.Source(), Strategy: &selector.RoundRobin{}, Clock: b.Clock()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestSelectByHand(t *testing.T) {
	t.Parallel()
	b := newBench(nil, forever(fails(resilience.Ambiguous)))
	sel := newSelector(t, b)
	wrapper := resilience.Select(resilience.Selects{Selector: sel, Clock: b.Clock()})
	call := new(resilience.Call)
	for i, want := range []error{nil, errOp, nil, errOp} { // the same Call, used again
		if err := byHand(b, wrapper, call); !errors.Is(err, want) {
			t.Errorf("call %d: %v, want %v", i+1, err, want)
		}
	}
	for _, s := range sel.Nodes() {
		if s.InFlight != 0 || s.Picks != 2 || s.Failures != map[string]uint64{"a": 0, "b": 2}[s.Node.ID] {
			t.Errorf("node %s: %+v", s.Node.ID, s)
		}
	}
	if err := sel.Close(); err != nil {
		t.Fatal(err)
	}
	if err := byHand(b, wrapper, new(resilience.Call)); !errors.Is(err, selector.ErrClosed) {
		t.Errorf("%v, want selector.ErrClosed", err)
	}
}

func TestRetryAndSelectByHand(t *testing.T) {
	t.Parallel()
	b := newBench(forever(fails(resilience.NotSent)), nil)
	sel := newSelector(t, b)
	budget, err := retry.NewBudget(retry.BudgetConfig{Share: 1, Floor: 1, Window: time.Second}, b.Clock().Now())
	if err != nil {
		t.Fatal(err)
	}
	stack := resilience.Stack(
		resilience.Retry(resilience.Retries{Policy: retry.Policy{Attempts: 2}, Budget: budget, Clock: b.Clock()}),
		resilience.Select(resilience.Selects{Selector: sel, Clock: b.Clock()}),
		resilience.Timeout(resilience.Timeouts{After: 100 * ms, Clock: b.Clock()}),
	)
	if err := byHand(b, stack, &resilience.Call{}); err != nil {
		t.Error(err)
	}
	if b.Attempts("a") != 1 || b.Attempts("b") != 1 {
		t.Errorf("%d and %d attempts, want one each", b.Attempts("a"), b.Attempts("b"))
	}
	b.Run(func() { b.Sleep(100 * ms) })
	if tokens, _ := budget.Balance(b.Clock().Now()); tokens < 1 {
		t.Errorf("balance %v: the success did not pay", tokens)
	}
}

// TestTimeoutByHand: alone it cuts nothing, for nobody would try again.
func TestTimeoutByHand(t *testing.T) {
	t.Parallel()
	b := oneNode("", forever(reply{After: time.Second}))
	timeout := resilience.Timeout(resilience.Timeouts{After: 100 * ms, Clock: b.Clock()})
	if err := byHand(b, timeout, &resilience.Call{Idempotency: retry.Safe}); err != nil || b.Elapsed() != time.Second {
		t.Errorf("%v after %v", err, b.Elapsed())
	}

	b = oneNode("", forever(reply{After: time.Second}))
	timeout = resilience.Timeout(resilience.Timeouts{Clock: b.Clock()}) // a share of the deadline
	f := timeout(func(ctx context.Context, call *resilience.Call) error { return b.Op(ctx, call.Node) })
	b.Run(func() {
		ctx, cancel := b.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := f(ctx, &resilience.Call{Idempotency: retry.Safe}); err != nil {
			t.Error("under a deadline:", err)
		}
	})

	b = oneNode("", steps(reply{Hang: true}, reply{}))
	stack := resilience.Stack(resilience.Retry(resilience.Retries{Policy: retry.Policy{Attempts: 2}, Clock: b.Clock()}), resilience.Timeout(resilience.Timeouts{After: 100 * ms, Clock: b.Clock()}))
	if err := byHand(b, stack, &resilience.Call{Idempotency: retry.Safe}); err != nil || b.Elapsed() != 100*ms {
		t.Errorf("under Retry: %v after %v", err, b.Elapsed())
	}
}

// TestNestedRetry: a Retry inside an attempt of another keeps its own books.
func TestNestedRetry(t *testing.T) {
	t.Parallel()
	b := oneNode("", forever(fails(resilience.Ambiguous)))
	inner := resilience.Retry(resilience.Retries{Policy: retry.Policy{Attempts: 3}, Clock: b.Clock()})
	outer := resilience.Retry(resilience.Retries{Policy: retry.Policy{Attempts: 2}, Clock: b.Clock()})
	e := callError(t, byHand(b, resilience.Stack(outer, inner), &resilience.Call{Idempotency: retry.Safe}))
	if b.Attempts("") != 6 || len(e.Attempts) != 2 {
		t.Errorf("%d attempts, %d on the outer's books; want 6, 2", b.Attempts(""), len(e.Attempts))
	}
	var within *resilience.Error
	if !errors.As(e.Err, &within) || len(within.Attempts) != 3 || !e.Ambiguous() {
		t.Errorf("inner: %+v", within)
	}

	client := newClient(t, b, config{WrapAttempt: []resilience.Wrapper{inner}, Settings: sets{Attempts: 2, Backoff: noPause}})
	before := b.Attempts("")
	e = callError(t, do(t, b, client, resilience.Safe("m"), b.Op))
	if n := b.Attempts("") - before; n != 6 || len(e.Attempts) != 2 {
		t.Errorf("in a client: %d attempts, %d on the outer's books; want 6, 2", n, len(e.Attempts))
	}
}

// TestJudgedAfresh: what Select found out about one attempt is not held
// against the next, which may not come so far.
func TestJudgedAfresh(t *testing.T) {
	t.Parallel()
	b := newBench(forever(fails(resilience.Ambiguous)))
	n := 0
	gate := func(next resilience.Func) resilience.Func {
		return func(ctx context.Context, call *resilience.Call) error {
			if n++; n > 1 {
				return resilience.Mark(errOp, resilience.Rejected)
			}
			return next(ctx, call)
		}
	}
	stack := resilience.Stack(
		resilience.Retry(resilience.Retries{Policy: retry.Policy{Attempts: 2}, Clock: b.Clock()}), gate,
		resilience.Select(resilience.Selects{Selector: newSelector(t, b), Clock: b.Clock()}),
	)
	e := callError(t, byHand(b, stack, &resilience.Call{Idempotency: retry.Safe}))
	if len(e.Attempts) != 2 || e.Attempts[0].Outcome.Name != "ambiguous" || e.Attempts[1].Outcome.Name != "rejected" || e.Attempts[1].Node != nil {
		t.Errorf("%v", e)
	}
}

// TestBreakByHand: a Group of breakers around calls, one a method.
func TestBreakByHand(t *testing.T) {
	t.Parallel()
	b := oneNode("", forever(fails(resilience.Ambiguous)))
	family, err := breaker.NewFamily(breaker.Config{Rule: breaker.Consecutive{N: 2}, Clock: b.Clock()})
	if err != nil {
		t.Fatal(err)
	}
	group, err := breaker.NewGroup(breaker.GroupConfig{Engine: family})
	if err != nil {
		t.Fatal(err)
	}
	guard := resilience.Break(func(c *resilience.Call) breaker.Breaker {
		if c.Method == "free" {
			return nil
		}
		return group.Get(c.Method)
	}, b.Clock())
	for i, want := range []error{errOp, errOp, breaker.ErrOpen} {
		if err := byHand(b, guard, &resilience.Call{Method: "ill"}); !errors.Is(err, want) {
			t.Errorf("call %d: %v, want %v", i+1, err, want)
		}
	}
	e := callError(t, byHand(b, guard, &resilience.Call{Method: "ill"}))
	var open *breaker.OpenError
	if e.Ambiguous() || e.Why != retry.Stopped || !errors.As(e, &open) || open.RetryAfter <= 0 {
		t.Errorf("rejected: %+v", e)
	}
	for range 5 {
		if err := byHand(b, guard, &resilience.Call{Method: "free"}); !errors.Is(err, errOp) {
			t.Error("a nil breaker:", err)
		}
	}
	if n := b.Attempts(""); n != 2+5 {
		t.Errorf("%d attempts, want 7", n)
	}

	// What a call inside an attempt came to says nothing about the attempt.
	nested := &resilience.Error{Attempts: []resilience.Attempt{{Outcome: resilience.Failed}}}
	around := guard(func(context.Context, *resilience.Call) error { return nested })
	for i, want := range []error{nested, nested, breaker.ErrOpen} {
		if err := around(t.Context(), &resilience.Call{Method: "nested", Attempt: 1}); !errors.Is(err, want) {
			t.Errorf("attempt %d with a call inside: %v, want %v", i+1, err, want)
		}
	}

	// Around attempts a rejection is one attempt's, and tried again when the
	// breaker says.
	b.Node("", nil)
	stack := resilience.Stack(resilience.Retry(resilience.Retries{Policy: retry.Policy{Attempts: 2}, Clock: b.Clock()}), guard)
	before := b.Elapsed()
	if err := byHand(b, stack, &resilience.Call{Method: "ill"}); err != nil || b.Elapsed()-before < open.RetryAfter {
		t.Errorf("%v after %v, want success after %v", err, b.Elapsed()-before, open.RetryAfter)
	}
}
