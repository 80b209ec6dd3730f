package resilience_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

func nodes(n int) selector.Source {
	list := make([]selector.Node, n)
	for i := range list {
		list[i].ID = fmt.Sprintf("node%d", i)
	}
	return selector.Static(list...)
}

// realClient is a client in real time.
func realClient(t testing.TB, cfg config) *resilience.Client {
	t.Helper()
	client, err := resilience.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

// TestHealthyCallAllocates nothing, with a prebuilt op, whatever is switched
// on that does not need a timer.
func TestHealthyCallAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector sync.Pool drops what it is given")
	}
	op := func(context.Context, *selector.Node) error { return nil }
	pass := func(next resilience.Func) resilience.Func {
		return func(ctx context.Context, call *resilience.Call) error { return next(ctx, call) }
	}
	tests := []struct {
		name string
		cfg  config
		hint resilience.Hint
	}{
		{"the anonymous node", config{}, resilience.Safe("m")},
		{"three nodes", config{Nodes: nodes(3)}, resilience.Safe("m")},
		{"1000 nodes", config{Nodes: nodes(1000)}, resilience.Safe("m")},
		{"not repeatable", config{Nodes: nodes(3)}, resilience.Unsafe("m")},
		{"keyed", config{Nodes: nodes(3)}, resilience.Keyed("m", "k")},
		{"no method", config{Nodes: nodes(3)}, resilience.Hint{}},
		{"own settings of the method", config{Nodes: nodes(3), Settings: sets{Methods: map[string]resilience.MethodSettings{"m": {Attempts: 5}}}}, resilience.Safe("m")},
		{"weighted", config{Nodes: nodes(3), Settings: sets{Strategy: "weighted"}}, resilience.Safe("m")},
		{"round robin", config{Nodes: nodes(3), Settings: sets{Strategy: "round-robin"}}, resilience.Safe("m")},
		{"a zone", config{Nodes: nodes(3), Settings: sets{Zone: "z"}}, resilience.Safe("m")},
		{"no budget", config{Nodes: nodes(3), Settings: sets{Budget: resilience.BudgetSettings{Share: -1}}}, resilience.Safe("m")},
		{"bulkhead", config{Nodes: nodes(3), Settings: sets{Bulkhead: 10}}, resilience.Safe("m")},
		{"service breaker", config{Nodes: nodes(3), Settings: sets{ServiceBreaker: &resilience.RuleSettings{}}}, resilience.Safe("m")},
		{"wrappers", config{Nodes: nodes(3), Wrap: []resilience.Wrapper{pass}, WrapAttempt: []resilience.Wrapper{pass}}, resilience.Safe("m")},
		{"fallback", config{Nodes: nodes(3), Fallback: func(_ context.Context, _ *resilience.Call, err error) error { return err }}, resilience.Safe("m")},
		{"node listener", config{Nodes: nodes(3), OnNode: func(selector.Event) {}}, resilience.Safe("m")},
		{"attempt timeout off", config{Nodes: nodes(3), Settings: sets{AttemptTimeout: -1}}, resilience.Safe("m")},
	}
	ctx := context.Background()
	for _, tt := range tests {
		client := realClient(t, tt.cfg)
		call := func() {
			if err := client.Do(ctx, tt.hint, op); err != nil {
				t.Fatal(err)
			}
		}
		for range 2000 { // every node has seen the method
			call()
		}
		if n := testing.AllocsPerRun(500, call); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

// TestResultAllocatesTwo is what the doc of Do[T] says.
func TestResultAllocatesTwo(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector sync.Pool drops what it is given")
	}
	client := realClient(t, config{Nodes: nodes(3)})
	op := func(context.Context, *selector.Node) (string, error) { return "well", nil }
	ctx, hint := context.Background(), resilience.Safe("m")
	n := testing.AllocsPerRun(500, func() {
		if s, err := resilience.Do(ctx, client, hint, op); s != "well" || err != nil {
			t.Fatal(s, err)
		}
	})
	if n > 2 {
		t.Errorf("%v allocations, want at most 2", n)
	}
}

// readings counts how often the clock is read.
type readings struct {
	clock.Clock
	n atomic.Int64
}

func (r *readings) Now() time.Time { r.n.Add(1); return r.Clock.Now() }
func (r *readings) Mono() int64    { r.n.Add(1); return r.Clock.Mono() }

// most is how often in the worst of many calls.
func (r *readings) most(t *testing.T, c *resilience.Client, hint resilience.Hint, op resilience.Op) int64 {
	t.Helper()
	most := int64(0)
	for range 1000 {
		before := r.n.Load()
		if err := c.Do(t.Context(), hint, op); err != nil {
			t.Fatal(err)
		}
		most = max(most, r.n.Load()-before)
	}
	return most
}

// TestHealthyCallReadsTheClockTwice, for all layers together.
func TestHealthyCallReadsTheClockTwice(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]config{
		"the anonymous node": {},
		"three nodes":        {Nodes: nodes(3)},
		"observed":           {Nodes: nodes(3), Observer: resilience.ObserverFunc(func(resilience.Event) {})},
		"no budget":          {Nodes: nodes(3), Settings: sets{Budget: resilience.BudgetSettings{Share: -1}}},
		"bulkhead":           {Nodes: nodes(3), Settings: sets{Bulkhead: 10}},
	} {
		r := &readings{Clock: clock.System}
		cfg.Clock = r
		client := realClient(t, cfg)
		for _, hint := range []resilience.Hint{resilience.Safe("m"), resilience.Unsafe("m")} {
			if n := r.most(t, client, hint, func(context.Context, *selector.Node) error { return nil }); n != 2 {
				t.Errorf("%s: %d readings in a call, want 2", name, n)
			}
		}
	}
}
