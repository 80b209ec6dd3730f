package gobreaker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	sony "github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/breaker/gobreaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// The three uses, through resilience.Client.Do, on the real clock in a bubble.

var errDown = errors.New("down")

// world is nodes that are down or not, and what was called.
type world struct {
	t      *testing.T
	client *resilience.Client
	down   map[string]bool
	calls  map[string]int
	nodes  []string // events of nodes
}

func newWorld(t *testing.T, cfg resilience.Config) *world {
	t.Helper()
	w := &world{t: t, down: map[string]bool{}, calls: map[string]int{}}
	cfg.Service = "users"
	cfg.OnNode = func(e selector.Event) {
		if e.Node != nil {
			w.nodes = append(w.nodes, fmt.Sprintf("%s %v by %v", e.Node.Addr, e.Kind, e.Reason.Cause))
		}
	}
	client, err := resilience.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.client = client
	return w
}

func (w *world) op(_ context.Context, n *selector.Node) error {
	w.calls[n.Addr]++
	if w.down[n.Addr] {
		return errDown
	}
	return nil
}

func (w *world) call(hint resilience.Hint) error {
	return w.client.Do(context.Background(), hint, w.op)
}

// run makes n calls that must succeed, ten milliseconds apart, and returns how
// many attempts each node got.
//
//nolint:forbidigo // synctest bubble
func (w *world) run(n int) map[string]int {
	w.t.Helper()
	clear(w.calls)
	for range n {
		if err := w.call(resilience.Safe("get")); err != nil {
			w.t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return w.calls
}

func engine(t *testing.T, st sony.Settings) *gobreaker.Engine {
	t.Helper()
	e, err := gobreaker.NewEngine(gobreaker.Config{Settings: st})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var quick = resilience.BackoffSettings{Initial: -1}

// Per node, by gobreaker's own rule: the ejector is off.
//
//nolint:forbidigo // synctest bubble
func TestPerNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard []string
		e := engine(t, sony.Settings{Name: "users", MaxRequests: 2, Timeout: time.Second, OnStateChange: func(name string, from, to sony.State) {
			heard = append(heard, fmt.Sprintf("%s %v %v", name, from, to))
		}})
		w := newWorld(t, resilience.Config{
			Nodes: selector.Addrs("a", "b", "c"), Engine: e,
			Settings: resilience.Settings{Backoff: quick, Ejection: resilience.EjectionSettings{Off: true}},
		})
		defer func() { _ = w.client.Close() }()
		w.run(50)
		w.down["a"] = true
		if got := w.run(80); got["a"] != 6 {
			t.Errorf("%d attempts at a, want the 6 that open its breaker", got["a"])
		}
		time.Sleep(time.Second)
		if got := w.run(10); got["a"] != 1 {
			t.Errorf("%d attempts at a, want one probe", got["a"])
		}
		w.down["a"] = false
		time.Sleep(time.Second)
		w.run(10)
		time.Sleep(20 * time.Second) // the slow start
		if got := w.run(300); got["a"] < 50 {
			t.Errorf("%d attempts at a, want its share", got["a"])
		}
		if want := []string{
			"users/a closed open", "users/a open half-open", "users/a half-open open", "users/a open half-open", "users/a half-open closed",
		}; !slices.Equal(heard, want) {
			t.Errorf("OnStateChange heard %q, want %q", heard, want)
		}
		if want := []string{"a ejected by engine", "a probe failed by probe", "a readmitted by probe"}; !slices.Equal(w.nodes, want) {
			t.Errorf("the selector said %q, want %q", w.nodes, want)
		}
	})
}

// With the ejector on, it trips the breakers of nodes that do worse than the
// others, which failures in a row do not see.
func TestPerNodeWithTheEjector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, resilience.Config{
			Nodes: selector.Addrs("a", "b", "c"), Engine: engine(t, sony.Settings{Timeout: time.Second}),
			Settings: resilience.Settings{Backoff: quick, Budget: resilience.BudgetSettings{Share: 1}},
		})
		defer func() { _ = w.client.Close() }()
		w.run(50)
		for i := range 600 { // every second call of a fails
			w.down["a"] = i%2 == 0 && !slices.Contains(w.nodes, "a ejected by ejector")
			w.run(1)
		}
		if want := []string{"a ejected by ejector", "a readmitted by probe"}; !slices.Equal(w.nodes, want) {
			t.Errorf("the selector said %q, want %q", w.nodes, want)
		}
		if err := w.client.Selector().Eject("b", "by hand"); err != nil {
			t.Error(err)
		}
		if got := w.run(50); got["b"] > 0 {
			t.Errorf("%d attempts at a node that was ejected by hand", got["b"])
		}
		if err := w.client.Selector().Readmit("b", "by hand"); err != nil {
			t.Error(err)
		}
	})
}

