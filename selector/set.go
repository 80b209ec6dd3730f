package selector

import (
	"fmt"
	"maps"

	"github.com/holdfast-go/holdfast/breaker"
)

// set is an immutable view of the nodes, replaced as a whole when a node
// comes, goes, is ejected or readmitted. A pick looks at nothing else.
type set struct {
	all      []*node
	live     pool    // admitted
	local    pool    // admitted, in our own zone; empty when the zone is not preferred
	out      []*node // ejected, and ready otherwise
	suspects []*node // silent: see listen
	closed   bool
}

// pool is a list of nodes to choose from.
type pool struct {
	nodes []*node
	mean  float32 // of the weights; 0: they are equal
	alias *alias  // nil: equal weights, or made for one pick only
}

func newPool(nodes []*node) pool {
	total, equal := 0, true
	for _, n := range nodes {
		w := n.pub.Load().Weight
		total += w
		equal = equal && w == nodes[0].pub.Load().Weight
	}
	if equal {
		return pool{nodes: nodes}
	}
	return pool{nodes, float32(total) / float32(len(nodes)), newAlias(nodes, float64(total))}
}

// bypass reports whether breakers are asked but not obeyed: of one node, or
// of none that is admitted, something has to be used.
func (s *set) bypass() bool { return len(s.all) == 1 || len(s.live.nodes) == 0 }

// report receives the source's sets.
func (s *Selector) report(nodes []Node, err error) {
	if err == nil {
		err = CheckNodes(nodes)
	}
	breakers := make(map[string]breaker.Breaker)
	for err == nil {
		missing := s.adopt(nodes, breakers)
		if len(missing) == 0 {
			break
		}
		for _, id := range missing { // not under mu: an engine may be a user's
			if breakers[id] = s.engine.New(id); breakers[id] == nil {
				err = fmt.Errorf("engine: want a breaker for node %q, got nil", id)
				break
			}
		}
	}
	if err == nil {
		s.reflect()
	} else {
		s.mu.Lock()
		if !s.closed {
			s.events.Add(Event{Kind: SourceFailed, At: s.clk.Now(), Err: err})
		}
		s.mu.Unlock()
	}
	s.events.Drain()
}

// adopt makes nodes the set, unless it is missing the breakers of some. What
// is known of a node survives when it stays, and when it comes back.
func (s *Selector) adopt(nodes []Node, breakers map[string]breaker.Breaker) (missing []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	now := s.clk.Now()
	old := s.set.Load().all
	byID := make(map[string]*node, len(old))
	for _, n := range old {
		byID[n.pub.Load().ID] = n
	}
	pubs, found := make([]*Node, len(nodes)), make([]*node, len(nodes))
	for i := range nodes {
		pub := s.public(&nodes[i])
		n := byID[pub.ID]
		if n == nil || n.pub.Load().Addr != pub.Addr {
			n = s.gone.find(pub, now)
		}
		if n == nil && breakers[pub.ID] == nil {
			missing = append(missing, pub.ID)
		}
		pubs[i], found[i] = pub, n
	}
	if len(missing) > 0 {
		return missing
	}
	added, kept := 0, make(map[*node]bool, len(nodes))
	for i, pub := range pubs {
		n := found[i]
		if n == nil {
			n = &node{breaker: breakers[pub.ID], place: place{removed: true}, sick: sick{last: -never}}
		}
		if n.removed { // new, or back
			n.removed = false
			if !n.suspected() {
				s.unwatch(n) // what it owed when it left says nothing now
			}
			if len(old) > 0 {
				n.ramp.Store(max(int64(now.Sub(s.epoch)), 1))
			}
			added++
		}
		n.pub.Store(pub)
		kept[n] = true
		found[i] = n
	}
	s.retired -= s.gone.release(found)
	removed := 0
	for _, n := range old {
		if !kept[n] {
			n.removed = true
			b := buried{n, now, n.total()}
			s.retired += b.successes
			s.gone.put(b, 2*len(found))
			removed++
		}
	}
	s.rebuild(found)
	if added+removed > 0 {
		s.events.Add(Event{Kind: NodesChanged, At: now, Nodes: len(found), Added: added, Removed: removed})
	}
	return nil
}

// public returns the Node that is handed out for n.
func (s *Selector) public(n *Node) *Node {
	if _, ok := s.source.(static); ok {
		return n // never changes, and is as it should be
	}
	pub := *n
	pub.normalise()
	return &pub
}

func (n *Node) normalise() {
	n.ID = n.identity()
	n.Weight = max(n.Weight, 1)
	n.Meta = maps.Clone(n.Meta)
}

// rebuild publishes the set of all and sets the time of the next probe.
// Caller holds mu.
func (s *Selector) rebuild(all []*node) {
	if s.closed {
		return
	}
	tune := s.tune.Load()
	next := &set{all: all}
	live := make([]*node, 0, len(all))
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
		case n.suspected():
			next.suspects = append(next.suspects, n)
		default:
			live = append(live, n)
			if here {
				local = append(local, n)
			}
		}
	}
	next.live = newPool(live)
	if len(local) > 0 && 2*len(local) >= locals {
		next.local = newPool(local)
	}
	s.set.Store(next)
	for i := range s.typical {
		s.typical[i].Store(0)
	}
	s.schedule()
}
