package microwrap_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go-micro.dev/v5/client"
	merrors "go-micro.dev/v5/errors"
	"go-micro.dev/v5/registry"
	mselector "go-micro.dev/v5/selector"
	"go-micro.dev/v5/transport"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/microwrap"
)

func three() *registry.Service { return listed("a", "b", "c") }

// tell marks each call's node by what fails says of it, and returns how often
// each was chosen.
func tell(t *testing.T, s *microwrap.Selector, n int, fails func(id string) error, opts ...mselector.SelectOption) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for range n {
		next, err := s.Select(service, opts...)
		if err != nil {
			t.Fatal(err)
		}
		node, err := next()
		if err != nil {
			t.Fatal(err)
		}
		counts[node.Id]++
		<-time.After(time.Millisecond) // in a bubble
		s.Mark(service, node, fails(node.Id))
	}
	return counts
}

// noBurst counts each failure, however close together, and goes to all nodes,
// however long they take.
func noBurst() selector.Config {
	return selector.Config{Strategy: &selector.RoundRobin{}, Ejection: selector.Ejection{Burst: -1}}
}

func out(s *microwrap.Selector) (ids []string) {
	for _, n := range s.Nodes(service).Nodes() {
		if n.Ejected {
			ids = append(ids, n.Node.ID)
		}
	}
	return ids
}

// A node that fails is left out, whatever way it is chosen; one that says no to
// what callers ask is not, nor is one where all others do as badly.
func TestMark(t *testing.T) {
	broken := merrors.InternalServerError("hello", "broken")
	refused := merrors.InternalServerError("go.micro.client", "connection error: dial tcp: refused")
	business := merrors.NotFound("hello", "nobody")
	only := func(bad string, err error) func(string) error {
		return func(id string) error {
			if id == bad {
				return err
			}
			return nil
		}
	}
	for name, tt := range map[string]struct {
		fails func(string) error
		opts  []mselector.SelectOption
		out   []string
	}{
		"well":           {fails: only("", nil)},
		"broken":         {fails: only("b", broken), out: []string{"b"}},
		"not reached":    {fails: only("b", refused), out: []string{"b"}},
		"without a code": {fails: only("b", errors.New("broken")), out: []string{"b"}},
		"evidence":       {fails: only("b", resilience.Mark(refused, resilience.NotSent)), out: []string{"b"}},
		"says no":        {fails: only("b", business)},
		"all":            {fails: func(string) error { return broken }},
		"by strategy":    {fails: only("b", broken), opts: []mselector.SelectOption{mselector.WithStrategy(mselector.RoundRobin)}, out: []string{"b"}},
		"by filter":      {fails: only("b", broken), opts: []mselector.SelectOption{mselector.WithFilter(mselector.FilterVersion("1"))}, out: []string{"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSelector(t, microwrap.SelectorConfig{Nodes: noBurst()}, three())
				tell(t, s, 200, tt.fails, tt.opts...)
				if got := out(s); !slices.Equal(got, tt.out) {
					t.Fatalf("out: %v, want %v", got, tt.out)
				}
				counts := tell(t, s, 200, tt.fails, tt.opts...)
				for _, id := range []string{"a", "b", "c"} {
					if left := slices.Contains(tt.out, id); left && counts[id] > 5 || !left && counts[id] < 20 {
						t.Errorf("then chosen %v", counts)
					}
				}
				s.Reset(service)
				if counts := tell(t, s, 100, func(string) error { return nil }, tt.opts...); len(counts) != 3 || len(out(s)) > 0 {
					t.Errorf("after Reset: %v", counts)
				}
			})
		})
	}
}

// One call does not return to a node while there is another.
func TestNextAvoidsTried(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]mselector.SelectOption{
		"": nil, "strategy": {mselector.WithStrategy(mselector.Random)}, "filter": {mselector.WithFilter(mselector.FilterVersion("1"))},
	} {
		s := newSelector(t, microwrap.SelectorConfig{}, three())
		for range 50 {
			next, err := s.Select(service, opts...)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{}
			for range 3 {
				node, err := next()
				if err != nil {
					t.Fatal(err)
				}
				seen[node.Id] = true
				s.Mark(service, node, nil)
			}
			if len(seen) != 3 {
				t.Fatalf("%s: three attempts at %v", name, seen)
			}
			if node, err := next(); err != nil || node == nil { // there is always one more
				t.Error(err)
			}
		}
	}
}