// A probe that hangs and one that panics wedge nothing.
//
//nolint:forbidigo // synctest bubble
func TestPerNodeLostProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, resilience.Config{
			Nodes: selector.Addrs("a", "b"), Engine: engine(t, sony.Settings{Timeout: time.Second}),
			Settings: resilience.Settings{Backoff: quick, Ejection: resilience.EjectionSettings{Off: true}},
		})
		defer func() { _ = w.client.Close() }()
		w.down["a"] = true
		w.run(40)
		w.down["a"] = false
		time.Sleep(time.Second)
		hang := make(chan struct{})
		probes := 0
		probe := func(_ context.Context, n *selector.Node) error {
			if n.Addr == "a" {
				if probes++; probes == 1 {
					panic("op")
				}
				<-hang
			}
			return nil
		}
		for range 20 {
			go func() {
				defer func() { _ = recover() }()
				_ = w.client.Do(context.Background(), resilience.Safe("get"), probe)
			}()
			time.Sleep(200 * time.Millisecond)
		}
		if probes != 2 {
			t.Errorf("%d probes, want one that panicked and one that hangs", probes)
		}
		time.Sleep(10 * time.Second)
		w.run(20)
		if want := []string{"a ejected by engine", "a readmitted by probe"}; !slices.Equal(w.nodes, want) {
			t.Errorf("the selector said %q, want %q", w.nodes, want)
		}
		close(hang)
	})
}

// As service breaker, above the retries.
//
//nolint:forbidigo // synctest bubble
func TestServiceBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, resilience.Config{
			Nodes: selector.Addrs("a", "b"), ServiceEngine: engine(t, sony.Settings{Timeout: time.Second}),
			Settings: resilience.Settings{Backoff: quick, Attempts: 2},
		})
		defer func() { _ = w.client.Close() }()
		w.down["a"], w.down["b"] = true, true
		for range 6 {
			if err := w.call(resilience.Safe("get")); !errors.Is(err, errDown) {
				t.Fatalf("got %v, want the op's error", err)
			}
		}
		clear(w.calls)
		err := w.call(resilience.Safe("get"))
		var open *breaker.OpenError
		if !errors.Is(err, breaker.ErrOpen) || !errors.As(err, &open) || open.RetryAfter != time.Second+1 || len(w.calls) != 0 {
			t.Errorf("got %v (%+v) and attempts %v, want a rejection for a second", err, open, w.calls)
		}
		if got := w.client.ServiceBreaker().State(); got != breaker.Open {
			t.Errorf("the service breaker is %v", got)
		}
		time.Sleep(open.RetryAfter)
		w.down["a"], w.down["b"] = false, false
		w.run(10)
		if got := w.client.ServiceBreaker().State(); got != breaker.Closed {
			t.Errorf("the service breaker is %v after a probe that succeeded", got)
		}
	})
}

// In a Group, one for each method, of which it holds two.
//
//nolint:forbidigo // synctest bubble
func TestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		group, err := breaker.NewGroup(breaker.GroupConfig{Engine: engine(t, sony.Settings{Timeout: time.Second}), Max: 2})
		if err != nil {
			t.Fatal(err)
		}
		perMethod := resilience.Break(func(c *resilience.Call) breaker.Breaker { return group.Get(c.Method) }, nil)
		w := newWorld(t, resilience.Config{
			Nodes: selector.Addrs("a", "b"), Wrap: []resilience.Wrapper{perMethod},
			Settings: resilience.Settings{Backoff: quick, Attempts: 2},
		})
		defer func() { _ = w.client.Close() }()
		w.down["a"], w.down["b"] = true, true
		for range 6 {
			_ = w.call(resilience.Unsafe("pay"))
		}
		w.down["a"], w.down["b"] = false, false
		if err := w.call(resilience.Unsafe("pay")); !errors.Is(err, breaker.ErrOpen) {
			t.Errorf("got %v, want pay rejected", err)
		}
		for range 100 { // other keys come and go: the idle ones are evicted
			for i := range 5 {
				if err := w.call(resilience.Unsafe(fmt.Sprint("list", i))); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.call(resilience.Unsafe("pay")); !errors.Is(err, breaker.ErrOpen) || group.Len() != 2 {
			t.Errorf("got %v of %d breakers, want pay still rejected", err, group.Len())
		}
		time.Sleep(time.Second + 1)
		if err := w.call(resilience.Unsafe("pay")); err != nil {
			t.Error(err)
		}
	})
}

// What IsSuccessful and IsExcluded of the settings say of an error reaches the
// breaker by way of Classify.
func TestJudgeInAClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		missing := errors.New("no such row")
		st := sony.Settings{IsSuccessful: func(err error) bool { return err == nil || errors.Is(err, missing) }}
		judge := gobreaker.Judge(st)
		w := newWorld(t, resilience.Config{
			Nodes: selector.Addrs("a", "b"), Engine: engine(t, st),
			Settings: resilience.Settings{Backoff: quick, Attempts: 1, Ejection: resilience.EjectionSettings{Off: true}},
			Classify: func(ctx context.Context, err error) resilience.Outcome {
				o := resilience.Classify(ctx, err)
				o.Node = judge(err)
				return o
			},
		})
		defer func() { _ = w.client.Close() }()
		for range 100 {
			err := w.client.Do(context.Background(), resilience.Safe("get"), func(context.Context, *selector.Node) error { return missing })
			if !errors.Is(err, missing) {
				t.Fatal(err)
			}
		}
		if len(w.nodes) > 0 {
			t.Errorf("the selector said %q, want nothing: the nodes are well", w.nodes)
		}
		for range 40 {
			_ = w.client.Do(context.Background(), resilience.Safe("get"), func(context.Context, *selector.Node) error { return errDown })
		}
		if len(w.nodes) != 2 {
			t.Errorf("the selector said %q, want both ejected", w.nodes)
		}
	})
}
