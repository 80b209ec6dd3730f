package microwrap

import (
	"slices"
	"sync"
	"time"

	"go-micro.dev/v5/registry"
	mselector "go-micro.dev/v5/selector"

	"github.com/holdfast-go/holdfast/selector"
)

// choice is what one call has chosen so far.
type choice struct {
	s        *Selector
	sel      *selector.Selector
	allowed  map[string]bool // nil: all
	strategy mselector.Next  // nil: ours
	fallback mselector.Next  // set with allowed

	mu    sync.Mutex
	tried []*selector.Node
}

// next implements go-micro's Next.
func (n *choice) next() (*registry.Node, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := &pick{at: time.Now()}
	node, err := n.pick(p)
	if err != nil {
		return nil, mselector.ErrNoneAvailable
	}
	if node == nil { // all that are allowed are out
		return n.fallback()
	}
	n.tried = append(n.tried, node)
	return n.s.handOut(p, node), nil
}

// pick claims a node; nil: none of those that are allowed can be claimed.
func (n *choice) pick(p *pick) (*selector.Node, error) {
	if n.strategy != nil {
		if node := n.theirs(p); node != nil {
			return node, nil
		}
	}
	if err := n.sel.PickTo(&p.picked, &selector.Call{Tried: n.tried}); err != nil {
		return nil, err
	}
	node := p.picked.Node()
	if n.allowed == nil || n.allowed[node.ID] {
		return node, nil
	}
	p.picked.Done(selector.Report{})
	return n.claim(p, func(id string) bool { return n.allowed[id] })
}

// theirs asks the strategy for a node that is neither out nor tried. It may
// repeat itself, so it is asked several times, and then no more.
func (n *choice) theirs(p *pick) *selector.Node {
	for range 4 * (len(n.allowed) + 1) {
		want, err := n.strategy()
		if err != nil {
			return nil
		}
		id := want.Id
		if id == "" {
			id = want.Address
		}
		if slices.ContainsFunc(n.tried, func(t *selector.Node) bool { return t.ID == id }) {
			continue
		}
		if node, err := n.claim(p, func(other string) bool { return other == id }); node != nil && err == nil {
			return node
		}
	}
	return nil
}

// claim picks one of the nodes that ok says, by having tried the others.
func (n *choice) claim(p *pick, ok func(id string) bool) (*selector.Node, error) {
	tried := slices.Clone(n.tried)
	for _, status := range n.sel.Nodes() {
		if !ok(status.Node.ID) {
			tried = append(tried, status.Node)
		}
	}
	if err := n.sel.PickTo(&p.picked, &selector.Call{Tried: tried}); err != nil {
		return nil, err
	}
	if node := p.picked.Node(); ok(node.ID) {
		return node, nil
	}
	p.picked.Done(selector.Report{})
	return nil, nil
}