// Where all that a filter leaves are out, the call goes to one of them.
func TestFilteredOut(t *testing.T) {
	synctest.Test(t, filteredOut)
}

func filteredOut(t *testing.T) {
	other := listed("x", "y", "z")
	other.Version = "2"
	s := newSelector(t, microwrap.SelectorConfig{Nodes: noBurst()}, listed("a"), other)
	tell(t, s, 300, func(id string) error {
		if id == "a" {
			return errDown
		}
		return nil
	})
	if got := out(s); !slices.Equal(got, []string{"a"}) {
		t.Fatal(got)
	}
	if counts := tell(t, s, 20, func(string) error { return nil }, mselector.WithFilter(mselector.FilterVersion("1"))); counts["a"] != 20 {
		t.Error(counts)
	}
}

// A node that nobody marks is given back when it is garbage: memory and load
// stay bounded.
func TestNeverMarked(t *testing.T) {
	s := newSelector(t, microwrap.SelectorConfig{}, three())
	for range 1000 {
		next, err := s.Select(service)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := next(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "nothing is in flight", func() bool {
		runtime.GC()
		busy := 0
		for _, n := range s.Nodes(service).Nodes() {
			busy += n.InFlight
		}
		return busy == 0
	})
}

func TestSelectorMisused(t *testing.T) {
	t.Parallel()
	_, err := microwrap.NewSelector(microwrap.SelectorConfig{Nodes: selector.Config{
		Source: selector.Addrs("a"), Ejection: selector.Ejection{MaxShare: 7},
	}})
	for _, want := range []string{"microwrap: nodes.source", "microwrap: nodes: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	d := new(directory)
	s := newSelector(t, microwrap.SelectorConfig{Registry: d})
	if _, err := s.Select(service); !errors.Is(err, mselector.ErrNotFound) {
		t.Error(err)
	}
	d.set(&registry.Service{Name: service})
	if _, err := s.Select(service); !errors.Is(err, mselector.ErrNoneAvailable) {
		t.Error(err)
	}
	d.fail(errDown)
	if _, err := s.Select(service); !errors.Is(err, errDown) {
		t.Error(err)
	}
	d.set(three())
	s.Mark(service, nil, errDown)
	s.Mark(service, &registry.Node{Id: "a"}, errDown) // not ours
	if len(picks(t, s, service, 100)) != 3 {
		t.Error("a node is missing")
	}
	other := new(directory)
	other.set(listed("z"))
	if err := s.Init(mselector.Registry(other)); err != nil || s.Options().Registry != registry.Registry(other) || s.String() == "" {
		t.Error(err)
	}
	if counts := picks(t, s, service, 10); counts["z"] != 10 {
		t.Errorf("another registry: %v", counts)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Select(service); !errors.Is(err, selector.ErrClosed) {
		t.Error(err)
	}
}

// go-micro's own loop on our parts, one of two nodes dead: no call fails that
// was not under way, nothing is carried out twice, the dead node is left out.
func TestParts(t *testing.T) {
	f := start(t, 2)
	tr := microwrap.NewTransport(transport.NewHTTPTransport(transport.Logger(silent)))
	s := newSelector(t, microwrap.SelectorConfig{Registry: f.reg, Nodes: noBurst()})
	r, err := microwrap.NewRetries(microwrap.RetriesConfig{
		Methods: map[string]retry.Idempotency{"Hello.Greet": retry.Safe}, Selector: s, Budget: retry.BudgetConfig{Share: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := bare(f.reg, client.Transport(tr), client.WrapCall(tr.WrapCall), client.Selector(s), client.Retries(2), client.Retry(r.Retry), client.Backoff(r.Backoff))
	for i := range 20 {
		if _, err := call(t, c, "Hello.Register", Request{ID: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	f.nodes[1].Kill()
	doubts := 0 // a request on a connection whose end the kernel has not told yet
	for i := range 100 {
		_, err := call(t, c, "Hello.Register", Request{ID: fmt.Sprint(20 + i)})
		if err != nil && resilience.Classify(t.Context(), err).Effect != retry.Possible {
			t.Fatal(err)
		}
		if err != nil {
			doubts++
		}
	}
	if doubts > 1 {
		t.Errorf("%d calls in doubt, with one connection", doubts)
	}
	if got := out(s); !slices.Equal(got, []string{"hello-2"}) {
		t.Errorf("out: %v", got)
	}
	// What may have been carried out is not repeated.
	_, err = call(t, c, "Hello.Register", Request{ID: "doubt", Text: "down"})
	if o := resilience.Classify(t.Context(), err); o.Effect != retry.Possible {
		t.Errorf("%v: %v", o, err)
	}
	effects := f.effects(t)
	if len(effects) < 121-doubts {
		t.Errorf("%d effects", len(effects))
	}
	for id, n := range effects {
		if n != 1 {
			t.Errorf("%s: carried out %d times", id, n)
		}
	}
	if _, err := call(t, c, "Hello.Greet", Request{Text: "down"}); err == nil {
		t.Error("no error")
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	req := bare(new(directory)).NewRequest(service, "Hello.Greet", nil)
	sent := resilience.Mark(errDown, resilience.Ambiguous)
	unsent := resilience.Mark(errDown, resilience.NotSent)
	keyed := microwrap.WithHint(t.Context(), resilience.Keyed("", "k"))
	late, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-late.Done()
	for name, tt := range map[string]struct {
		ctx     context.Context
		methods map[string]retry.Idempotency
		count   int
		err     error
		want    bool
	}{
		"not sent":            {err: unsent, want: true},
		"sent":                {err: sent},
		"sent, safe":          {err: sent, methods: map[string]retry.Idempotency{"Hello.Greet": retry.Safe}, want: true},
		"sent, with a key":    {ctx: keyed, err: sent, want: true},
		"a text alone":        {err: merrors.InternalServerError("go.micro.client", "connection error: dial tcp: refused")},
		"an answer":           {err: merrors.NotFound("hello", "nobody"), methods: map[string]retry.Idempotency{"Hello.Greet": retry.Safe}},
		"the second":          {err: unsent, count: 1, want: true},
		"the last":            {err: unsent, count: 2},
		"the caller has left": {ctx: late, err: unsent},
		"a success":           {},
	} {
		r, err := microwrap.NewRetries(microwrap.RetriesConfig{Methods: tt.methods})
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		if tt.ctx != nil {
			ctx = tt.ctx
		}
		if got, err := r.Retry(ctx, req, tt.count, tt.err); got != tt.want || err != nil {
			t.Errorf("%s: %v, %v; want %v", name, got, err, tt.want)
		}
	}
}

// The budget's floor, and then nothing, without a selector whose successes pay.
func TestRetriesBudget(t *testing.T) {
	t.Parallel()
	req := bare(new(directory)).NewRequest(service, "Hello.Greet", nil)
	unsent := resilience.Mark(errDown, resilience.NotSent)
	s := newSelector(t, microwrap.SelectorConfig{}, three())
	picks(t, s, service, 1) // it is known before the budget begins
	for name, tt := range map[string]struct {
		s    *microwrap.Selector
		most int
	}{"alone": {nil, 2}, "with a selector": {s, 100}} {
		r, err := microwrap.NewRetries(microwrap.RetriesConfig{Selector: tt.s, Budget: retry.BudgetConfig{Floor: -1}})
		if err != nil {
			t.Fatal(err)
		}
		if tt.s != nil {
			picks(t, s, service, 200)
		}
		granted := 0
		for range 100 {
			if ok, _ := r.Retry(t.Context(), req, 0, unsent); ok {
				granted++
			}
		}
		if granted > tt.most || tt.s != nil && granted < 10 {
			t.Errorf("%s: %d granted, want at most %d", name, granted, tt.most)
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	r, err := microwrap.NewRetries(microwrap.RetriesConfig{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Millisecond)
	defer cancel()
	for attempt, most := range []time.Duration{0, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond} {
		var highest time.Duration
		for range 200 {
			d, err := r.Backoff(t.Context(), nil, attempt)
			if err != nil || d < 0 || d > most {
				t.Fatalf("attempt %d: %v, %v", attempt, d, err)
			}
			highest = max(highest, d)
			if d, err := r.Backoff(ctx, nil, attempt); err != nil || d > 20*time.Millisecond {
				t.Fatalf("attempt %d, 40 ms left: %v, %v", attempt, d, err)
			}
		}
		if highest < most/2 {
			t.Errorf("attempt %d: at most %v of %v", attempt, highest, most)
		}
	}
	if _, err := microwrap.NewRetries(microwrap.RetriesConfig{Policy: retry.Policy{Attempts: -1}, Budget: retry.BudgetConfig{Share: 11}}); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("%v", err)
	}
}
