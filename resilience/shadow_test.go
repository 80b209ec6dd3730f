package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/resiliencetest"
	"github.com/holdfast-go/holdfast/selector"
)

// shadowed makes calls, one every 2 ms for 12 s, to five nodes, of which a
// answers with errors from 2 s to 5 s, with a candidate from the beginning on.
func shadowed(t *testing.T, active, candidate sets, hint resilience.Hint) (*resiliencetest.Bench, *resilience.Client) {
	t.Helper()
	b := resiliencetest.New(7)
	well := resiliencetest.Script(func(int, time.Duration) reply { return reply{After: 10 * ms} })
	ill := func(int, time.Duration) reply { return reply{After: 10 * ms, Outcome: resilience.Ambiguous} }
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		b.Node(id, well)
	}
	b.Node("a", well.Until(2*time.Second, resiliencetest.Script(ill).Until(5*time.Second, well)))
	c, err := b.Client(config{Service: "s", Settings: active})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Shadow(&candidate); err != nil {
		t.Fatal(err)
	}
	b.Run(func() {
		for range 6000 {
			b.Sleep(2 * ms)
			b.Go(func() { _ = c.Do(context.Background(), hint, b.Op) })
		}
	})
	return b, c
}

// told is what happened to nodes, each with the time: "ejected a" at 2.1 s.
func changes(b *resiliencetest.Bench, kind resilience.EventKind) (what []string, at []time.Duration) {
	start := b.Clock().Now().Add(-b.Elapsed())
	for _, e := range b.Events(kind) {
		if c := e.Change; c != nil && c.Node != nil && (c.Kind == selector.Ejected || c.Kind == selector.Readmitted) {
			what, at = append(what, fmt.Sprintf("%v %s", c.Kind, c.Node.ID)), append(at, c.At.Sub(start))
		}
	}
	return what, at
}

// A candidate says which node it would have ejected, when, why and for how
// long, where the settings in force eject nobody; and nothing is done to it.
func TestShadow(t *testing.T) {
	t.Parallel()
	b, c := shadowed(t, sets{Ejection: resilience.EjectionSettings{Off: true}}, sets{}, resilience.Safe("m"))
	if done, _ := changes(b, resilience.NodeEvent); len(done) != 0 {
		t.Errorf("in force: %v", done)
	}
	would, at := changes(b, resilience.CandidateEvent)
	if strings.Join(would, ", ") != "ejected a, readmitted a" {
		t.Fatalf("would have: %v", would)
	}
	if at[0] < 2*time.Second || at[0] > 2500*ms || at[1] < 5*time.Second || at[1] > 12*time.Second {
		t.Errorf("would have %v at %v", would, at)
	}
	for _, e := range b.Events(resilience.CandidateEvent) {
		if e.Service != "s" || e.At.IsZero() {
			t.Errorf("%+v", e)
		}
		if e.Change.Kind == selector.Ejected && (e.Change.OpenFor <= 0 || e.Change.Reason.Failures == 0) {
			t.Errorf("%+v: want how long, and why", e.Change)
		}
	}
	if n := b.Attempts("a"); n < 1000 {
		t.Errorf("%d attempts at a: its calls were held back", n)
	}
	for _, s := range c.Candidate().Selector.Nodes() {
		if s.InFlight != 0 || s.Ejected {
			t.Errorf("at the end %s: %+v", s.Node, s)
		}
	}
}

// A candidate that is what is in force does what that does, to the attempt.
func TestShadowOfTheSame(t *testing.T) {
	t.Parallel()
	for name, hint := range map[string]resilience.Hint{"safe": resilience.Safe("m"), "unsafe": resilience.Unsafe("m")} {
		b, _ := shadowed(t, sets{}, sets{}, hint)
		did, at := changes(b, resilience.NodeEvent)
		would, wouldAt := changes(b, resilience.CandidateEvent)
		if len(did) < 2 || strings.HasPrefix(did[0], "re") || len(would) < 2 || would[0] != did[0] || at[0] != wouldAt[0] || would[len(would)-1] != "readmitted a" {
			t.Errorf("%s: in force %v at %v, would have %v at %v", name, did, at, would, wouldAt)
		}
	}
}

