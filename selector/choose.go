package selector

import (
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
)

// choose asks the strategy for a node that the call has not tried.
func (s *Selector) choose(set *set, tried []*Node, t int64) (*node, error) {
	p := &set.live
	switch {
	case set.closed:
		return nil, ErrClosed
	case len(set.all) == 0:
		return nil, ErrNoNodes
	case len(p.nodes) == 0:
		return s.chooseIll(set, tried), nil
	case len(set.local.nodes) > 0:
		p = &set.local
	}
	if len(tried) > 0 {
		fresh := untried(p.nodes, tried)
		if len(fresh) == 0 {
			fresh = untried(set.live.nodes, tried)
		}
		if len(fresh) > 0 {
			p = &pool{nodes: fresh, mean: set.live.mean}
		}
	}
	tune := s.tune.Load()
	v := View{pool: p, t: t, clk: s.clk}
	i := tune.choose(v)
	// A starting node takes only its share and leaves the rest to another;
	// two refusals are enough, the third choice stands.
	for range 2 {
		n := p.nodes[i]
		if n.ramp.Load() == 0 || clock.Float64(s.clk) < n.share(t, tune.slowStart) {
			break
		}
		j := tune.choose(v)
		if j == i {
			j = v.other(i)
		}
		i = j
	}
	return p.nodes[i], nil
}

func (t *tuning) choose(v View) int {
	if t.strategy == nil {
		return TwoChoices{}.Choose(v)
	}
	return v.index(t.strategy.Choose(v))
}

// share is how much of its load a starting node may have at t.
func (n *node) share(t int64, slowStart time.Duration) float64 {
	since := n.ramp.Load()
	if since == 0 {
		return 1
	}
	f := float64(t-since) / float64(slowStart)
	if f >= 1 || slowStart <= 0 {
		n.ramp.CompareAndSwap(since, 0)
		return 1
	}
	return max(f, 0.1)
}

func untried(nodes []*node, tried []*Node) []*node {
	fresh := make([]*node, 0, len(nodes))
	for _, n := range nodes {
		if !n.isIn(tried) {
			fresh = append(fresh, n)
		}
	}
	return fresh
}

// isIn reports whether the call has tried n.
func (n *node) isIn(tried []*Node) bool {
	pub := n.pub.Load()
	for _, old := range tried {
		if old == pub || (old.ID == pub.ID && old.Addr == pub.Addr) {
			return true
		}
	}
	return false
}

func (s *Selector) isOut(n *node) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return n.out
}

// tryProbe claims a probe of an ejected node, or of a suspect, that is due. Calls that could
// not be repeated go only to nodes that were ejected by refused connections
// (there they are not sent, or answered), or when nobody else has come for a
// while.
func (s *Selector) tryProbe(c *Call, now time.Time, t int64) (*node, breaker.Permit, bool) {
	for n := s.takeProbe(c.Retriable, t); n != nil; n = s.takeProbe(c.Retriable, t) {
		permit, after, ok := n.breaker.TryAcquire(now)
		if ok {
			return n, permit, true
		}
		s.probeAt(n, t+int64(max(after, time.Millisecond)))
	}
	return s.takeSuspect(c.Retriable, now, t)
}

// takeProbe returns an ejected node that is due. The next caller looks at it
// again a little later, whether its breaker wants another probe.
func (s *Selector) takeProbe(retriable bool, t int64) *node {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.schedule()
	for _, n := range s.set.Load().out {
		if t >= n.dueAt(retriable) {
			n.retryAt = t + int64(leaseCheck)
			return n
		}
	}
	return nil
}

// probeAt sets when an ejected node may be probed.
func (s *Selector) probeAt(n *node, t int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.out {
		n.retryAt = t
		s.schedule()
	}
}

// dueAt is when an ejected node may be probed by a call that can be repeated,
// or by one that cannot.
func (n *node) dueAt(retriable bool) int64 {
	if retriable || n.free || n.retryAt == never {
		return n.retryAt
	}
	return n.retryAt + int64(patience)
}

// schedule publishes when the next probe is due, for either kind of call.
// Caller holds mu.
func (s *Selector) schedule() {
	set := s.set.Load()
	soon, late := set.nextSuspect(true), set.nextSuspect(false)
	for _, n := range set.out {
		soon, late = min(soon, n.dueAt(true)), min(late, n.dueAt(false))
	}
	s.nextProbe[1].Store(soon)
	s.nextProbe[0].Store(late)
}

// probeDue reports whether an ejected node may be due, at the price of a load.
func (s *Selector) probeDue(retriable bool, t int64) bool {
	if retriable {
		return t >= s.nextProbe[1].Load()
	}
	return t >= s.nextProbe[0].Load()
}

const (
	patience   = 5 * time.Second
	leaseCheck = 100 * time.Millisecond
)

// probed looks at what a probe has come to.
func (s *Selector) probed(n *node) {
	state := n.breaker.State()
	s.mu.Lock()
	now := s.clk.Now()
	t := int64(now.Sub(s.epoch))
	switch {
	case n.removed || !n.out:
	case state == breaker.Closed:
		s.admit(n, t, Event{Kind: Readmitted, At: now, Reason: breaker.Reason{Cause: breaker.ByProbe}})
	default:
		n.retryAt = t // the next pick asks the breaker when to come back
		if state == breaker.Open {
			s.events.Add(Event{Kind: ProbeFailed, At: now, Node: n.pub.Load(), Reason: breaker.Reason{Cause: breaker.ByProbe}})
		}
		s.schedule()
	}
	s.mu.Unlock()
	s.events.Drain()
}

// admit takes an ejected node back on a slow start; its score was reset when
// it went.
func (s *Selector) admit(n *node, t int64, e Event) {
	n.out, n.free = false, false
	s.unwatch(n) // what it owed was before
	n.ramp.Store(max(t, 1))
	s.rebuild(s.set.Load().all)
	e.Node = n.pub.Load()
	s.events.Add(e)
}

// noteOpen takes a node out of the set whose breaker refused a call: it was
// tripped by its own engine or by a hand.
func (s *Selector) noteOpen(n *node, t int64, after time.Duration) {
	s.mu.Lock()
	if !n.out && !n.removed {
		n.out, n.free, n.score = true, false, 0
		n.retryAt = t + int64(max(after, time.Millisecond))
		s.rebuild(s.set.Load().all)
		s.events.Add(Event{
			Kind: Ejected, At: s.clk.Now(), Node: n.pub.Load(), OpenFor: after,
			Reason: breaker.Reason{Cause: breaker.ByEngine},
		})
	}
	s.mu.Unlock()
	s.events.Drain()
}
