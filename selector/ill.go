package selector

import "cmp"

// chooseIll is for the time when no node is admitted: of those that the call
// has not tried and that are ready, or else of all, one with few failures of
// late and little in flight. Of many nodes a random run is looked at.
func (s *Selector) chooseIll(set *set, tried []*Node) *node {
	nodes := set.all
	from, count := 0, len(nodes)
	if count > 2*maxPeers {
		from, count = int(s.clk.Rand()%uint64(count)), maxPeers
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var best *node
	var bestClass int
	var bestCost float64
	ties := uint64(0)
	for i := range count {
		n := nodes[(from+i)%len(nodes)]
		class, cost := n.class(tried), n.illness()
		order := cmp.Or(cmp.Compare(class, bestClass), cmp.Compare(cost, bestCost))
		switch {
		case best == nil, order < 0:
			best, bestClass, bestCost, ties = n, class, cost, 1
		case order == 0:
			if ties++; s.clk.Rand()%ties == 0 {
				best = n
			}
		}
	}
	return best
}

// class is 0 for a node to prefer, and more for one that is not ready or
// silent, or that was tried. Caller holds mu.
func (n *node) class(tried []*Node) int {
	class := 0
	if n.notReady || n.suspected() {
		class++
	}
	if n.isIn(tried) {
		class += 2
	}
	return class
}

// illness is what a call at n is expected to suffer; nodes that have not
// failed are alike, however much they were called.
func (n *node) illness() float64 {
	fe, ne := n.decayed()
	return (fe/(ne+1) + .1) * float64(n.inFlight()+1)
}
