package selector

import (
	"fmt"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/holdfast-go/holdfast/breaker"
)

// TestSize holds all that is kept for a client·node pair to 320 bytes and 48
// for each method in use: what the source keeps, the set, the breaker, the
// records. The caller's own strings are left out.
func TestSize(t *testing.T) {
	const nodes = 10_000
	ids := make([]string, nodes)
	for i := range ids {
		ids[i] = fmt.Sprintf("10.0.%d.%d:8080", i>>8, i&255)
	}
	list := func() []Node {
		list := make([]Node, nodes)
		for i := range list {
			list[i] = Node{ID: ids[i], Addr: ids[i], Zone: []string{"x", "y"}[i%2], Weight: 1 + i%3}
		}
		return list
	}
	sources := []struct {
		name string
		make func() Source
		cfg  Config
	}{
		{"static", func() Source { return Addrs(ids...) }, Config{}},
		{"static, with weights", func() Source { return Static(list()...) }, Config{}},
		{"reported, with weights", func() Source { return reporter(list) }, Config{}},
		{"reported, with weights and zones", func() Source { return reporter(list) }, Config{Zone: "x"}},
	}
	for _, src := range sources {
		for _, methods := range []int{1, 8} {
			t.Run(fmt.Sprintf("%s, %d methods", src.name, methods), func(t *testing.T) {
				names := make([]string, methods)
				for i := range names {
					names[i] = fmt.Sprint("method ", i)
				}
				before := heap()
				cfg := src.cfg
				cfg.Source, cfg.Strategy = src.make(), &RoundRobin{}
				s, err := New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range s.set.Load().all { // as if each had been called with each method
					for _, name := range names {
						var p Picked
						s.claim(&p, n, 0, name)
						p.Done(Report{Result: breaker.Success, Elapsed: time.Millisecond})
					}
				}
				each := float64(heap()-before) / nodes
				runtime.KeepAlive(s)
				most := float64(320 + 48*methods)
				t.Logf("%.0f bytes a node, at most %.0f", each, most)
				if each > most || each < 100 {
					t.Errorf("%.0f bytes a node, want at most %.0f", each, most)
				}
			})
		}
	}
}

// reporter is a source that keeps nothing.
type reporter func() []Node

func (r reporter) Watch(report func([]Node, error)) error { report(r(), nil); return nil }
func (reporter) Close() error                             { return nil }

func TestStructsHaveNotGrown(t *testing.T) {
	if got := unsafe.Sizeof(node{}); got > 160 {
		t.Errorf("a node takes %d bytes, want at most 160, which is a size class", got)
	}
	if got := unsafe.Sizeof(cell{}); got > 32 {
		t.Errorf("a cell takes %d bytes, want at most 32", got)
	}
}

// Nodes that fail now and then are suspected one after the other: windows are
// handed on, and do not add up to one for each node.
func TestSizeOfSuspicion(t *testing.T) {
	const nodes = 2000
	r := newRig(t, Config{OnEvent: func(Event) {}}, named(nodes)...)
	all := r.sel.set.Load().all
	call := func(n *node, result breaker.Result) {
		var p Picked
		r.sel.claim(&p, n, 0, "GET")
		p.Done(Report{Result: result, Start: r.clk.Now(), Elapsed: time.Millisecond})
	}
	for _, n := range all {
		call(n, breaker.Success)
	}
	before := heap()
	for i := range 5 * nodes {
		r.pass(20 * time.Millisecond)
		call(all[i*7%nodes], breaker.Failure)
		for j := range 20 { // 20 nodes are suspected at a time, each until it was well 20 times
			call(all[(i-j+nodes)*7%nodes], breaker.Success)
		}
	}
	after := heap()
	held := 0
	for _, n := range all {
		if n.window != nil {
			held++
		}
	}
	if held > 100 || held < 5 || held != len(r.sel.suspects.owners) {
		t.Errorf("%d nodes have a window and %d are known to, want a few more than the 20 that are suspected", held, len(r.sel.suspects.owners))
	}
	if grown := float64(after-before) / nodes; after > before && grown > 48 {
		t.Errorf("%.0f bytes a node more than when all were well, want at most 48", grown)
	}

	// All are suspected, and well again: what it took is given up.
	for _, n := range all {
		call(n, breaker.Failure)
	}
	if n := len(r.sel.suspects.owners); n != nodes {
		t.Fatalf("%d nodes are suspected, want all", n)
	}
	for range 20 {
		for _, n := range all {
			call(n, breaker.Success)
		}
	}
	for i := range nodes / 4 {
		r.pass(20 * time.Millisecond)
		call(all[i], breaker.Failure)
		for range 20 {
			call(all[i], breaker.Success)
		}
	}
	if n := len(r.sel.suspects.owners); n > 50 {
		t.Errorf("%d nodes have a window long after the outage, want a few", n)
	}
}
