package promwrap

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/resiliencetest"
	"github.com/holdfast-go/holdfast/selector"
)

// TestCalls: calls, attempts and retries, by how they ended.
func TestCalls(t *testing.T) {
	b := resiliencetest.New(1)
	b.Node("a", resiliencetest.Steps(
		resiliencetest.Reply{Outcome: resilience.NotSent, Err: errOp}, resiliencetest.Reply{After: ms},
		resiliencetest.Reply{Outcome: resilience.Ambiguous, Err: errOp}, resiliencetest.Reply{Outcome: resilience.Failed, Err: errOp},
	))
	c, r := newCollector(t, Config{})
	client := newClient(t, b, c, resilience.Config{Service: "users", Fallback: func(_ context.Context, call *resilience.Call, err error) error {
		if call.Method == "pay" {
			return err
		}
		return nil
	}})
	_ = do(b, client, resilience.Safe("get"), b.Op)
	_ = do(b, client, resilience.Unsafe("pay"), b.Op)
	_ = do(b, client, resilience.Safe("get"), b.Op)
	wantValues(t, r, map[string]float64{
		"calls_total users get succeeded": 1, "calls_total users pay ambiguous": 1, "calls_total users get failed": 1,
		"calls_ambiguous_total users pay": 1, "calls_ambiguous_total users get": 0, "calls_given_up_total users not repeatable": 1,
		"call_duration_seconds users get": 2, "call_duration_seconds users pay": 1,
		"attempts_total users a not sent": 1, "attempts_total users a succeeded": 1, "attempts_total users a ambiguous": 1, "attempts_total users a failed": 1,
		"retries_total users get": 1, "retries_total users pay": 0, "fallbacks_total users failed": 1,
		"nodes users": 1, "node_in_flight users a": 0, "ejections_total users enforced": 0,
	})
}

// TestEjection: what was done to nodes, and for how long, on time's own
// account: between two scrapes too.
func TestEjection(t *testing.T) {
	b := resiliencetest.New(1)
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		b.Node(id, well())
	}
	c, r := newCollector(t, Config{})
	client := newClient(t, b, c, resilience.Config{Service: "users", Settings: resilience.Settings{Attempts: 1}})
	run := func(n int) {
		b.Run(func() {
			for range n {
				_ = client.Do(context.Background(), resilience.Safe("get"), b.Op)
				b.Sleep(9 * ms)
			}
		})
	}
	run(100)
	b.Node("b", ill(resilience.Ambiguous))
	run(300)
	wantValues(t, r, map[string]float64{
		"node_ejected users b": 1, "node_ejected users a": 0, "node_ejections_total users b": 1, "node_ejections_total users a": 0,
		"ejections_total users enforced": 1, "ejections_total users prevented": 0, "ejections_total users spared": 0, "nodes users": 5,
	})
	var ejected time.Time
	for _, e := range client.Selector().Nodes() {
		if e.Ejected {
			ejected = e.RetryAt
		}
	}
	out := values(t, r)["node_ejected_seconds_total users b"]
	b.Run(func() { b.Sleep(10 * time.Second) })
	if more := values(t, r)["node_ejected_seconds_total users b"]; math.Abs(more-out-10) > 1e-6 || out <= 0 || ejected.IsZero() {
		t.Errorf("out for %v s, then for %v s: want 10 s more", out, more)
	}
	b.Node("b", well())
	run(300)
	wantValues(t, r, map[string]float64{"node_ejected users b": 0, "readmissions_total users": 1})
	out = values(t, r)["node_ejected_seconds_total users b"]
	b.Run(func() { b.Sleep(time.Hour) })
	wantValues(t, r, map[string]float64{"node_ejected_seconds_total users b": out})

	for _, id := range []string{"a", "b", "c", "d", "e"} { // the service is ill: the guard keeps all
		b.Node(id, ill(resilience.Ambiguous))
	}
	run(300)
	if spared := values(t, r)["ejections_total users spared"]; spared == 0 {
		t.Error("nobody was spared")
	}
	wantValues(t, r, map[string]float64{"ejections_total users enforced": 1})
}

// TestPrevented: what the cap prevents is counted beside.
func TestPrevented(t *testing.T) {
	b := resiliencetest.New(1)
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		b.Node(id, well())
	}
	c, r := newCollector(t, Config{})
	client := newClient(t, b, c, resilience.Config{Service: "users", Settings: resilience.Settings{Attempts: 1}})
	b.Run(func() {
		for i := range 1500 {
			if i == 100 {
				for _, id := range []string{"a", "b", "c"} {
					b.Node(id, ill(resilience.Ambiguous))
				}
			}
			_ = client.Do(context.Background(), resilience.Safe("get"), b.Op)
			b.Sleep(ms)
		}
	})
	got := values(t, r)
	if got["ejections_total users enforced"] < 2 || got["ejections_total users prevented"] == 0 {
		t.Errorf("%v enforced, %v prevented", got["ejections_total users enforced"], got["ejections_total users prevented"])
	}
}

