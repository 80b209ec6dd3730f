package selector

import "time"

// Traffic is what a selector has sent and heard, summed up over its nodes.
type Traffic struct {
	Answers uint64 // successes so far, those of late attempts included
	Late    uint64 // of these, the successes of attempts that were late by then: see [Picked.Late]

	InFlight int           // attempts under way at nodes that have not fallen silent
	Latency  time.Duration // what successes in time took of late, on average over the nodes; 0: unknown
}

// Traffic sums up. It looks at every node: it is for what is done now and then.
func (s *Selector) Traffic() (t Traffic) {
	t.Late = s.late.Load()
	t.Answers = t.Late
	s.mu.Lock()
	defer s.mu.Unlock()
	t.Answers += s.retired
	now, known := s.clk.Mono()-s.origin, time.Duration(0)
	for _, n := range s.set.Load().all {
		t.Answers += n.total()
		if n.watch.Load() == nil && !n.quiet(now) {
			t.InFlight += int(n.inFlight()) //nolint:gosec // 24 bits
		}
		if l := n.average(); l > 0 {
			t.Latency += time.Duration(l)
			known++
		}
	}
	t.Latency /= max(known, 1)
	return t
}
