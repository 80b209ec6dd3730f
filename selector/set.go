package selector

import (
	"maps"
	"time"
)

// set is an immutable view of the nodes, replaced as a whole when a node
// comes, goes, is ejected or readmitted. A pick looks at nothing else.
type set struct {
	all    []*node
	live   pool    // admitted
	local  pool    // admitted, in our own zone; empty when the zone is not preferred
	out    []*node // ejected, and ready otherwise
	closed bool
}

// pool is a list of nodes to choose from.
type pool struct {
	nodes []*node
	alias *alias // nil: equal weights
}

// bypass reports whether breakers are asked but not obeyed: of one node, or
// of none that is admitted, something has to be used.
func (s *set) bypass() bool { return len(s.all) == 1 || len(s.live.nodes) == 0 }

// report receives the source's sets.
func (s *Selector) report(nodes []Node, err error) {
	if err == nil {
		err = CheckNodes(nodes)
	}
	s.mu.Lock()
	switch {
	case s.closed:
	case err != nil:
		s.events.add(Event{Kind: SourceFailed, At: s.clk.Now(), Err: err})
	default:
		s.adopt(nodes)
	}
	s.mu.Unlock()
	s.events.drain()
}

// adopt makes nodes the set. What is known of a node survives when it stays,
// and when it comes back.
func (s *Selector) adopt(nodes []Node) {
	now := s.clk.Now()
	t := int64(now.Sub(s.epoch))
	old := s.set.Load().all
	byID := make(map[string]*node, len(old))
	for _, n := range old {
		byID[n.pub.Load().ID] = n
	}
	added, kept := 0, make(map[*node]bool, len(nodes))
	all := make([]*node, 0, len(nodes))
	for i := range nodes {
		pub := &Node{}
		*pub = nodes[i]
		pub.ID = pub.identity()
		pub.Weight = max(pub.Weight, 1)
		pub.Meta = maps.Clone(pub.Meta)
		n := byID[pub.ID]
		if n == nil || n.pub.Load().Addr != pub.Addr {
			if n = s.gone.take(pub.ID, pub.Addr, now); n == nil {
				n = &node{breaker: s.engine.New(pub.ID)}
			}
			n.removed = false
			s.retired -= n.successes()
			if len(old) > 0 {
				n.ramp.Store(max(t, 1))
			}
			added++
		}
		n.pub.Store(pub)
		kept[n] = true
		all = append(all, n)
	}
	removed := 0
	for _, n := range old {
		if !kept[n] {
			n.removed = true
			s.retired += n.successes()
			s.gone.put(n, now, 2*len(all))
			removed++
		}
	}
	s.rebuild(all)
	if added+removed > 0 {
		s.events.add(Event{Kind: NodesChanged, At: now, Nodes: len(all), Added: added, Removed: removed})
	}
}

// rebuild publishes the set of all and sets the time of the next probe.
// Caller holds mu.
func (s *Selector) rebuild(all []*node) {
	if s.closed {
		return
	}
	tune := s.tune.Load()
	next := &set{all: all}
	local, locals := []*node(nil), 0
	for _, n := range all {
		here := tune.zone != "" && n.pub.Load().Zone == tune.zone
		if here {
			locals++
		}
		switch {
		case n.notReady:
		case n.out:
			next.out = append(next.out, n)
		default:
			next.live.nodes = append(next.live.nodes, n)
			if here {
				local = append(local, n)
			}
		}
	}
	next.live.alias = newAlias(next.live.nodes)
	if len(local) > 0 && 2*len(local) >= locals {
		next.local = pool{nodes: local, alias: newAlias(local)}
	}
	s.set.Store(next)
	s.schedule()
}

// graveyard keeps what was known of nodes that left, for a while: discovery
// flaps.
type graveyard struct {
	nodes map[grave]buried
}

type grave struct{ id, addr string }

type buried struct {
	node *node
	at   time.Time
}

const rest = 10 * time.Minute

func (g *graveyard) put(n *node, now time.Time, most int) {
	if g.nodes == nil {
		g.nodes = make(map[grave]buried)
	}
	if len(g.nodes) >= max(most, 64) {
		g.sweep(now)
	}
	if len(g.nodes) >= max(most, 64) {
		return // churn beyond twice the set: forgetting is the bound
	}
	pub := n.pub.Load()
	g.nodes[grave{pub.ID, pub.Addr}] = buried{n, now}
}

func (g *graveyard) take(id, addr string, now time.Time) *node {
	b, ok := g.nodes[grave{id, addr}]
	if !ok {
		return nil
	}
	delete(g.nodes, grave{id, addr})
	if now.Sub(b.at) > rest {
		return nil
	}
	return b.node
}

func (g *graveyard) sweep(now time.Time) {
	for k, b := range g.nodes {
		if now.Sub(b.at) > rest {
			delete(g.nodes, k)
		}
	}
}
