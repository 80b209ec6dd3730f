package selector

import (
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// Picked is one attempt's claim on a node. It is a small value; do not copy
// it, and call Done exactly once when the attempt has ended.
type Picked struct {
	sel    *Selector
	node   *node
	cell   *cell
	method int
	permit breaker.Permit
	at     int64 // when it was picked, since epoch
	probe  bool
	late   bool
	held   bool
	noted  bool // its start is known to the watch on the node, as since
	early  bool // it is to be given up for being late; after Done: it was
	timing timing
	since  int64
}

// Node returns where to send the attempt. It is nil for the zero Picked.
func (p *Picked) Node() *Node {
	if p.node == nil {
		return nil
	}
	return p.node.pub.Load()
}

// Probe reports whether the attempt goes to an ejected node, to see whether
// it is well again.
func (p *Picked) Probe() bool { return p.probe }

// claim counts the attempt and fills in p, but for permit and probe.
func (s *Selector) claim(p *Picked, n *node, t int64, method string) {
	m := s.methodIndex(method)
	cell := n.cell(s, m)
	n.load.Add(onePick)
	p.timing = s.timing(n, cell, cell.n.Add(1))
	p.sel, p.node, p.cell, p.method, p.at = s, n, cell, m, t
	p.late, p.held, p.noted, p.early = false, false, false, false
}

// Done reports the attempt's result. A second Done does nothing. A Success
// writes only the node's own load and latency.
func (p *Picked) Done(r Report) {
	n := p.node
	if n == nil {
		return
	}
	p.node = nil
	if p.early = p.early && r.Early; p.early { // our doing
		r.Result = breaker.Ignored
	}
	// What leaves the load is the attempt's place in flight. Held, it stays
	// there, as a pick that counts for nothing else, until it is released.
	left := uint64(1)
	if p.held {
		left = ^onlyPick + 1 // −onlyPick
	}
	switch {
	case p.late: // it was counted as a failure when it became late
		n.leave(onlyPick + left)
		if r.Result == breaker.Success {
			p.sel.late.Add(1)
		}
	case r.Result == breaker.Success:
		n.leave(left)
		if r.Elapsed > 0 {
			p.observe(n, r.Elapsed)
		}
		if n.refused.Load() != 0 {
			n.tookOne(p.at + int64(r.Elapsed))
		}
	case r.Result == breaker.Failure:
		n.latency.Or(lastFailed)
		n.failures.Add(1) // before the load, or it would pass for a success
		n.leave(left)
	default:
		n.leave(onlyPick + left) // as if it had never been picked
		p.cell.n.Add(^uint64(0))
		if r.Refused {
			n.turnedAway(p.at + int64(r.Elapsed))
		}
	}
	// Listeners run in what follows, and may panic: the counts are right by now.
	p.settle(&r)
	heard := !r.Silent && (r.Result != breaker.Ignored || r.Refused)
	switch {
	case !heard && p.noted:
		p.sel.gaveUp(n, p)
	case heard && n.watch.Load() != nil:
		p.sel.answered(n)
	}
	if r.Result == breaker.Failure && !p.late {
		p.sel.failed(p, n, r)
	}
	if p.probe && !p.late {
		if r.Result == breaker.Ignored {
			p.sel.unprobed(n)
		}
		p.sel.probed(n)
	}
}

// settle tells the breaker. A foreign engine may want to know when the call
// began; ours does not.
func (p *Picked) settle(r *Report) {
	if r.Start.IsZero() && p.sel.native == nil {
		r.Start = p.sel.instant(p.at)
	}
	p.permit.Done(breaker.Report{Result: r.Result, Start: r.Start, Elapsed: r.Elapsed})
}

// Timed reports whether the elapsed time of a success is wanted. Where it is
// not, Done takes zero for it: the methods that take less than a few
// microseconds are timed once in eight calls, since reading the clock would be
// a part of what they cost.
func (p *Picked) Timed() bool { return p.timing != untimed }

// Typical returns what a successful attempt of this one's method takes on a
// good node; 0: unknown. It is [Selector.Typical] for those who have picked.
func (p *Picked) Typical() time.Duration {
	if p.sel == nil {
		return 0
	}
	return p.sel.typicalOf(p.method)
}

// Hold keeps the attempt in flight at its node after Done, for a response
// that is still being read; release ends it, and may be called more than once.
// Call Hold before Done, once.
func (p *Picked) Hold() (release func()) {
	h := new(Held)
	p.HoldIn(h)
	return h.Release
}

// Late says that the attempt has run past its timeout and goes on, because
// it may not be repeated. The node and its breaker are told of a failure, now
// and once: what Done reports later ends the attempt and says no more. Not to
// be called at the same time as Done.
func (p *Picked) Late() { p.MarkLate()() }

// MarkLate is Late in two steps, for callers that hold a lock of their own: it
// counts, and tell lets the breaker, the ejector and their listeners know.
// tell may run at the same time as Done.
func (p *Picked) MarkLate() (tell func()) {
	n := p.node
	if n == nil || p.late {
		return func() {}
	}
	p.late = true
	n.latency.Or(lastFailed)
	n.failures.Add(1)
	n.load.Add(onlyPick) // it is in flight besides
	r := Report{Result: breaker.Failure, Silent: true, Elapsed: time.Duration(p.sel.clk.Mono() - p.sel.origin - p.at)}
	// Not a copy of all of p: the attempt itself may be calling Hold.
	late := Picked{sel: p.sel, node: n, cell: p.cell, method: p.method, permit: p.permit, at: p.at, probe: p.probe, late: true}
	p.permit = breaker.Permit{} // it is reported here, and not by Done
	return func() {
		late.settle(&r)
		late.sel.failed(&late, n, r)
		if late.probe {
			late.sel.probed(n)
		}
	}
}