// A hang is seen by its silence here too, and by the timeouts of attempts that
// are not cut.
func TestShadowHang(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		hint      resilience.Hint
		candidate resilience.EjectionSettings
		want      []selector.Kind
	}{
		"silence":  {resilience.Safe("m"), resilience.EjectionSettings{}, []selector.Kind{selector.Suspected, selector.Ejected}},
		"timeouts": {resilience.Unsafe("m"), resilience.EjectionSettings{IgnoreSilence: true}, []selector.Kind{selector.Ejected}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := resiliencetest.New(3)
			for _, id := range []string{"a", "b", "c"} {
				b.Node(id, func(_ int, at time.Duration) reply {
					return reply{After: 10 * ms, Hang: id == "a" && at > 2*time.Second}
				})
			}
			c, err := b.Client(config{Settings: sets{Strategy: "round-robin", AttemptTimeout: 300 * ms, Ejection: resilience.EjectionSettings{Off: true}}})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Shadow(&sets{Ejection: tt.candidate}); err != nil {
				t.Fatal(err)
			}
			b.Run(func() {
				for range 1200 {
					b.Sleep(5 * ms)
					b.Go(func() {
						ctx, cancel := b.WithTimeout(context.Background(), 2*time.Second)
						defer cancel()
						_ = c.Do(ctx, tt.hint, b.Op)
					})
				}
			})
			var got []selector.Kind
			start := b.Clock().Now().Add(-b.Elapsed())
			for _, e := range b.Events(resilience.CandidateEvent) {
				if e.Change.Kind != selector.ProbeFailed {
					got = append(got, e.Change.Kind)
				}
				if at := e.At.Sub(start); e.Change.Kind == selector.Ejected && at > 3500*ms { // not as late as the callers give up
					t.Errorf("it would have been ejected at %v", at)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("would have %v, want %v", got, tt.want)
			}
			if d := b.Events(resilience.NodeEvent); len(d) > 1 { // the nodes became known
				t.Errorf("in force: %d events", len(d))
			}
		})
	}
}

