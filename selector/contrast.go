package selector

import (
	"cmp"
	"math"
	"slices"
)

// window is the stretch of calls since a node's score last rose from zero:
// its own failures (the k of its cells) and successes, and what its peers had
// counted when it began.
type window struct {
	passed   uint64 // own successes
	failures uint32 // own failures that were counted, one a burst
	notSent  uint32 // of these, refused connections
	looked   int64  // when the peers were last looked at
	vetoed   bool   // the cap's veto has been reported
	spared   bool   // that the others do no better has been reported
	peers    []*node
	base     []tally // by peer, then method
	methods  int     // of base
}

type tally struct{ n, failed uint32 }

func (n *node) openWindow(peers []*node) {
	w, methods := n.window, 0
	for _, p := range peers {
		methods = max(methods, p.methods())
	}
	*w = window{peers: slices.Grow(w.peers[:0], len(peers)), base: slices.Grow(w.base[:0], len(peers)*methods), methods: methods}
	for _, p := range peers {
		w.peers = append(w.peers, p)
		for m := range methods {
			var t tally
			if c := p.cellAt(m); c != nil {
				t = tally{uint32(c.n.Load()), c.failed}
			}
			w.base = append(w.base, t)
		}
	}
	for m := range n.methods() {
		if c := n.cellAt(m); c != nil {
			c.k = 0
		}
	}
}

// since returns what peer i has counted for a method since the window began.
func (w *window) since(i, method int) (calls, failures float64) {
	c := w.peers[i].cellAt(method)
	if c == nil {
		return 0, 0
	}
	var b tally
	if method < w.methods {
		b = w.base[i*w.methods+method]
	}
	// Differences survive the wrap; a cancelled call may take one below zero.
	return float64(max(0, int32(uint32(c.n.Load())-b.n))), float64(c.failed - b.failed)
}

// outlived reports whether the window's peers that are left are too few to
// stand for those there are.
func (w *window) outlived(peers int) bool {
	left := 0
	for _, p := range w.peers {
		if !p.out && !p.removed {
			left++
		}
	}
	return 2*left < peers
}

// peers returns the admitted nodes other than n; of many, a random run of
// maxPeers. The slice is valid until the next call. Caller holds mu.
func (s *Selector) peers(n *node) []*node {
	live := s.set.Load().live.nodes
	from, count := 0, len(live)
	if count > maxPeers+1 {
		from, count = int(s.clk.Rand()%uint64(len(live))), maxPeers
	}
	peers := s.scratch.peers[:0]
	for i := range count {
		if p := live[(from+i)%len(live)]; p != n {
			peers = append(peers, p)
		}
	}
	s.scratch.peers = peers
	return peers
}

// scratch is memory for comparisons, and the comparisons.
type scratch struct {
	peers []*node
	rows  []row
}

// row is one peer's counts: of all methods, and of the one in question.
type row struct {
	calls, failures float64
	node            *node
	index           int
}

// trim drops the quarter of rows that failed most: an ill peer must not make
// illness look normal.
func trim(rows []row) []row {
	drop := len(rows) / 4
	if drop == 0 {
		return rows
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		return cmp.Compare((a.failures+.5)/(a.calls+1), (b.failures+.5)/(b.calls+1))
	})
	return rows[:len(rows)-drop]
}

// baseline is p0(node, method): the failure rate that the peers show for the
// method of late, leaning on that of all methods where they say little.
func (sc *scratch) baseline(peers []*node, method int, th *thresholds) float64 {
	rows := sc.rows[:0]
	for _, p := range peers {
		fe, ne := p.decayed()
		rows = append(rows, row{calls: ne, failures: fe, node: p})
	}
	sc.rows = rows
	var fm, nm, fa, na float64
	for _, r := range trim(rows) {
		fa, na = fa+r.failures, na+r.calls
		if c := r.node.cellAt(method); c != nil {
			fe, ne := c.decayed()
			fm, nm = fm+fe, nm+ne
		}
	}
	qa := (fa + .5) / (na + 10)
	return min(max((fm+10*qa)/(nm+10), th.baseline), .99)
}

// decayed sums a node's decayed counts over its methods.
func (n *node) decayed() (failures, calls float64) {
	for m := range n.methods() {
		if c := n.cellAt(m); c != nil {
			fe, ne := c.decayed()
			failures, calls = failures+fe, calls+ne
		}
	}
	return failures, calls
}

// contrast is D: how much better "this node has an excess of failures" than
// "it fails like its peers" explains its window, in nats; the better of a
// small and a large excess. With passing, peers that have let nothing pass are
// left out.
func (sc *scratch) contrast(n *node, live []*node, th *thresholds, passing bool) float64 {
	w := n.window
	rows := sc.rows[:0]
	for i, p := range w.peers {
		if p.out || p.removed {
			continue
		}
		r := row{node: p, index: i}
		for m := range p.methods() {
			calls, failures := w.since(i, m)
			r.calls, r.failures = r.calls+calls, r.failures+failures
		}
		r.calls = max(r.failures, r.calls-float64(p.inFlight())) // what is in flight has not passed yet
		if !passing || r.calls > r.failures {
			rows = append(rows, r)
		}
	}
	sc.rows = rows
	if len(rows) == 0 {
		return math.Inf(-1)
	}
	rows = trim(rows)
	var fa, na float64
	for _, r := range rows {
		fa, na = fa+r.failures, na+r.calls
	}
	ua := doubt(fa)
	pa := (fa + .5 + ua) / (na + 1 + ua)

	small := math.Log1p(-th.excess) * float64(w.passed)
	large := math.Log1p(-.9) * float64(w.passed)
	kept := slices.Clone(rows) // baseline uses the scratch rows
	for m := range n.methods() {
		c := n.cellAt(m)
		if c == nil || c.k == 0 {
			continue
		}
		var fm, nm float64
		for _, r := range kept {
			calls, failures := w.since(r.index, m)
			fm, nm = fm+failures, nm+calls
		}
		um := doubt(fm)
		p := max(pa, (fm+.5+um+2*pa)/(nm+3+um), sc.baseline(live, m, th))
		// Nodes that differ by a few per cent for good are not ill: where the
		// peers show next to nothing, 1½ × the baseline is believed of all.
		p = min(max(p, 2*th.baseline), .999)
		small += float64(c.k) * math.Log1p(th.excess*(1-p)/p)
		large += float64(c.k) * math.Log1p(.9*(1-p)/p)
	}
	return min(max(small, large), believed*(na-fa))
}

// believed bounds the contrast, in nats, by each call that the peers answered
// well: many failures of a node say nothing against it while its peers were
// hardly called, or fail like it.
const believed = 2

// doubt widens a count by about one standard error, so that a peer that was
// lucky so far does not condemn.
func doubt(failures float64) float64 { return math.Sqrt(failures + .25) }
