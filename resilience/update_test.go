package resilience_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// TestUpdate: new settings count for the calls that begin after it; what is
// known of the nodes, and what is saved up, stays.
func TestUpdate(t *testing.T) {
	t.Parallel()
	b := newBench(forever(reply{After: 10 * ms, Outcome: resilience.NotSent}), nil, nil)
	settings := sets{Strategy: "round-robin", Attempts: 2, Backoff: noPause, Budget: resilience.BudgetSettings{Floor: 1}}
	client := newClient(t, b, config{Settings: settings})
	var during error
	b.Run(func() {
		b.Go(func() {
			during = client.Do(context.Background(), resilience.Safe("m"), func(context.Context, *selector.Node) error {
				b.Sleep(time.Second)
				return resilience.Mark(errOp, resilience.NotSent)
			})
		})
		b.Sleep(500 * ms)
		if err := client.Selector().Eject("b", "for the test"); err != nil {
			t.Error(err)
		}
		tokens, _ := client.Budget().Balance(b.Clock().Now())
		settings.Attempts = 5
		settings.Methods = map[string]resilience.MethodSettings{"once": {Attempts: 1}}
		if err := client.Update(settings); err != nil {
			t.Error(err)
		}
		if after, _ := client.Budget().Balance(b.Clock().Now()); after != tokens {
			t.Errorf("the budget went from %v to %v", tokens, after)
		}
		settings.Methods["once"] = resilience.MethodSettings{Attempts: 9} // ours again, not the client's
		for method, want := range map[string]int{"m": 5, "once": 1} {
			err := client.Do(context.Background(), resilience.Safe(method), func(context.Context, *selector.Node) error {
				return resilience.Mark(errOp, resilience.Refused)
			})
			if e := callError(t, err); len(e.Attempts) != want {
				t.Errorf("%s: %d attempts, want %d", method, len(e.Attempts), want)
			}
		}
	})
	if e := callError(t, during); len(e.Attempts) != 2 {
		t.Errorf("a call that was under way made %d attempts, want 2 by its own settings", len(e.Attempts))
	}
	for _, s := range client.Selector().Nodes() {
		if s.Ejected != (s.Node.ID == "b") || s.Picks == 0 && s.Node.ID != "b" {
			t.Errorf("node %s is forgotten: %+v", s.Node.ID, s)
		}
	}
	if err := client.Update(sets{Attempts: -1}); err == nil || client.Settings().Attempts != 5 {
		t.Errorf("%v, attempts %d; want an error and the old settings", err, client.Settings().Attempts)
	}
}

// TestUpdateReachesAll: the selector and the budget get their parts.
func TestUpdateReachesAll(t *testing.T) {
	t.Parallel()
	b := newBench(forever(fails(resilience.Ambiguous)), nil, nil)
	settings := sets{Attempts: 1, Strategy: "random", Budget: resilience.BudgetSettings{Share: 1e-9, Floor: -1}}
	settings.Ejection.Off = true
	client := newClient(t, b, config{Settings: settings})
	traffic := func() (ejected bool) {
		b.Run(func() {
			for range 200 {
				_ = client.Do(context.Background(), resilience.Safe("m"), b.Op)
				b.Sleep(20 * ms)
			}
		})
		return client.Selector().Nodes()[0].Ejected
	}
	if traffic() {
		t.Error("ejected, with ejection off")
	}
	if _, most := client.Budget().Balance(b.Clock().Now()); most > 2 {
		t.Errorf("the budget saves %v", most)
	}
	settings.Ejection.Off = false
	settings.Budget = resilience.BudgetSettings{Floor: 7}
	if err := client.Update(settings); err != nil {
		t.Fatal(err)
	}
	if !traffic() {
		t.Error("not ejected, with ejection on")
	}
	if _, most := client.Budget().Balance(b.Clock().Now()); most < 70 {
		t.Errorf("the budget saves %v, want 70 of the floor at least", most)
	}
}

// TestSettingsAreACopy: what Settings returns can be changed and handed back.
func TestSettingsAreACopy(t *testing.T) {
	t.Parallel()
	mine := sets{ServiceBreaker: &resilience.RuleSettings{Rule: "count"}, Methods: map[string]resilience.MethodSettings{"a": {Attempts: 2}}}
	client, err := resilience.New(config{Settings: mine})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	mine.Methods["a"] = resilience.MethodSettings{Attempts: 3}
	mine.ServiceBreaker.Rule = "rate"
	got := client.Settings()
	got.Methods["a"] = resilience.MethodSettings{Attempts: 4}
	got.ServiceBreaker.Rule = "consecutive"
	if s := client.Settings(); s.Methods["a"].Attempts != 2 || s.ServiceBreaker.Rule != "count" {
		t.Errorf("changed from outside: %+v, %+v", s.Methods, s.ServiceBreaker)
	}
	if err := client.Update(got); err != nil {
		t.Fatal(err)
	}
	if s := client.Settings(); s.Methods["a"].Attempts != 4 || s.ServiceBreaker.Rule != "consecutive" {
		t.Errorf("not taken over: %+v, %+v", s.Methods, s.ServiceBreaker)
	}
}

