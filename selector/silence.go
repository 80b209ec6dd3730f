package selector

import (
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// A node that hangs says nothing, and its failures come only with the
// timeouts. Silence itself is evidence: however many calls are under way, and
// whatever their latencies, the hazard of an answer that a healthy node gathers
// between two of its answers is exponentially distributed with mean 1
// (../shared/DETECTION.md). So −ln S(age), added up over the calls that began
// since its last answer, is beyond h only once in e^h answers, S being the
// share of the method's calls that take longer than that.
//
// A suspect gets no new call while others can take it, and is back with its
// first answer, of whatever kind; what is under way there may be given up: see
// Overdue. After a while one fresh call probes it: answered, it is cleared;
// timed out, it is ejected.
//
// While little is known of how long calls take, silence is proved slowly. An
// attempt that may be repeated is made elsewhere before that, when it is late:
// that costs an attempt at most (J. Dean & L. A. Barroso, The Tail at Scale,
// 2013), and is held against nobody. If the node answers after all, calls do
// take that long, and the next waits longer.

// watch is what is known of a node that has been silent for longer than its
// calls usually take. Selector.mu guards it.
type watch struct {
	starts  [8]start // of the first calls since the last answer
	n       int      // of starts
	suspect bool
	due     int64 // suspect: when a fresh call may probe it; else when one may go to a doubtful node; 0: not doubtful yet
}

type start struct {
	at     int64
	since  int64 // when it began to count: the last answer before that, at most
	end    int64 // when it was given up without an answer; never: it was not
	early  bool  // it was given up for being late
	method int
}

const (
	surelyNot   = 8.                              // nats: no call says more than that
	hopeless    = 7.                              // a call that is this late is made elsewhere, if it can be
	late        = 4.61                            // and one that is so late, if that is longer than any that was seen: see survival.late
	doubtful    = 4.                              // a node that is this late gets hardly any new calls
	unheardFor  = int64(500 * time.Millisecond)   // a suspect is probed after this: most pauses are shorter
	probeLease  = int64(10 * time.Second)         // a probe of a suspect that has not ended by then is forgotten
	probeAge    = 16                              // times what is usual: a probe is given up then,
	probeLeast  = float32(100 * time.Millisecond) // but not before: a node that was restarted is slow at first
	spareWatch  = 8
	quietFactor = 2 // times the usual latency
)

// quiet reports whether the node owes an answer, and has for a while, or did
// when the last that waited for one gave up.
func (n *node) quiet(t int64) bool {
	if n.load.Load()&inFlightMask == 0 {
		return n.watch.Load() != nil
	}
	w := n.latency.Load()
	age := int32(millis(t) - uint32(w)) //nolint:gosec // see millis
	return float32(age) > 2+quietFactor/float32(time.Millisecond)*average(w)
}

// listen notes a call that is about to go to a quiet node. It reports whether
// the call is better made elsewhere: the node has become a suspect, or it is
// doubtful and this is not the call that finds out.
func (s *Selector) listen(n *node, t int64, method int, retriable bool) (elsewhere bool) {
	th := &s.tune.Load().ejection
	if th.off || th.deaf {
		return false
	}
	s.mu.Lock()
	w := s.watchOver(n)
	if elsewhere = s.suspectIt(n, w, th, t) || s.doubt(n, w, t, retriable); !elsewhere {
		w.note(t, t, method)
	}
	s.mu.Unlock()
	s.events.Drain()
	return elsewhere
}

// doubt reports whether a call had better avoid the node, which has been
// silent for longer than all but a few of its calls take. That costs nothing
// if it is wrong. Now and then a call that may be repeated goes there all the
// same, or any other if no such call comes: an answer clears the node, more
// calls without one make a suspect. Caller holds mu.
func (s *Selector) doubt(n *node, w *watch, t int64, retriable bool) bool {
	switch {
	case s.silence(w, t, thin) < doubtful || !s.othersAnswer(n, w.begin()):
		return false
	case w.due == 0:
		w.due = t + unheardFor
	case t >= w.dueAt(retriable):
		w.due = t + unheardFor
		return false
	}
	return true
}

// Overdue is asked of an attempt that has been under way for longer than is
// usual. It reports whether waiting is in vain: the node is ejected, it has
// become a suspect, or hardly any call takes so long and no others are silent;
// a probe is given more time. Of the last it is wrong now and then, which is
// not the node's fault: the attempt is to be ended only if another may be made,
// and then reported as [Report.Early].
// tell must be called outside the caller's locks. Not to be called at the same
// time as Done.
func (p *Picked) Overdue() (silent bool, tell func()) {
	s, n := p.sel, p.node
	tell = func() {}
	if n == nil {
		return false, tell
	}
	p.early = false
	th := &s.tune.Load().ejection
	t := s.clk.Mono() - s.origin
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.set.Load()
	switch {
	case th.off, th.deaf, len(set.all) == 1, len(set.live.nodes) == 0: // nobody is better
		return false, tell
	case n.out:
		return !p.probe || p.aged(t), tell
	case n.watch.Load() == nil && !n.quiet(t):
		return false, tell
	}
	w := s.watchOver(n)
	if !p.noted { // it counts from the last answer on
		p.noted, p.since = true, max(p.at, n.heardAt(t))
		w.note(p.at, p.since, p.method)
	}
	if w.suspect {
		return !p.probe || p.aged(t), tell
	}
	if s.suspectIt(n, w, th, t) {
		return true, s.events.Drain
	}
	p.early = s.isLate(p, n, t)
	return p.early, tell
}

// isLate reports whether an attempt had better be made elsewhere: it takes too
// long, and most others that were called since have answered, if any were.
func (s *Selector) isLate(p *Picked, n *node, t int64) bool {
	h := s.survival[p.method].Load()
	if h == nil || h.hazard(t-p.at, thin)-h.hazard(p.since-p.at, thin) < h.late() {
		return false
	}
	answered, silent := s.others(n, p.since)
	return answered >= silent
}

// aged reports whether a probe has had its chance.
func (p *Picked) aged(t int64) bool {
	usual := p.cell.typical()
	return usual > 0 && float32(t-p.at) > max(probeAge*usual, probeLeast)
}

// heardAt is when the node answered last, at t or before.
func (n *node) heardAt(t int64) int64 {
	age := int64(int32(millis(t) - uint32(n.latency.Load()))) //nolint:gosec // see millis
	return t - max(age, 0)*int64(time.Millisecond)
}

// watchOver returns the watch on a node, which begins if need be. Caller holds
// mu.
func (s *Selector) watchOver(n *node) *watch {
	w := n.watch.Load()
	if w == nil {
		w = s.newWatch()
		n.watch.Store(w)
	}
	return w
}

func (w *watch) note(at, since int64, method int) {
	if w.n < len(w.starts) {
		w.starts[w.n] = start{at: at, since: since, end: never, method: method}
		w.n++
	}
}

// gaveUp is for an attempt that ended without an answer: it was silence for as
// long as it waited, and no longer.
func (s *Selector) gaveUp(n *node, p *Picked) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.clk.Mono() - s.origin
	if w := n.watch.Load(); w != nil {
		for i := range w.starts[:w.n] {
			if c := &w.starts[i]; c.at == p.at && c.since == p.since && c.method == p.method && c.end == never {
				c.end, c.early = t, p.early
				if w.due == 0 {
					w.due = t + unheardFor
				}
				return
			}
		}
	}
	if p.early { // the node has answered meanwhile
		s.takes(p.method, time.Duration(t-p.at))
	}
}

