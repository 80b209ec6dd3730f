package selector

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// Ejection is when a node is taken out of the set: when it does worse than
// its peers. A score (CUSUM, E. S. Page 1954) decides when to look, a
// comparison with the peers over the same stretch of calls decides whose
// fault it is; an ill service or method ejects nobody. The zero value is good.
type Ejection struct {
	// Off only counts.
	Off bool

	// IgnoreSilence waits for the timeouts of a node that hangs. Otherwise it
	// gets no new call as soon as its silence is as unlikely as FalseAlarm says,
	// while others answer; it is ejected only when a probe times out.
	IgnoreSilence bool

	// FalseAlarm is how many healthy calls of a node lie between two false
	// looks at it, at least and on average: the threshold is its logarithm.
	// More is slower and surer. Default 1e6.
	FalseAlarm float64

	// Excess is the smallest additional failure probability that counts as
	// ill: a node 0.33 above its peers is found in tens of calls. Default 1/3.
	Excess float64

	// Baseline is the failure rate that is normal even where the peers have
	// none. Default 0.02.
	Baseline float64

	// MaxShare caps the ejected share of the set, the ejection in question
	// included; one node of two or more can always go, and nodes that refuse
	// connections do not count. Default 0.5.
	MaxShare float64

	// Burst lumps failures: of those that ended within Burst of the last one
	// counted and were begun before it, none is counted again, since one
	// broken connection fails every call on it. Default 10 ms, negative: off.
	Burst time.Duration
}

// Validate returns all that is wrong, joined.
func (e Ejection) Validate() error {
	var errs []error
	check := func(ok bool, field string, value any, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("ejection.%s %v: want %s", field, value, want))
		}
	}
	check(e.FalseAlarm == 0 || (e.FalseAlarm >= 100 && e.FalseAlarm <= 1e15), "falseAlarm", e.FalseAlarm, "100 to 1e15 calls (0: default 1e6)")
	check(e.Excess >= 0 && e.Excess <= .9, "excess", e.Excess, "above 0, at most 0.9 (0: default 1/3)")
	check(e.Baseline >= 0 && e.Baseline <= .5, "baseline", e.Baseline, "above 0, at most 0.5 (0: default 0.02)")
	check(e.MaxShare >= 0 && e.MaxShare <= 1, "maxShare", e.MaxShare, "above 0, at most 1 (0: default 0.5)")
	return errors.Join(errs...)
}

// thresholds are an Ejection, worked out.
type thresholds struct {
	off      bool
	deaf     bool
	excess   float64 // Δ
	pass     float64 // what a success takes away: −ln(1−Δ)
	look     float64 // h: the score at which to look
	few      float64 // h2, with fewer than manyPeers …
	many     float64 // … and with at least as many
	baseline float64 // p0min
	maxShare float64
	burst    int64
}

func (e Ejection) thresholds() thresholds {
	def := func(x *float64, d float64) {
		if *x == 0 {
			*x = d
		}
	}
	def(&e.FalseAlarm, 1e6)
	def(&e.Excess, 1./3)
	def(&e.Baseline, .02)
	def(&e.MaxShare, .5)
	if e.Burst == 0 {
		e.Burst = 10 * time.Millisecond
	}
	h := math.Log(e.FalseAlarm)
	return thresholds{
		off: e.Off, deaf: e.IgnoreSilence, excess: e.Excess, pass: -math.Log1p(-e.Excess), look: h, few: h / 2, many: h * 2 / 3,
		baseline: e.Baseline, maxShare: e.MaxShare, burst: int64(e.Burst),
	}
}

const (
	memory    = 64 // K: peers' counts are decayed over so many calls
	manyPeers = 4
	maxPeers  = 32 // in larger sets a sample stands for all
	// lookEvery bounds the cost of a total outage: one comparison a node.
	lookEvery = int64(time.Millisecond)
)

