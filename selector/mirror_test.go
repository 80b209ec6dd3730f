package selector

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
)

// handSource is a source that a test reports by.
type handSource struct{ report func([]Node, error) }

func (h *handSource) Watch(report func([]Node, error)) error { h.report = report; return nil }
func (*handSource) Close() error                             { return nil }

func nodesNamed(ids ...string) (nodes []Node) {
	for _, id := range ids {
		nodes = append(nodes, Node{ID: id, Addr: id + ":1"})
	}
	return nodes
}

func mirrorOf(t *testing.T, s *Selector, cfg Config) *Selector {
	t.Helper()
	m, err := s.Mirror(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// A mirror has the nodes that its selector has, those that come later too,
// whoever knows them first; closed, it is told nothing more.
func TestMirrorFollowsTheNodes(t *testing.T) {
	src := &handSource{}
	s, err := New(Config{Source: src})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // it cannot fail
	ids := func(m *Selector) (out string) {
		for _, n := range m.Nodes() {
			out += n.Node.ID + n.Node.Addr + " "
		}
		return out
	}
	early := mirrorOf(t, s, Config{})
	if got := ids(early); got != "" {
		t.Errorf("before the nodes are known: %q", got)
	}
	src.report(nodesNamed("a", "b"), nil)
	late := mirrorOf(t, s, Config{})
	for _, m := range []*Selector{early, late} {
		if got := ids(m); got != "aa:1 bb:1 " {
			t.Errorf("%q", got)
		}
	}
	src.report(nil, errors.New("cannot be read"))
	src.report(nodesNamed("b", "c"), nil)
	if got := ids(early); got != "bb:1 cc:1 " {
		t.Errorf("%q", got)
	}
	if err := late.Close(); err != nil {
		t.Fatal(err)
	}
	src.report(nodesNamed("d"), nil)
	if got, closed := ids(early), ids(late); got != "dd:1 " || closed != "" {
		t.Errorf("%q, and closed %q", got, closed)
	}
	if len(s.mirrors) != 1 {
		t.Errorf("%d mirrors are told, want the one that is open", len(s.mirrors))
	}
}

func TestMirrorRefuses(t *testing.T) {
	s, err := New(Config{Source: Static(nodesNamed("a")...)})
	if err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []Config{{Source: Static(Node{})}, {Engine: &breaker.Family{}}} {
		if _, err := s.Mirror(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
	if _, err := s.Mirror(Config{Ejection: Ejection{Excess: 2}}); err == nil {
		t.Error("an excess of 2 is taken")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Mirror(Config{}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// An attempt is placed where the mirror would have let it go: not at a node
// that it has ejected, until that is due; then it is the probe.
func TestPlaceAt(t *testing.T) {
	clk := clock.NewVirtual(1)
	s, err := New(Config{Source: Static(nodesNamed("a", "b", "c")...), Clock: clk})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // it cannot fail
	m := mirrorOf(t, s, Config{Breaker: breaker.Config{OpenFor: time.Second, Spread: -1}})
	place := func(id string, retriable bool) (p Picked, ok bool) {
		ok = m.PlaceAt(&p, id, &Call{Method: "m", Retriable: retriable}, clk.Mono())
		return p, ok
	}
	p, ok := place("a", true)
	if !ok || p.Node().ID != "a" || p.Probe() {
		t.Fatalf("%v, %+v", ok, p.Node())
	}
	p.Done(Report{Result: breaker.Success, Elapsed: time.Millisecond})
	if p, ok := place("x", true); ok || p.Node() != nil {
		t.Error("at a node that is not there")
	}
	if err := m.Eject("a", "x"); err != nil {
		t.Fatal(err)
	}
	if _, ok := place("a", true); ok {
		t.Error("at an ejected node that is not due")
	}
	clk.RunUntil(clk.Now().Add(1100 * time.Millisecond))
	if _, ok := place("a", false); ok {
		t.Error("a call that cannot be repeated is no probe yet")
	}
	if p, ok = place("a", true); !ok || !p.Probe() {
		t.Fatal("the probe is due")
	}
	if _, ok := place("a", true); ok {
		t.Error("a second probe at the same time")
	}
	p.Done(Report{Result: breaker.Success, Elapsed: time.Millisecond})
	if st := m.Nodes()[0]; st.Ejected || st.InFlight != 0 {
		t.Errorf("after a good probe: %+v", st)
	}
	if st := s.Nodes()[0]; st.Picks != 0 || st.Ejected {
		t.Errorf("its selector has changed: %+v", st)
	}

	// With all of them out, all are used, as by a selector.
	for _, id := range []string{"a", "b", "c"} {
		if err := m.Eject(id, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if p, ok = place("b", true); !ok {
		t.Error("none is left, and none is used")
	}
	p.Done(Report{})
}

// Mirrors come and go while nodes change and attempts are placed; for the race
// detector.
func TestMirrorConcurrently(t *testing.T) {
	src := &handSource{}
	s, err := New(Config{Source: src})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // it cannot fail
	src.report(nodesNamed("a", "b", "c"), nil)
	kept := mirrorOf(t, s, Config{OnEvent: func(Event) { _ = s.Nodes() }})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 200 {
			src.report(nodesNamed("a", "b", fmt.Sprint("c", i)), nil)
		}
	})
	wg.Go(func() {
		for range 200 {
			m, err := s.Mirror(Config{})
			if err == nil {
				err = m.Close()
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
	for range 2 {
		wg.Go(func() {
			for i := range 2000 {
				var p Picked
				kept.PlaceAt(&p, "a", &Call{Method: "m", Retriable: true}, kept.clk.Mono())
				p.Done(Report{Result: []breaker.Result{breaker.Success, breaker.Failure}[i%2], Elapsed: time.Millisecond})
			}
		})
	}
	wg.Wait()
	if got := kept.Nodes(); len(got) != 3 || got[2].Node.ID != "c199" || got[0].InFlight != 0 {
		t.Errorf("%+v", got)
	}
}
