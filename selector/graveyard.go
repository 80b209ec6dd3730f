package selector

import (
	"cmp"
	"slices"
	"time"
)

// graveyard keeps what was known of nodes that left, for a while: discovery
// flaps. A node is known again by its ID and its address.
type graveyard struct{ nodes map[grave]buried }

type grave struct{ id, addr string }

type buried struct {
	node      *node
	at        time.Time
	successes uint64 // when it left; more may have come in since
}

const (
	rest      = 10 * time.Minute
	fewGraves = 64 // the bound for small sets
)

// put buries a node; there is room for most, and at least fewGraves.
func (g *graveyard) put(b buried, most int) {
	if g.nodes == nil {
		g.nodes = make(map[grave]buried)
	}
	if len(g.nodes) >= max(most, fewGraves) {
		g.clear(b.at)
	}
	pub := b.node.pub.Load()
	g.nodes[grave{pub.ID, pub.Addr}] = b
}

// find returns the node if it is buried and not forgotten.
func (g *graveyard) find(pub *Node, now time.Time) *node {
	b, ok := g.nodes[grave{pub.ID, pub.Addr}]
	if !ok || now.Sub(b.at) > rest {
		return nil
	}
	return b.node
}

// release takes those out that are back, or have another in their place. It
// returns the successes of those that are back, as they were buried.
func (g *graveyard) release(nodes []*node) (successes uint64) {
	if len(g.nodes) == 0 {
		return 0
	}
	for _, n := range nodes {
		pub := n.pub.Load()
		k := grave{pub.ID, pub.Addr}
		switch b, ok := g.nodes[k]; {
		case !ok:
		case b.node == n:
			successes += b.successes
			delete(g.nodes, k)
		default:
			g.forget(k)
		}
	}
	return successes
}

// forget takes a node out for good. What it knew of its peers goes at once,
// or each generation would hold on to the one before.
func (g *graveyard) forget(k grave) {
	g.nodes[k].node.window = nil
	g.nodes[k].node.watch.Store(nil)
	delete(g.nodes, k)
}

// clear forgets the older half, and whoever has rested long enough.
func (g *graveyard) clear(now time.Time) {
	all := make([]grave, 0, len(g.nodes))
	for k := range g.nodes {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b grave) int {
		return cmp.Or(g.nodes[a].at.Compare(g.nodes[b].at), cmp.Compare(a.id, b.id), cmp.Compare(a.addr, b.addr))
	})
	for i, k := range all {
		if i <= len(all)/2 || now.Sub(g.nodes[k].at) > rest {
			g.forget(k)
		}
	}
}