// failed records a failure and ejects the node if it is to blame.
func (s *Selector) failed(p *Picked, n *node, r Report) {
	now := s.clk.Now()
	t := int64(now.Sub(s.epoch))
	start := p.at
	if !r.Start.IsZero() {
		start = int64(r.Start.Sub(s.epoch))
	}
	tripper, _ := n.breaker.(breaker.Tripper)
	s.mu.Lock()
	var reason breaker.Reason
	var eject bool
	if r.Silent && n.suspected() && !n.out {
		p.cell.count()
		reason, eject = s.silent(n, p, t, tripper != nil)
	} else {
		reason, eject = s.judge(n, p.cell, p.method, start, t, r.NotSent)
	}
	if eject = eject && tripper != nil; eject {
		n.out, n.score, n.retryAt = true, 0, never
		s.rebuild(s.set.Load().all)
	}
	s.mu.Unlock()
	if eject {
		s.trip(n, tripper, reason, now)
	}
	s.events.Drain()
}

// trip opens the breaker of a node that judge has ejected, and learns from it
// when to come back.
func (s *Selector) trip(n *node, b breaker.Tripper, reason breaker.Reason, now time.Time) {
	b.Trip(reason)
	permit, after, ok := n.breaker.TryAcquire(now)
	if ok {
		permit.Done(breaker.Report{})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.out {
		n.retryAt = int64(now.Sub(s.epoch) + after)
		s.schedule()
	}
	s.events.Add(Event{Kind: Ejected, At: now, Node: n.pub.Load(), OpenFor: after, Reason: reason})
}

// judge is the ejector (../shared/DETECTION.md): it updates the score S of n
// for a failure and, at the threshold, asks for the contrast D.
func (s *Selector) judge(n *node, c *cell, method int, start, now int64, notSent bool) (breaker.Reason, bool) {
	th := &s.tune.Load().ejection
	c.count()
	passed := n.successes()
	if n.out || n.removed || (start <= n.last && now-n.last < th.burst) {
		return breaker.Reason{}, false // one burst is one observation
	}
	n.last = now
	var since uint64
	if since = passedSince(n.passed, passed); since > 0 {
		n.passed = passed
	}
	n.score = max(0, n.score-th.pass*float64(since))
	peers := s.peers(n)
	if n.score == 0 {
		s.suspects.lend(n, th.pass)
		n.openWindow(peers)
	} else {
		n.window.passed += since
	}
	p0 := s.scratch.baseline(peers, method, th)
	n.score += math.Log1p(th.excess * (1 - p0) / p0)
	w := n.window
	c.k++
	w.failures++
	if notSent {
		w.notSent++
	}
	if n.score < th.look {
		return breaker.Reason{}, false
	}
	if th.off || len(peers) == 0 || now-w.looked < lookEvery {
		n.score = th.look
		return breaker.Reason{}, false
	}
	if w.outlived(len(peers)) { // a rolling replacement must not shelter n
		vetoed, spared := w.vetoed, w.spared
		n.openWindow(peers)
		w.looked, w.vetoed, w.spared, n.score = now, vetoed, spared, th.look
		return breaker.Reason{}, false
	}
	w.looked = now

	// A node that is down lets nothing pass; others that are down as well do not
	// excuse it. Where some connections are refused and some are not, the trouble
	// may be the client's own.
	refused := w.notSent == w.failures
	contrast, need := s.scratch.contrast(n, peers, th, refused && w.passed == 0), th.few
	if len(w.peers) >= manyPeers {
		need = th.many
	}
	reason := breaker.Reason{
		Cause: breaker.ByEjector, Rule: "worse than its peers",
		Score: contrast, Threshold: need, Calls: w.passed + uint64(w.failures), Failures: uint64(w.failures),
	}
	if contrast < need {
		n.score = th.look // look again at the next failure
		if !w.spared {
			w.spared = true
			s.events.Add(Event{Kind: Spared, At: s.instant(now), Node: n.pub.Load(), Reason: reason})
		}
		return reason, false
	}
	if !refused && !s.mayEject(th) {
		n.score = th.look
		if !w.vetoed {
			w.vetoed = true
			s.events.Add(Event{Kind: Prevented, At: s.instant(now), Node: n.pub.Load(), Reason: reason})
		}
		return reason, false
	}
	n.free = refused
	return reason, true
}

// mayEject reports whether one more node fits under the cap.
func (s *Selector) mayEject(th *thresholds) bool {
	all, out := 0, 0
	for _, n := range s.set.Load().all {
		if n.notReady {
			continue
		}
		all++
		if n.out && !n.free {
			out++
		}
	}
	return out < max(1, int(float64(all)*th.maxShare))
}
