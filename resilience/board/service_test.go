package board

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/resiliencetest"
	"github.com/holdfast-go/holdfast/selector"
)

// shown lists services and nodes as "s: a=3 b=0", with the attempts of each.
func shown(b *Board) (list []string) {
	for _, sv := range b.State().Services {
		text := sv.Name + ":"
		for _, n := range sv.Nodes {
			text += fmt.Sprintf(" %s=%d", n.ID, n.Attempts.Latency.Count)
		}
		list = append(list, text)
	}
	return list
}

func wantShown(t *testing.T, b *Board, want ...string) {
	t.Helper()
	if got := shown(b); !slices.Equal(got, want) {
		t.Errorf("shown are\n%q, want\n%q", got, want)
	}
}

// TestClientsComeAndGo: each has a place of its own, and leaves nothing.
func TestClientsComeAndGo(t *testing.T) {
	t.Parallel()
	b := newBoard(t, Config{Nodes: 3})
	wantShown(t, b)
	users := realClient(t, b, config{Service: "users", Nodes: addrs(1)})
	carts := realClient(t, b, config{Service: "carts", Nodes: addrs(1)})
	again := realClient(t, b, config{Service: "users", Nodes: addrs(1)})
	for i, c := range []*resilience.Client{users, carts, again} {
		for range i + 1 {
			if err := c.Do(t.Context(), resilience.Safe("m"), good); err != nil {
				t.Fatal(err)
			}
		}
	}
	wantShown(t, b, "carts: 10.0.0.1:8080=2", "users: 10.0.0.1:8080=1", "users~2: 10.0.0.1:8080=3")
	if err := users.Close(); err != nil {
		t.Fatal(err)
	}
	wantShown(t, b, "carts: 10.0.0.1:8080=2", "users: 10.0.0.1:8080=3")
	if _, err := resilience.New(config{Service: "broken", Observer: b, Settings: sets{Attempts: -1}}); err == nil {
		t.Fatal("made")
	}
	for range 10 { // more than there are rows, one after the other
		c, err := resilience.New(config{Service: "x", Nodes: addrs(1), Observer: resilience.Observers(nil, b)})
		if err != nil {
			t.Fatal(err)
		}
		wantShown(t, b, "carts: 10.0.0.1:8080=2", "users: 10.0.0.1:8080=3", "x: 10.0.0.1:8080=0")
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if b.free != 1 {
		t.Errorf("%d rows are free, want 1", b.free)
	}
}

// TestNodesComeAndGo: rows follow the set, keep what they have counted, and
// never are more than may be; the nodes beyond share one.
func TestNodesComeAndGo(t *testing.T) {
	t.Parallel()
	bench := resiliencetest.New(1)
	b := newBoard(t, Config{Nodes: 3})
	set := func(ids ...string) {
		var nodes []selector.Node
		for _, id := range ids {
			nodes = append(nodes, selector.Node{ID: id})
		}
		bench.Run(func() { bench.SetNodes(nodes...) })
	}
	set("a", "b")
	c := benchClient(t, bench, b, config{Service: "s", Settings: sets{Strategy: "round-robin", SlowStart: -1}})
	call := func(n int) {
		bench.Run(func() {
			for range n {
				if err := c.Do(context.Background(), resilience.Safe("m"), bench.Op); err != nil {
					t.Error(err)
				}
			}
		})
	}
	call(4)
	wantShown(t, b, "s: a=2 b=2")
	set("b", "c")
	call(2)
	wantShown(t, b, "s: b=3 c=1")
	set("a", "b", "c", "d", "e") // two too many: those that come last in the list
	call(10)
	wantShown(t, b, "s: a=2 b=5 c=3 (others)=4")
	set("e", "d", "c", "b", "a") // who has a row keeps it
	call(5)
	wantShown(t, b, "s: c=4 b=6 a=3 (others)=6")
	set("e", "b")
	call(2)
	wantShown(t, b, "s: e=1 b=7")
	for i := range 1000 { // churn
		set(fmt.Sprint("x", i), fmt.Sprint("y", i))
	}
	call(2)
	wantShown(t, b, "s: x999=1 y999=1")
	if b.free != 1 {
		t.Errorf("%d rows are free, want 1", b.free)
	}

	// What ends after its node has left is the service's, and no node's.
	bench.Run(func() {
		bench.Go(func() {
			_ = c.Do(context.Background(), resilience.Safe("m"), func(context.Context, *selector.Node) error { bench.Sleep(tick); return nil })
		})
		bench.Sleep(tick / 2)
		bench.SetNodes(selector.Node{ID: "z"})
	})
	wantShown(t, b, "s: z=0")
}

// TestOldSetIsNotAdopted: who looked at the set before another did, and comes
// back later, changes nothing.
func TestOldSetIsNotAdopted(t *testing.T) {
	t.Parallel()
	b := newBoard(t, Config{})
	src := &swapping{}
	engine := &askedEngine{}
	realClient(t, b, config{Service: "s", Nodes: src, Engine: engine})
	s := b.list()[0]
	seen, goOn := make(chan struct{}), make(chan struct{})
	engine.hold(func() { close(seen); <-goOn })
	done := make(chan struct{})
	go func() { defer close(done); s.adopt() }() // looks at the set of three …
	<-seen
	src.swap(2) // … which has five now
	close(goOn)
	<-done
	if n := len(*s.nodes.Load()); n != 5 {
		t.Errorf("%d nodes, want the 5 of the newer set", n)
	}
}

// TestStackedByHand: without a client there are counts, by service and node,
// and no more names than may be.
func TestStackedByHand(t *testing.T) {
	t.Parallel()
	b := newBoard(t, Config{Nodes: 2})
	call := func(service, node string) {
		retry := resilience.Retry(resilience.Retries{Observer: b})
		fn := retry(func(_ context.Context, call *resilience.Call) error {
			call.Node = &selector.Node{ID: node}
			return nil
		})
		if err := fn(t.Context(), &resilience.Call{Service: service}); err != nil {
			t.Error(err)
		}
	}
	call("s", "b")
	call("s", "a")
	call("s", "a")
	wantShown(t, b, "s: a=2 b=1")
	for i := range 3 {
		call("s", fmt.Sprint("c", i))
	}
	wantShown(t, b, "s: a=2 b=1 (others)=3")
	for i := range 2 * maxStacked {
		call(fmt.Sprint("hostile", i), "a")
	}
	if n := len(shown(b)); n != maxStacked+1 {
		t.Errorf("%d services, want %d and the others", n, maxStacked)
	}
	if all := strings.Join(shown(b), "\n"); !strings.Contains(all, fmt.Sprintf("(others): (others)=%d", maxStacked+1)) {
		t.Errorf("the others are not all there:\n%s", all)
	}
}

// TestHostileMethods: a million names of methods take no memory here.
func TestHostileMethods(t *testing.T) {
	b := newBoard(t, Config{})
	c := realClient(t, b, config{Service: "s", Nodes: addrs(3)})
	call := func(method string) {
		if err := c.Do(t.Context(), resilience.Safe(method), good); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		call("warm")
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	n := 1_000_000
	if testing.Short() {
		n = 20_000
	}
	for i := range n {
		call(fmt.Sprint("method", i))
	}
	if grown := int64(heap()) - int64(before); grown > 1<<20 {
		t.Errorf("grown by %d bytes", grown)
	}
	wantCalls := uint64(n + 1000)
	if got := b.State().Services[0].Calls.Latency.Count; got != wantCalls {
		t.Logf("%d of %d calls are of the last minute", got, wantCalls)
	}
}

// TestNoGoroutines: a board has none, however many clients and calls.
func TestNoGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	b := newBoard(t, Config{})
	for i := range 100 {
		c := realClient(t, b, config{Service: fmt.Sprint("s", i), Nodes: addrs(3)})
		for range 10 {
			if err := c.Do(t.Context(), resilience.Safe("m"), good); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.State()
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, and %d before", n, before)
	}
}

// TestCountingAllocatesNothing beyond what a row takes at first.
func TestCountingAllocatesNothing(t *testing.T) {
	b := newBoard(t, Config{})
	c := realClient(t, b, config{Service: "s", Nodes: addrs(3)})
	ctx := context.Background()
	op := resilience.Op(good)
	call := func() {
		if err := c.Do(ctx, resilience.Safe("m"), op); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		call()
	}
	if n := testing.AllocsPerRun(1000, call); n != 0 {
		t.Errorf("%v allocations a call, want none", n)
	}
}