// TestNodesThatLeave: their series end, the time of those that stay does not.
func TestNodesThatLeave(t *testing.T) {
	b := resiliencetest.New(1)
	for _, id := range []string{"a", "b", "c"} {
		b.Node(id, well())
	}
	c, r := newCollector(t, Config{})
	one := newClient(t, b, c, resilience.Config{Service: "users"})
	two := newClient(t, b, c, resilience.Config{Service: "users"})
	for _, client := range []*resilience.Client{one, two} {
		if err := client.Selector().Eject("a", "for the test"); err != nil {
			t.Fatal(err)
		}
	}
	b.Run(func() { b.Sleep(time.Second) })
	wantValues(t, r, map[string]float64{"node_ejected users a": 2, "node_ejected_seconds_total users a": 2, "nodes users": 3})
	_ = two.Close()
	b.Run(func() { b.Sleep(time.Second) })
	wantValues(t, r, map[string]float64{"node_ejected users a": 1, "node_ejected_seconds_total users a": 3})
	b.SetNodes(selector.Node{ID: "b"}, selector.Node{ID: "c"})
	for key := range values(t, r) {
		if strings.HasSuffix(key, " a") || strings.Contains(key, " a ") {
			t.Errorf("%s is still there", key)
		}
	}
	b.FailSource(errOp)
	wantValues(t, r, map[string]float64{"source_failures_total users": 1})
}

// TestServiceBreaker: state, changes to it, and time.
func TestServiceBreaker(t *testing.T) {
	b := resiliencetest.New(1)
	b.Node("a", well())
	c, r := newCollector(t, Config{})
	client := newClient(t, b, c, resilience.Config{Service: "users", Settings: resilience.Settings{ServiceBreaker: &resilience.RuleSettings{}}})
	circuit := client.ServiceBreaker().(*breaker.Circuit)
	circuit.Trip(breaker.Reason{Cause: breaker.ByHand})
	b.Run(func() { b.Sleep(500 * ms) })
	wantValues(t, r, map[string]float64{
		"breaker_state users open": 1, "breaker_state users closed": 0, "breaker_transitions_total users open": 1, "breaker_open_seconds_total users": .5,
	})
	circuit.Reset(breaker.Reason{Cause: breaker.ByHand})
	b.Run(func() { b.Sleep(time.Second) })
	wantValues(t, r, map[string]float64{"breaker_state users closed": 1, "breaker_transitions_total users closed": 1, "breaker_open_seconds_total users": .5})
}

// TestHostileNames: what comes from users is bounded, and never a label that
// Prometheus refuses.
func TestHostileNames(t *testing.T) {
	c, r := newCollector(t, Config{Methods: 3, Nodes: 2})
	for i := range 10_000 {
		node := &selector.Node{ID: fmt.Sprintf("n%d\xff%c", i, 0x80|i%64)}
		name := fmt.Sprintf("m%d\xff", i)
		for _, service := range []string{name, "users"} {
			c.Observe(resilience.Event{Kind: resilience.AttemptDone, Service: service, Method: name, Attempt: 2, Node: node, Outcome: resilience.Outcome{Name: name}, Err: errOp})
			c.Observe(resilience.Event{Kind: resilience.CallDone, Service: service, Method: name, Attempt: 2, Outcome: resilience.Outcome{Name: name}, Err: errOp})
		}
	}
	got := values(t, r)
	if len(got) > 300*(maxOutcomes+40) {
		t.Errorf("%d series", len(got))
	}
	sum := 0.
	for key, v := range got {
		if strings.HasPrefix(key, "calls_total users ") {
			sum += v
		}
	}
	if sum != 10_000 || got["retries_total users (others)"] != 9997 {
		t.Errorf("%v calls, %v retries of other methods", sum, got["retries_total users (others)"])
	}
}

// TestLint: the names are as Prometheus' own linter wants them.
func TestLint(t *testing.T) {
	b := resiliencetest.New(1)
	b.Node("a", well())
	c, r := newCollector(t, Config{})
	client := newClient(t, b, c, resilience.Config{Service: "users"})
	_ = do(b, client, resilience.Safe("get"), b.Op)
	problems, err := testutil.GatherAndLint(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestWhileOthersCount: it is asked while clients call, come and go.
func TestWhileOthersCount(t *testing.T) {
	c, r := newCollector(t, Config{})
	done := make(chan struct{})
	rounds := 20
	if testing.Short() {
		rounds = 4
	}
	for i := range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range rounds {
				client, err := resilience.New(resilience.Config{Service: "users", Nodes: selector.Addrs("a", "b"), Observer: c})
				if err != nil {
					t.Error(err)
					return
				}
				for k := range 20 {
					_ = client.Do(context.Background(), resilience.Safe(fmt.Sprint(i, k)), func(context.Context, *selector.Node) error { return errOp })
				}
				_ = client.Close()
			}
		}()
	}
	for ended := 0; ended < 4; {
		select {
		case <-done:
			ended++
		default:
			values(t, r)
		}
	}
	sum := 0.
	for key, v := range values(t, r) {
		if strings.HasPrefix(key, "calls_total ") {
			sum += v
		}
		if strings.HasPrefix(key, "node_") {
			t.Errorf("%s is left of nodes that are gone", key)
		}
	}
	if sum != float64(4*rounds*20) {
		t.Errorf("%v calls", sum)
	}
}

func TestValidate(t *testing.T) {
	_, err := New(Config{Methods: -1, Nodes: -1, Buckets: []float64{1, 1, math.NaN()}})
	if err == nil || strings.Count(err.Error(), "promwrap: ") != 4 {
		t.Errorf("%v: want four problems", err)
	}
}