// suspectIt makes the node a suspect if its silence says so. Caller holds mu.
func (s *Selector) suspectIt(n *node, w *watch, th *thresholds, t int64) bool {
	score := s.silence(w, t, thick)
	if w.suspect || score < th.look || !s.othersAnswer(n, w.begin()) || !s.maySuspect(th) {
		return false
	}
	w.suspect, w.due = true, t+unheardFor
	s.rebuild(s.set.Load().all)
	s.events.Add(Event{Kind: Suspected, At: s.instant(t), Node: n.pub.Load(), Reason: breaker.Reason{
		Cause: breaker.ByEjector, Rule: "silent", Score: score, Threshold: th.look, Calls: uint64(w.n),
	}})
	return true
}

// silence is the hazard that a node has gathered by t, in nats.
func (s *Selector) silence(w *watch, t int64, tail float64) float64 {
	sum := 0.
	for _, c := range w.starts[:w.n] {
		if h := s.survival[c.method].Load(); h != nil {
			gathered := h.hazard(min(t, c.end)-c.at, tail)
			if c.since > c.at {
				gathered -= h.hazard(c.since-c.at, tail)
			}
			sum += min(surelyNot, gathered)
		}
	}
	return sum
}

// begin is when the silence began.
func (w *watch) begin() int64 {
	first := int64(never)
	for _, c := range w.starts[:w.n] {
		first = min(first, c.since)
	}
	return first
}

