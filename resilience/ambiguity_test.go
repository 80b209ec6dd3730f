package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// TestAmbiguityIsSticky: once one attempt may have been carried out the call's
// error says so, whatever came after.
func TestAmbiguityIsSticky(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		outcomes  []resilience.Outcome
		why       retry.Reason
		ambiguous bool
	}{
		{"in doubt, then not sent", []resilience.Outcome{resilience.Ambiguous, resilience.NotSent, resilience.NotSent}, retry.Exhausted, true},
		{"in doubt, then refused", []resilience.Outcome{resilience.Ambiguous, resilience.Refused, resilience.Refused}, retry.Exhausted, true},
		{"in doubt, then answered", []resilience.Outcome{resilience.Ambiguous, resilience.Failed}, retry.Final, true},
		{"not sent, in doubt, answered", []resilience.Outcome{resilience.NotSent, resilience.Ambiguous, resilience.Failed}, retry.Final, true},
		{"in doubt at the end", []resilience.Outcome{resilience.NotSent, resilience.NotSent, resilience.Ambiguous}, retry.Exhausted, true},
		{"never sent", []resilience.Outcome{resilience.NotSent, resilience.Refused, resilience.Rejected}, retry.Exhausted, false},
		{"not sent, then answered", []resilience.Outcome{resilience.NotSent, resilience.Failed}, retry.Final, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(nil, nil, nil)
			client := newClient(t, b, config{Service: "bank", Settings: sets{Backoff: noPause}})
			k := 0
			err := do(t, b, client, resilience.Keyed("pay", "k1"), func(context.Context, *selector.Node) error {
				k++
				return resilience.Mark(fmt.Errorf("attempt %d: %w", k, errOp), tt.outcomes[k-1])
			})
			e := callError(t, err)
			if resilience.IsAmbiguous(err) != tt.ambiguous || e.Ambiguous() != tt.ambiguous {
				t.Errorf("ambiguous: %v, want %v", !tt.ambiguous, tt.ambiguous)
			}
			if e.Why != tt.why || len(e.Attempts) != len(tt.outcomes) {
				t.Errorf("%v after %d attempts, want %v after %d", e.Why, len(e.Attempts), tt.why, len(tt.outcomes))
			}
			for i, a := range e.Attempts {
				if a.Outcome != tt.outcomes[i] {
					t.Errorf("attempt %d: %v, want %v", i+1, a.Outcome, tt.outcomes[i])
				}
			}
			if !strings.Contains(e.Err.Error(), fmt.Sprintf("attempt %d:", k)) {
				t.Errorf("%v is not the last attempt's error", e.Err)
			}
			if strings.Contains(err.Error(), "may have been carried out") != tt.ambiguous {
				t.Errorf("the text %q does not tell", err)
			}
		})
	}
}

// TestAmbiguousThenWell: a repeatable call that ends well has no error.
func TestAmbiguousThenWell(t *testing.T) {
	t.Parallel()
	b := newBench(forever(fails(resilience.Ambiguous)), nil)
	client := newClient(t, b, config{})
	if err := do(t, b, client, resilience.Idempotent("m"), b.Op); err != nil {
		t.Error(err)
	}
	if b.Attempts("a") != 1 || b.Attempts("b") != 1 {
		t.Errorf("%d and %d attempts, want one each", b.Attempts("a"), b.Attempts("b"))
	}
}

