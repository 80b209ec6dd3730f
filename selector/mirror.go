package selector

import (
	"errors"
	"sync"
)

// Mirror makes a Selector of the same nodes that judges by cfg and chooses
// nothing: it is told, by [Selector.PlaceAt], of the attempts that s has
// placed, and says what it would have done. Its breakers are native ones.
// Source and Engine of cfg must be nil; the Clock is that of s. Close it before
// s.
func (s *Selector) Mirror(cfg Config) (*Selector, error) {
	if cfg.Source != nil || cfg.Engine != nil {
		return nil, errors.New("mirror: want neither source nor engine")
	}
	cfg.Source, cfg.Clock = &reflection{of: s}, s.clk
	return New(cfg)
}

// reflection is the nodes of a Selector as a Source.
type reflection struct {
	of *Selector

	mu     sync.Mutex
	report func([]Node, error)
	news   bool // the nodes have changed
	busy   bool // somebody reports
	closed bool
}

func (r *reflection) Watch(report func([]Node, error)) error {
	r.report = report
	s := r.of
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.mirrors = append(s.mirrors, r)
	s.mu.Unlock()
	r.changed()
	return nil
}

// changed reports the nodes there are, unless somebody is at it: that one does
// it again.
func (r *reflection) changed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.news = true
	if r.busy {
		return
	}
	r.busy = true
	defer func() { r.busy = false }()
	for r.news && !r.closed {
		r.news = false
		all := r.of.set.Load().all
		if len(all) == 0 {
			return // not known yet
		}
		nodes := make([]Node, len(all))
		for i, n := range all {
			nodes[i] = *n.pub.Load()
		}
		r.tell(nodes)
	}
}

// tell reports without the lock.
func (r *reflection) tell(nodes []Node) {
	r.mu.Unlock()
	defer r.mu.Lock()
	r.report(nodes, nil)
}

func (r *reflection) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	s := r.of
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range s.mirrors {
		if m == r {
			s.mirrors = append(s.mirrors[:i:i], s.mirrors[i+1:]...)
			break
		}
	}
	return nil
}

// reflect tells the mirrors that the nodes have changed.
func (s *Selector) reflect() {
	s.mu.Lock()
	mirrors := s.mirrors
	s.mu.Unlock()
	for _, m := range mirrors {
		m.changed()
	}
}

// PlaceAt is PickAt for an attempt whose node somebody else has chosen. It
// reports whether s would have let it go there: otherwise, where the node is
// ejected or a suspect and not to be probed yet, p is left alone, and what
// becomes of the attempt is not for s to know.
func (s *Selector) PlaceAt(p *Picked, id string, c *Call, mono int64) bool {
	n := s.byID(id)
	if n == nil {
		return false
	}
	t := mono - s.origin
	set := s.set.Load()
	bypass, probe := set.bypass(), false
	if !bypass && len(set.out)+len(set.suspects) > 0 {
		var ok bool
		if probe, ok = s.mayPlace(n, c.Retriable, t); !ok {
			return false
		}
	}
	noted := !probe && len(set.live.nodes) > 1 && n.quiet(t)
	if noted && s.listen(n, t, s.methodIndex(c.Method), c.Retriable) {
		return false
	}
	permit, after, ok := n.breaker.TryAcquire(s.instant(t))
	if !ok && !bypass {
		s.probeAt(n, t+int64(after))
		return false
	}
	s.claim(p, n, t, c.Method)
	p.permit, p.noted, p.since = permit, noted, t
	p.probe = probe || ok && bypass && s.isOut(n)
	return true
}

// mayPlace reports whether an attempt may go to a node, and whether as a probe.
func (s *Selector) mayPlace(n *node, retriable bool, t int64) (probe, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case n.out && t < n.dueAt(retriable):
		return false, false
	case n.out:
		n.retryAt = t + int64(leaseCheck)
		return true, true
	case n.suspected():
		w := n.watch.Load()
		if t < w.dueAt(retriable) {
			return false, false
		}
		w.due = t + int64(probeLease)
		return true, true
	}
	return false, true
}

// index finds nodes by their ID.
type index struct {
	of   []*node // the set's list that it was made of
	byID map[string]*node
}

// byID returns a node of the set; nil: there is none.
func (s *Selector) byID(id string) *node {
	all := s.set.Load().all
	if len(all) == 0 {
		return nil
	}
	x := s.index.Load()
	if x == nil || len(x.of) != len(all) || &x.of[0] != &all[0] {
		x = &index{all, make(map[string]*node, len(all))}
		for _, n := range all {
			x.byID[n.pub.Load().ID] = n
		}
		s.index.Store(x)
	}
	return x.byID[id]
}
