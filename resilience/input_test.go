package resilience_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

func TestBadCalls(t *testing.T) {
	t.Parallel()
	b := newBench(nil)
	client := newClient(t, b, config{})
	for name, err := range map[string]error{
		"op":  client.Do(t.Context(), resilience.Safe("m"), nil),
		"fn":  client.Call(t.Context(), resilience.Safe("m"), nil),
		"ctx": client.Do(nil, resilience.Safe("m"), b.Op), //nolint:staticcheck // a nil context is the point
	} {
		if err == nil || !strings.Contains(err.Error(), "resilience: "+name+": want a ") {
			t.Errorf("nil %s: %v", name, err)
		}
	}
	if b.Attempts("a") != 0 {
		t.Error("called all the same")
	}
}

// closedSource tells when it is closed.
type closedSource struct {
	selector.Source
	closed int
}

func (s *closedSource) Close() error { s.closed++; return nil }

// TestBadConfig: all that is wrong in one error, and the source is closed.
func TestBadConfig(t *testing.T) {
	t.Parallel()
	source := &closedSource{Source: selector.Addrs("a")}
	cfg := config{
		Nodes: source, Wrap: []resilience.Wrapper{nil}, WrapAttempt: []resilience.Wrapper{resilience.Bulkhead(1), nil},
		Settings: sets{Attempts: -1, Strategy: "best", Bulkhead: -5},
	}
	client, err := resilience.New(cfg)
	if client != nil || err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"attempts -1: want 1 to 100", `strategy "best"`, "bulkhead -5", "wrap[0] nil", "wrapAttempt[1] nil"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %q", err, want)
		}
	}
	if source.closed != 1 {
		t.Errorf("the source was closed %d times", source.closed)
	}

	source = &closedSource{Source: selector.Addrs("a", "a")}
	if _, err := resilience.New(config{Nodes: source}); err == nil || !strings.Contains(err.Error(), "duplicate") || source.closed != 1 {
		t.Errorf("a duplicate node: %v, closed %d times", err, source.closed)
	}
}