// TestUpdateUnderLoad is for the race detector: calls, updates, a changing set
// of nodes and readers, all at once; what must add up does.
func TestUpdateUnderLoad(t *testing.T) {
	t.Parallel()
	source := &changing{}
	var told atomic.Int64
	client, err := resilience.New(config{
		Service: "s", Nodes: source, Clock: new(clock.Real),
		Observer: resilience.ObserverFunc(func(e resilience.Event) {
			if e.Kind == resilience.CallDone {
				told.Add(1)
			}
		}),
		Settings: sets{Backoff: noPause},
	})
	if err != nil {
		t.Fatal(err)
	}
	const callers, calls = 6, 400
	var wg sync.WaitGroup
	var refused atomic.Int64
	for caller := range callers {
		rng := rand.New(rand.NewPCG(uint64(caller), 8))
		wg.Go(func() {
			for range calls {
				fate := rng.IntN(10)
				err := client.Do(t.Context(), resilience.Safe("m"), func(context.Context, *selector.Node) error {
					switch fate {
					case 0:
						return resilience.Mark(errOp, resilience.NotSent)
					case 1:
						return errOp
					}
					return nil
				})
				switch {
				case err == nil:
				case errors.Is(err, errOp), errors.Is(err, resilience.ErrBulkheadFull):
					refused.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 100 {
			s := client.Settings()
			s.Attempts, s.Bulkhead = 1+i%4, (i%3)*100
			s.Strategy = []string{"two-choices", "random", "round-robin"}[i%3]
			s.Budget.Share = float64(i%5) / 10
			if s.Methods == nil {
				s.Methods = map[string]resilience.MethodSettings{}
			}
			s.Methods["m"] = resilience.MethodSettings{Attempts: 1 + i%3}
			if err := client.Update(s); err != nil {
				t.Error(err)
			}
			source.set(i % 4)
			_ = client.Selector().Nodes()
			_, _ = client.Budget().Balance(time.Now())
		}
	})
	wg.Wait()
	if told.Load() != callers*calls {
		t.Errorf("%d calls were told of, want %d", told.Load(), callers*calls)
	}
	if refused.Load() == 0 {
		t.Error("nothing failed")
	}
	idle(t, client)
	if err := client.Close(); err != nil {
		t.Error(err)
	}
}

// changing is a source with a few sets.
type changing struct{ report func([]selector.Node, error) }

func (c *changing) Watch(report func([]selector.Node, error)) error {
	c.report = report
	c.set(0)
	return nil
}

func (c *changing) set(i int) {
	sets := [][]selector.Node{{{ID: "a"}, {ID: "b"}}, {{ID: "a"}}, {{ID: "b"}, {ID: "c"}, {ID: "d"}}, {{ID: "d"}, {ID: "a", Addr: "moved"}}}
	c.report(sets[i], nil)
}

func (*changing) Close() error { return nil }

// TestClose: calls that begin after it fail, with an error that says so; those
// under way end as they would; a second Close does nothing.
func TestClose(t *testing.T) {
	t.Parallel()
	b := newBench(forever(reply{After: time.Second}))
	client := newClient(t, b, config{})
	var during, after error
	b.Run(func() {
		b.Go(func() { during = client.Do(context.Background(), resilience.Safe("m"), b.Op) })
		b.Sleep(500 * ms)
		for range 2 {
			if err := client.Close(); err != nil {
				t.Error(err)
			}
		}
		after = client.Do(context.Background(), resilience.Safe("m"), b.Op)
	})
	if during != nil {
		t.Errorf("under way: %v", during)
	}
	if e := callError(t, after); !errors.Is(e, selector.ErrClosed) || len(e.Attempts) != 1 || e.Ambiguous() {
		t.Errorf("afterwards: %v", e)
	}
	if b.Attempts("a") != 1 {
		t.Errorf("%d attempts, want 1", b.Attempts("a"))
	}
}

// TestUpdateWhileOthersLook is for the race detector: a client may be updated
// while others ask for its clock and close it.
func TestUpdateWhileOthersLook(t *testing.T) {
	t.Parallel()
	for range 50 {
		client, err := resilience.New(config{Observer: resilience.ObserverFunc(func(resilience.Event) {})})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := client.Update(sets{Attempts: 2}); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if client.Clock() == nil {
				t.Error("no clock")
			}
		})
		wg.Go(func() {
			if err := client.Close(); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
	}
}
