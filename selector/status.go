package selector

import (
	"fmt"
	"math"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// Status is how a node stands.
type Status struct {
	Node      *Node
	Breaker   breaker.Breaker
	State     breaker.State // the breaker's
	Ejected   bool          // out of the set
	NotReady  bool          // marked by SetReady
	Suspect   bool          // silent: gets no new call while others can take it
	InFlight  int
	Picks     uint64 // attempts since the node was first seen, cancelled ones not; late and held ones count twice until they end
	Failures  uint64
	Latency   time.Duration // average over the last few successes; 0: unknown
	Score     float64       // S, to be compared with …
	Threshold float64       // … this
	RetryAt   time.Time     // when an ejected node may next be tried
}

// Nodes returns the status of every node, in the source's order.
func (s *Selector) Nodes() []Status {
	all, list := s.statuses()
	for i, n := range all { // a user's engine may call back: not under mu
		list[i].State = n.breaker.State()
	}
	return list
}

func (s *Selector) statuses() ([]*node, []Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	look := s.tune.Load().ejection.look
	all := s.set.Load().all
	list := make([]Status, len(all))
	for i, n := range all {
		load := n.load.Load()
		list[i] = Status{
			Node: n.pub.Load(), Breaker: n.breaker, Ejected: n.out, NotReady: n.notReady, Suspect: n.suspected(),
			InFlight: int(load & inFlightMask), Picks: load >> inFlightBits, Failures: n.failures.Load(),
			Latency: time.Duration(n.average()), Score: n.score, Threshold: look,
		}
		if n.out && n.retryAt != never {
			list[i].RetryAt = s.instant(n.retryAt)
		}
	}
	return all, list
}

// Successes is the number of attempts that ended well, on all nodes there
// were. It costs a walk over the nodes.
func (s *Selector) Successes() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := s.retired
	for _, n := range s.set.Load().all {
		sum += n.total()
	}
	return sum
}

// HasUntried reports whether an admitted node remains that is not in tried.
func (s *Selector) HasUntried(tried []*Node) bool {
	return len(untried(s.set.Load().live.nodes, tried)) > 0
}

// Typical returns what a successful attempt of a method takes on a good node;
// 0: unknown. It looks at a few nodes only, and not at each call.
func (s *Selector) Typical(method string) time.Duration {
	methods := s.methods.Load().index
	m, ok := methods[method]
	switch {
	case ok:
	case len(methods) < maxMethods:
		return 0
	default:
		m = maxMethods
	}
	return s.typicalOf(m)
}

// typicalOf is Typical by the method's index. It is kept until one of the
// records that it is made of may have changed.
func (s *Selector) typicalOf(method int) time.Duration {
	if x := s.typical[method].Load(); x != 0 {
		return time.Duration(math.Float32frombits(x))
	}
	live := s.set.Load().live.nodes
	best := float32(0)
	for i := 0; i < len(live) && i < 8; i++ {
		if c := live[i].cellAt(method); c != nil {
			if x := c.typical(); x > 0 && (best == 0 || x < best) {
				best = x
			}
		}
	}
	s.typical[method].Store(math.Float32bits(best))
	return time.Duration(best)
}

// SetReady marks a node as able to take calls or not, from outside: a
// connection that is being made, a health check. A node that is not ready is
// used only when there is no other. It fails when there is no such node.
func (s *Selector) SetReady(id string, ready bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.find(id)
	if n == nil {
		return fmt.Errorf("node %q: not in the set", id)
	}
	if n.notReady == ready {
		n.notReady = !ready
		s.rebuild(s.set.Load().all)
	}
	return nil
}

// Eject takes a node out by hand, as the ejector would; its breaker lets it
// be probed when the open time is over. The cap does not apply. It fails when
// there is no such node, or its engine's breakers cannot be tripped.
func (s *Selector) Eject(id, note string) error {
	n, tripper, err := s.tripper(id)
	if err != nil {
		return err
	}
	now := s.clk.Now()
	s.mu.Lock()
	if n.out {
		s.mu.Unlock()
		return nil
	}
	n.out, n.free, n.score, n.retryAt = true, false, 0, never
	s.rebuild(s.set.Load().all)
	s.mu.Unlock()
	s.trip(n, tripper, breaker.Reason{Cause: breaker.ByHand, Note: note}, now)
	s.events.Drain()
	return nil
}

// Readmit takes an ejected node back by hand, on a slow start, or clears a
// suspect. It fails as Eject does.
func (s *Selector) Readmit(id, note string) error {
	n, tripper, err := s.tripper(id)
	if err != nil {
		return err
	}
	reason := breaker.Reason{Cause: breaker.ByHand, Note: note}
	tripper.Reset(reason)
	now := s.clk.Now()
	s.mu.Lock()
	switch {
	case n.removed:
	case n.out:
		s.admit(n, int64(now.Sub(s.epoch)), Event{Kind: Readmitted, At: now, Reason: reason})
	case s.unwatch(n):
		s.rebuild(s.set.Load().all)
		s.events.Add(Event{Kind: Cleared, At: now, Node: n.pub.Load(), Reason: reason})
	}
	s.mu.Unlock()
	s.events.Drain()
	return nil
}

func (s *Selector) tripper(id string) (*node, breaker.Tripper, error) {
	s.mu.Lock()
	n := s.find(id)
	s.mu.Unlock()
	if n == nil {
		return nil, nil, fmt.Errorf("node %q: not in the set", id)
	}
	tripper, ok := n.breaker.(breaker.Tripper)
	if !ok {
		return nil, nil, fmt.Errorf("node %q: its breaker (%T) cannot be tripped from outside", id, n.breaker)
	}
	return n, tripper, nil
}

// find returns a node of the set. Caller holds mu.
func (s *Selector) find(id string) *node {
	for _, n := range s.set.Load().all {
		if n.pub.Load().ID == id {
			return n
		}
	}
	return nil
}
