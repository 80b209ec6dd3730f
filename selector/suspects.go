package selector

// suspects are the nodes that have a window. Most nodes are under no
// suspicion most of the time; a window weighs more than all else that is known
// of a node, so it is passed on when the suspicion has passed.
type suspects struct {
	owners []*node
	hand   int
}

// suspectsSeen is how many owners are looked at when a window is wanted.
const suspectsSeen = 16

// lend sees to it that n has a window; those of cleared nodes that it comes
// across are taken, or given up.
func (s *suspects) lend(n *node, pass float64) {
	owned := n.window != nil
	for range min(suspectsSeen, len(s.owners)) {
		last := len(s.owners) - 1
		if s.hand++; s.hand > last {
			s.hand = 0
		}
		o := s.owners[s.hand]
		if o == n || !o.cleared(pass) {
			continue
		}
		if n.window == nil {
			n.window = o.window
		}
		o.window, o.score = nil, 0 // as the next failure would find it
		s.owners[s.hand], s.owners[last] = s.owners[last], nil
		s.owners = s.owners[:last]
	}
	if n.window == nil {
		n.window = &window{}
	}
	if !owned {
		s.owners = append(s.owners, n)
	}
}

// cleared reports whether n's successes have taken its score back to zero.
func (n *node) cleared(pass float64) bool {
	if n.window == nil {
		return true
	}
	return n.score <= pass*float64(passedSince(n.passed, n.successes()))
}