// othersAnswer reports whether a silence since then is the node's own: of the
// peers that were called since, most have answered.
func (s *Selector) othersAnswer(n *node, since int64) bool {
	answered, silent := s.others(n, since)
	return answered > 0 && answered >= silent
}

// others counts the peers that were called since then, by whether they have
// answered.
func (s *Selector) others(n *node, since int64) (answered, silent int) {
	began := millis(since)
	for _, p := range s.peers(n) {
		switch l := p.latency.Load(); {
		case average(l) > 0 && int32(uint32(l)-began) >= 0: //nolint:gosec // see millis
			answered++
		case p.inFlight() > 0:
			silent++
		}
	}
	return answered, silent
}

// maySuspect reports whether one more node may be left without calls: at least
// one must remain, and of those that are ready no more than the cap on
// ejections may be out or suspected.
func (s *Selector) maySuspect(th *thresholds) bool {
	set := s.set.Load()
	ready, without := len(set.live.nodes)+len(set.out)+len(set.suspects), len(set.suspects)
	for _, n := range set.out {
		if !n.free {
			without++
		}
	}
	return len(set.live.nodes) > 1 && without < max(1, int(float64(ready)*th.maxShare))
}

// answered clears a node that was quiet.
func (s *Selector) answered(n *node) {
	s.mu.Lock()
	if w := n.watch.Load(); w != nil {
		for _, c := range w.starts[:w.n] {
			if c.early {
				s.takes(c.method, time.Duration(c.end-c.at))
			}
		}
	}
	if s.unwatch(n) {
		s.rebuild(s.set.Load().all)
		s.events.Add(Event{Kind: Cleared, At: s.clk.Now(), Node: n.pub.Load()})
	}
	s.mu.Unlock()
	s.events.Drain()
}

// unwatch ends the watch on a node, and reports whether it was a suspect.
// Caller holds mu.
func (s *Selector) unwatch(n *node) (suspect bool) {
	w := n.watch.Swap(nil)
	if w == nil {
		return false
	}
	suspect = w.suspect
	if len(s.watches) < spareWatch {
		s.watches = append(s.watches, w)
	}
	return suspect
}

func (s *Selector) newWatch() *watch {
	last := len(s.watches) - 1
	if last < 0 {
		return new(watch)
	}
	w := s.watches[last]
	s.watches = s.watches[:last]
	*w = watch{}
	return w
}

// suspected reports whether the node is a suspect. Caller holds mu.
func (n *node) suspected() bool {
	w := n.watch.Load()
	return w != nil && w.suspect
}

// silent judges the timeout of a call to a suspect, which stays out of the
// score: of a probe it ejects, if the cap and the breaker let it. Caller holds
// mu.
func (s *Selector) silent(n *node, p *Picked, t int64, trips bool) (reason breaker.Reason, eject bool) {
	w := n.watch.Load()
	switch {
	case !p.probe:
		return reason, false
	case !trips, !s.mayEject(&s.tune.Load().ejection): // it stays a suspect
		w.due = t + unheardFor
		s.schedule()
		return reason, false
	}
	reason = breaker.Reason{Cause: breaker.ByEjector, Rule: "silent", Score: s.silence(w, t, thick), Threshold: s.tune.Load().ejection.look, Calls: uint64(w.n)}
	s.unwatch(n)
	return reason, true
}

// takeSuspect returns a suspect that is due, with a permit.
func (s *Selector) takeSuspect(retriable bool, now time.Time, t int64) (*node, breaker.Permit, bool) {
	s.mu.Lock()
	var found *node
	for _, n := range s.set.Load().suspects {
		if w := n.watch.Load(); w != nil && w.suspect && t >= w.dueAt(retriable) {
			w.due = t + probeLease
			found = n
			break
		}
	}
	s.schedule()
	s.mu.Unlock()
	if found == nil {
		return nil, breaker.Permit{}, false
	}
	permit, _, ok := found.breaker.TryAcquire(now) // not under mu: it may be a user's
	return found, permit, ok
}

func (w *watch) dueAt(retriable bool) int64 {
	if retriable {
		return w.due
	}
	return w.due + int64(patience)
}

// unprobed is for a probe of a suspect that has ended without saying anything.
func (s *Selector) unprobed(n *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.suspected() {
		n.watch.Load().due = int64(s.clk.Now().Sub(s.epoch))
		s.schedule()
	}
}

// nextSuspect is when the first of the suspects is due.
func (s *set) nextSuspect(retriable bool) int64 {
	next := int64(never)
	for _, n := range s.suspects {
		if w := n.watch.Load(); w != nil && w.suspect {
			next = min(next, w.dueAt(retriable))
		}
	}
	return next
}
