package selector

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
)

// rig drives a selector in virtual time, on one goroutine.
type rig struct {
	t      testing.TB
	clk    *clock.Virtual
	sel    *Selector
	source *pushed
	events []Event
}

// pushed is a source that a test reports through.
type pushed struct {
	first  []Node
	report func([]Node, error)
	closed int
}

func (p *pushed) Watch(report func([]Node, error)) error {
	p.report = report
	if p.first != nil {
		report(p.first, nil)
	}
	return nil
}

func (p *pushed) Close() error { p.closed++; return nil }

// named returns n nodes a, b, c … at addresses of the same names.
func named(n int) []Node {
	nodes := make([]Node, n)
	for i := range nodes {
		id := string(rune('a' + i%26))
		if n > 26 {
			id = fmt.Sprintf("n%d", i)
		}
		nodes[i] = Node{ID: id, Addr: id + ":1"}
	}
	return nodes
}

// newRig starts a selector over nodes; cfg.Source, Clock and OnEvent are set
// where they are nil.
func newRig(t testing.TB, cfg Config, nodes ...Node) *rig {
	t.Helper()
	r := &rig{t: t, clk: clock.NewVirtual(1), source: &pushed{first: nodes}}
	if cfg.Source == nil {
		cfg.Source = r.source
	}
	cfg.Clock = r.clk
	if cfg.OnEvent == nil {
		cfg.OnEvent = func(e Event) { r.events = append(r.events, e) }
	}
	sel, err := New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() { _ = sel.Close() })
	r.sel = sel
	r.pass(time.Second)
	return r
}

// pass lets time pass.
func (r *rig) pass(d time.Duration) { r.clk.RunUntil(r.clk.Now().Add(d)) }

func (r *rig) pick(c Call) Picked {
	r.t.Helper()
	p, err := r.sel.Pick(c)
	if err != nil {
		r.t.Fatalf("Pick(%+v): %v", c, err)
	}
	return p
}

// call makes one attempt that takes 10 ms of virtual time.
func (r *rig) call(c Call, result func(*Node) Report) (*Node, bool) {
	r.t.Helper()
	p := r.pick(c)
	n := p.Node()
	start := r.clk.Now()
	r.pass(10 * time.Millisecond)
	rep := result(n)
	rep.Start, rep.Elapsed = start, r.clk.Now().Sub(start)
	probe := p.Probe()
	p.Done(rep)
	return n, probe
}

func well(*Node) Report { return Report{Result: breaker.Success} }

// down answers for nodes that fail.
func down(ids ...string) func(*Node) Report {
	return func(n *Node) Report {
		if slices.Contains(ids, n.ID) {
			return Report{Result: breaker.Failure}
		}
		return Report{Result: breaker.Success}
	}
}

// refusing answers for nodes whose connections are refused.
func refusing(ids ...string) func(*Node) Report {
	return func(n *Node) Report {
		if slices.Contains(ids, n.ID) {
			return Report{Result: breaker.Failure, NotSent: true}
		}
		return Report{Result: breaker.Success}
	}
}

// run makes n calls, 5 ms apart, and returns how many went where.
func (r *rig) run(n int, c Call, result func(*Node) Report) map[string]int {
	r.t.Helper()
	picks := make(map[string]int)
	for range n {
		r.pass(5 * time.Millisecond)
		node, _ := r.call(c, result)
		picks[node.ID]++
	}
	return picks
}

// ejected returns the IDs of the nodes that are out.
func (r *rig) ejected() []string {
	var out []string
	for _, s := range r.sel.Nodes() {
		if s.Ejected {
			out = append(out, s.Node.ID)
		}
	}
	return out
}

func (r *rig) status(id string) Status {
	r.t.Helper()
	for _, s := range r.sel.Nodes() {
		if s.Node.ID == id {
			return s
		}
	}
	r.t.Fatalf("no node %q", id)
	return Status{}
}

// heard returns the events of a kind, as "node" or "".
func (r *rig) heard(k Kind) (ids []string) {
	for _, e := range r.events {
		if e.Kind == k {
			id := ""
			if e.Node != nil {
				id = e.Node.ID
			}
			ids = append(ids, id)
		}
	}
	return ids
}

func (r *rig) forget() { r.events = nil }

func wantIDs(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// inner returns a selector's own record of a node.
func (r *rig) inner(id string) *node {
	r.t.Helper()
	r.sel.mu.Lock()
	defer r.sel.mu.Unlock()
	n := r.sel.find(id)
	if n == nil {
		r.t.Fatalf("no node %q", id)
	}
	return n
}

var errSource = errors.New("the registry does not answer")