// TestTwiceIsOneCall: a wrapper that makes the call again makes the same call:
// the doubt of the first run stays, whatever becomes of the second.
func TestTwiceIsOneCall(t *testing.T) {
	t.Parallel()
	twice := func(next resilience.Func) resilience.Func {
		return func(ctx context.Context, call *resilience.Call) error {
			if err := next(ctx, call); err == nil {
				return nil
			}
			return next(ctx, call)
		}
	}
	rule := &resilience.RuleSettings{Rule: "consecutive", N: 1}
	for name, settings := range map[string]sets{"answered": {}, "rejected by the service breaker": {ServiceBreaker: rule}} {
		b := newBench(forever(fails(resilience.Ambiguous)), forever(fails(resilience.Failed)))
		settings.Attempts = 1
		client := newClient(t, b, config{Wrap: []resilience.Wrapper{twice}, Settings: settings})
		if err := do(t, b, client, resilience.Unsafe("pay"), b.Op); !resilience.IsAmbiguous(err) {
			t.Errorf("%s: %v: the doubt is lost", name, err)
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	b := newBench(forever(fails(resilience.Ambiguous)), forever(fails(resilience.NotSent)))
	client := newClient(t, b, config{Service: "bank", Settings: sets{Attempts: 2}})
	err := do(t, b, client, resilience.Keyed("pay", "k"), b.Op)
	want := "bank pay: may have been carried out: attempts exhausted after 2 attempts (a ambiguous, b not sent): " + errOp.Error()
	if err.Error() != want {
		t.Errorf("got  %q\nwant %q", err, want)
	}
	if got, want := (&resilience.Error{Why: retry.Cancelled}).Error(), "call: cancelled"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	unnamed := &resilience.Error{Method: "m", Attempts: []resilience.Attempt{{Node: &selector.Node{}, Outcome: resilience.Outcome{Effect: retry.None}}}}
	if got, want := unnamed.Error(), "m: granted after 1 attempt (unnamed)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestIsAmbiguous(t *testing.T) {
	t.Parallel()
	doubt := &resilience.Error{Attempts: []resilience.Attempt{{Outcome: resilience.Ambiguous}}, Err: errOp}
	certain := &resilience.Error{Attempts: []resilience.Attempt{{Outcome: resilience.NotSent}}, Err: errOp}
	around := &resilience.Error{Attempts: []resilience.Attempt{{Outcome: resilience.NotSent, Err: doubt}}, Err: doubt}
	tests := []struct {
		name string
		err  error
		want bool
	}{
		{"nil", nil, false},
		{"an answer", errOp, false},
		{"in doubt", doubt, true},
		{"not sent", certain, false},
		{"wrapped", fmt.Errorf("x: %w", doubt), true},
		{"wrapped twice", fmt.Errorf("y: %w", fmt.Errorf("x: %w", doubt)), true},
		{"joined after another", errors.Join(certain, doubt), true},
		{"two verbs", fmt.Errorf("%w and %w", certain, doubt), true},
		{"joined, none in doubt", errors.Join(certain, errOp), false},
		{"inside a call that was not sent", around, false},
		{"abandoned", &resilience.Error{Attempts: []resilience.Attempt{{Outcome: resilience.Abandoned}}}, true},
		{"no attempt", &resilience.Error{}, false},
	}
	for _, tt := range tests {
		if got := resilience.IsAmbiguous(tt.err); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestNestedCallIsNoEvidence: what a call inside the op came to says nothing
// about the op, which may have done more before it.
func TestNestedCallIsNoEvidence(t *testing.T) {
	t.Parallel()
	inner := newBench(forever(fails(resilience.NotSent)))
	innerClient := newClient(t, inner, config{Service: "inner", Settings: sets{Attempts: 1}})
	nested := func(context.Context, *selector.Node) error {
		return fmt.Errorf("half done: %w", do(t, inner, innerClient, resilience.Unsafe("x"), inner.Op))
	}
	b := newBench(nil, nil, nil)
	client := newClient(t, b, config{Service: "outer", Settings: sets{Backoff: noPause}})

	err := do(t, b, client, resilience.Unsafe("y"), nested)
	var e *resilience.Error
	if !errors.As(err, &e) || e.Service != "outer" || e.Why != retry.NotRepeatable || !e.Ambiguous() {
		t.Errorf("%+v, want one attempt in doubt", err)
	}
	if !errors.Is(err, errOp) {
		t.Errorf("%v does not match the innermost error", err)
	}
	if n := inner.Attempts("a"); n != 1 {
		t.Errorf("carried out %d times", n)
	}

	// The op may vouch for it.
	err = do(t, b, client, resilience.Unsafe("y"), func(ctx context.Context, n *selector.Node) error {
		return resilience.Mark(nested(ctx, n), resilience.NotSent)
	})
	if e := callError(t, err); len(e.Attempts) != 3 || e.Ambiguous() {
		t.Errorf("%v, want 3 attempts that were not sent", err)
	}
}

// TestPermanent: backoff.Permanent stops the retries, and leaves the doubt.
func TestPermanent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		outcome   resilience.Outcome
		ambiguous bool
	}{{resilience.Ambiguous, true}, {resilience.NotSent, false}} {
		b := newBench(nil, nil)
		client := newClient(t, b, config{})
		n := 0
		err := do(t, b, client, resilience.Safe("m"), func(context.Context, *selector.Node) error {
			n++
			return resilience.Mark(backoff.Permanent(errOp), tt.outcome)
		})
		e := callError(t, err)
		if n != 1 || e.Why != retry.Final || resilience.IsAmbiguous(err) != tt.ambiguous || !errors.Is(err, errOp) {
			t.Errorf("%v: %v after %d attempts, ambiguous %v", tt.outcome, err, n, resilience.IsAmbiguous(err))
		}
	}
}

// TestCustomClassify: the client's own judgement is the one that counts, with
// or without a name, and an answer of the service stays what the op returned.
func TestCustomClassify(t *testing.T) {
	t.Parallel()
	errMissing := errors.New("no such row")
	classify := func(ctx context.Context, err error) resilience.Outcome {
		switch {
		case errors.Is(err, errMissing):
			return resilience.Failed
		case errors.Is(err, errOp):
			return resilience.Outcome{Effect: retry.None, Again: true} // nameless
		}
		return resilience.Classify(ctx, err)
	}
	b := newBench(forever(reply{Err: errMissing}), forever(reply{Err: errOp}), forever(reply{Err: errOp}))
	client := newClient(t, b, config{Classify: classify, Settings: sets{Backoff: noPause, Attempts: 2}})
	if err := do(t, b, client, resilience.Unsafe("m"), b.Op); err != errMissing { //nolint:errorlint // the very same
		t.Errorf("%v, want the op's error untouched", err)
	}
	if e := callError(t, do(t, b, client, resilience.Unsafe("m"), b.Op)); len(e.Attempts) != 2 || e.Ambiguous() {
		t.Errorf("%v, want two attempts without effect", e)
	}
}