// TestValidate: every field that can be wrong says what it wants.
func TestValidate(t *testing.T) {
	t.Parallel()
	method := func(m resilience.MethodSettings) sets {
		return sets{Methods: map[string]resilience.MethodSettings{"pay": m}}
	}
	rule := func(r resilience.RuleSettings) sets { return sets{ServiceBreaker: &r} }
	tests := []struct {
		field string
		bad   sets
	}{
		{"attempts", sets{Attempts: 101}},
		{"timeout", sets{Timeout: -1}},
		{"backoff.multiplier", sets{Backoff: resilience.BackoffSettings{Multiplier: .5}}},
		{"backoff.multiplier", sets{Backoff: resilience.BackoffSettings{Multiplier: math.NaN()}}},
		{"backoff.max", sets{Backoff: resilience.BackoffSettings{Max: -1}}},
		{"backoff.initial", sets{Backoff: resilience.BackoffSettings{Initial: time.Second, Max: ms}}},
		{"share", sets{Budget: resilience.BudgetSettings{Share: 11}}},
		{"floor", sets{Budget: resilience.BudgetSettings{Floor: math.Inf(1)}}},
		{"window", sets{Budget: resilience.BudgetSettings{Window: -1}}},
		{"strategy", sets{Strategy: "fastest"}},
		{"falseAlarm", sets{Ejection: resilience.EjectionSettings{FalseAlarm: 5}}},
		{"excess", sets{Ejection: resilience.EjectionSettings{Excess: 1}}},
		{"baseline", sets{Ejection: resilience.EjectionSettings{Baseline: -1}}},
		{"maxShare", sets{Ejection: resilience.EjectionSettings{MaxShare: 2}}},
		{"breaker", sets{Breaker: resilience.BreakerSettings{OpenFor: -1}}},
		{"breaker", sets{Breaker: resilience.BreakerSettings{Probes: -1}}},
		{"serviceBreaker", rule(resilience.RuleSettings{Rule: "vibes"})},
		{"serviceBreaker", rule(resilience.RuleSettings{Rule: "rate", Threshold: 7})},
		{"serviceBreaker", rule(resilience.RuleSettings{Baseline: .9, Broken: .1})},
		{"serviceBreaker", rule(resilience.RuleSettings{SlowCall: -1})},
		{"bulkhead", sets{Bulkhead: -1}},
		{`methods["pay"].attempts`, method(resilience.MethodSettings{Attempts: -1})},
		{`methods["pay"].timeout`, method(resilience.MethodSettings{Timeout: -1})},
		{`methods["pay"].idempotency`, method(resilience.MethodSettings{Idempotency: 99})},
	}
	client, err := resilience.New(config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	for _, tt := range tests {
		err := tt.bad.Validate()
		if err == nil || !strings.Contains(err.Error(), tt.field) || !strings.Contains(err.Error(), "want") {
			t.Errorf("%s: %v", tt.field, err)
		}
		if c, err := resilience.New(config{Settings: tt.bad}); err == nil {
			t.Errorf("%s: New accepts it", tt.field)
			_ = c.Close()
		}
		if err := client.Update(tt.bad); err == nil {
			t.Errorf("%s: Update accepts it", tt.field)
		}
	}
	for _, ok := range []sets{
		{},
		{Attempts: 100},
		{AttemptTimeout: -1},
		{Backoff: noPause},
		{Backoff: resilience.BackoffSettings{Max: ms}},
		{Backoff: resilience.BackoffSettings{Initial: time.Hour}},
		{SlowStart: -1},
		{Budget: resilience.BudgetSettings{Share: -1, Floor: -1}},
	} {
		if err := ok.Validate(); err != nil {
			t.Errorf("%+v: %v", ok, err)
		}
	}
}

// TestThreeMistakes are one error that names all three, in a fixed order.
func TestThreeMistakes(t *testing.T) {
	t.Parallel()
	bad := sets{Attempts: 1000, Strategy: "fastest", Methods: map[string]resilience.MethodSettings{}}
	for _, m := range []string{"a", "b", "c", "d", "e"} {
		bad.Methods[m] = resilience.MethodSettings{Timeout: -time.Second}
	}
	first := bad.Validate().Error()
	for _, want := range []string{"attempts 1000", `strategy "fastest"`, `methods["a"].timeout -1s`, `methods["e"].timeout -1s`} {
		if !strings.Contains(first, want) {
			t.Errorf("%q does not name %q", first, want)
		}
	}
	if lines := strings.Count(first, "\n") + 1; lines != 7 {
		t.Errorf("%d lines, want one a mistake, 7:\n%s", lines, first)
	}
	for range 20 {
		if again := bad.Validate().Error(); again != first {
			t.Fatalf("another order:\n%s\n%s", first, again)
		}
	}
}

// TestNoNodesKnown: a source that has none yet is an error that says so, after
// the attempts that there may be.
func TestNoNodesKnown(t *testing.T) {
	t.Parallel()
	b := newBench()
	client := newClient(t, b, config{Nodes: b.Source(), Settings: sets{Attempts: 2}})
	err := do(t, b, client, resilience.Unsafe("m"), b.Op)
	e := callError(t, err)
	if !errors.Is(err, selector.ErrNoNodes) || e.Ambiguous() || len(e.Attempts) != 2 || e.Attempts[0].Node != nil || e.Why != retry.Exhausted {
		t.Errorf("%v", err)
	}
	if !strings.Contains(err.Error(), "after 2 attempts (rejected, rejected)") {
		t.Errorf("%q", err)
	}

	// Nodes that are found meanwhile are used.
	b.Run(func() {
		b.Go(func() { b.Node("late", nil) })
		err = client.Do(context.Background(), resilience.Unsafe("m"), b.Op)
	})
	if err != nil || b.Attempts("late") != 1 {
		t.Errorf("%v, %d attempts", err, b.Attempts("late"))
	}
}