// Where calls are few, silence is seen by those that wait, and not by those
// that come: a candidate that is what is in force sees it then,
// or at the next look, half a second later: the call by which it was seen has
// gone elsewhere.
func TestShadowOfTheSameHang(t *testing.T) {
	t.Parallel()
	b := resiliencetest.New(3)
	for _, id := range []string{"a", "b", "c"} {
		b.Node(id, func(_ int, at time.Duration) reply {
			return reply{After: 10 * ms, Hang: id == "a" && at > 2*time.Second}
		})
	}
	c, err := b.Client(config{Settings: sets{Strategy: "round-robin"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Shadow(&sets{}); err != nil {
		t.Fatal(err)
	}
	b.Run(func() {
		for range 150 {
			b.Sleep(30 * ms)
			b.Go(func() {
				ctx, cancel := b.WithTimeout(context.Background(), 3*time.Second)
				defer cancel()
				_ = c.Do(ctx, resilience.Safe("m"), b.Op)
			})
		}
	})
	first := func(kind resilience.EventKind) time.Time {
		for _, e := range b.Events(kind) {
			if e.Change.Kind == selector.Suspected {
				return e.At
			}
		}
		return time.Time{}
	}
	if did, would := first(resilience.NodeEvent), first(resilience.CandidateEvent); did.IsZero() || would.Before(did) || would.Sub(did) > 600*ms {
		t.Errorf("suspected at %v, would have been at %v", did, would)
	}
}

// A candidate's service breaker turns nobody away, and counts whom it would
// have.
func TestShadowServiceBreaker(t *testing.T) {
	t.Parallel()
	b := resiliencetest.New(1)
	b.Node("a", func(int, time.Duration) reply { return reply{Outcome: resilience.Ambiguous} })
	c, err := b.Client(config{Service: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Shadow(&sets{ServiceBreaker: &resilience.RuleSettings{Rule: "consecutive", N: 3}}); err != nil {
		t.Fatal(err)
	}
	b.Run(func() {
		for range 50 {
			if err := c.Do(context.Background(), resilience.Unsafe("m"), b.Op); errors.Is(err, breaker.ErrOpen) {
				t.Error(err)
			}
			b.Sleep(ms)
		}
	})
	if n := b.Attempts("a"); n != 50 {
		t.Errorf("%d attempts, want all 50", n)
	}
	events := b.Events(resilience.CandidateEvent)
	if len(events) != 1 || events[0].Breaker == nil || events[0].Breaker.To != breaker.Open || !events[0].Breaker.Shadow {
		t.Errorf("%+v", events)
	}
	sn := c.Candidate().ServiceBreaker.(breaker.Inspector).Snapshot()
	if sn.State != breaker.Open || sn.WouldReject != 47 {
		t.Errorf("%+v", sn)
	}
	if c.ServiceBreaker() != nil {
		t.Error("it is in force")
	}
}

// Wrong settings are refused as a whole; a candidate takes the place of the one
// before, survives an update, follows the nodes, and ends.
func TestShadowComesAndGoes(t *testing.T) {
	t.Parallel()
	b := resiliencetest.New(1)
	b.SetNodes(selector.Node{ID: "a"}, selector.Node{ID: "b"})
	c, err := b.Client(config{Nodes: b.Source()})
	if err != nil {
		t.Fatal(err)
	}
	var field *resilience.FieldError
	if err := c.Shadow(&sets{Attempts: -1, Bulkhead: -1}); !errors.As(err, &field) || !strings.Contains(err.Error(), "candidate: bulkhead -1") || c.Candidate() != nil {
		t.Errorf("%v", err)
	}
	if err := c.Shadow(nil); err != nil {
		t.Error(err)
	}
	if err := c.Shadow(&sets{Attempts: 2}); err != nil {
		t.Fatal(err)
	}
	first := c.Candidate()
	call := func() {
		b.Run(func() {
			for range 20 {
				_ = c.Do(context.Background(), resilience.Safe("m"), b.Op)
			}
		})
	}
	picks := func(x *resilience.Candidate) (sum uint64) {
		for _, s := range x.Selector.Nodes() {
			sum += s.Picks
		}
		return sum
	}
	call()
	if err := c.Update(sets{Attempts: 4}); err != nil {
		t.Fatal(err)
	}
	call()
	if n := picks(first); n != 40 || c.Candidate() != first || first.Settings.Attempts != 2 || c.Settings().Attempts != 4 {
		t.Errorf("%d picks, %+v", n, c.Candidate())
	}
	b.SetNodes(selector.Node{ID: "a"}, selector.Node{ID: "b"}, selector.Node{ID: "z"})
	if n := len(first.Selector.Nodes()); n != 3 {
		t.Errorf("%d nodes, want the new one too", n)
	}
	if err := c.Shadow(&sets{Attempts: 3}); err != nil {
		t.Fatal(err)
	}
	call()
	if n, m := picks(c.Candidate()), len(first.Selector.Nodes()); n != 20 || m != 0 {
		t.Errorf("the second has %d picks, the first %d nodes", n, m)
	}
	if err := c.Shadow(nil); err != nil || c.Candidate() != nil {
		t.Error(err)
	}
	call()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Shadow(&sets{}); !errors.Is(err, selector.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A call costs no allocation while a candidate runs.
func TestShadowAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector sync.Pool drops what it is given")
	}
	c := realClient(t, config{Nodes: nodes(100)})
	if err := c.Shadow(&sets{}); err != nil {
		t.Fatal(err)
	}
	op := func(context.Context, *selector.Node) error { return nil }
	call := func() { _ = c.Do(context.Background(), resilience.Safe("m"), op) }
	for range 1000 {
		call()
	}
	if n := testing.AllocsPerRun(1000, call); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}

// BenchmarkShadow is what a candidate costs a healthy call.
func BenchmarkShadow(b *testing.B) {
	for _, on := range []bool{false, true} {
		b.Run(fmt.Sprintf("candidate=%v/nodes=100", on), func(b *testing.B) {
			c := realClient(b, config{Nodes: nodes(100)})
			if on {
				if err := c.Shadow(&sets{}); err != nil {
					b.Fatal(err)
				}
			}
			op := func(context.Context, *selector.Node) error { return nil }
			b.ReportAllocs()
			for b.Loop() {
				_ = c.Do(context.Background(), resilience.Safe("m"), op)
			}
		})
	}
}
