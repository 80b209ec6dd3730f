package resilience

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/retry"
)

// door is where calls wait of which nothing was sent, until the service is back.
// They ask nobody, for the calls that arrive do that; answers let them in, the
// longest waiting first, whoever got the answers. So they add nothing to an
// outage, and what they add to its end is bounded. Where no call arrives, since
// all who make them wait, the longest waiting is sent away after a while.
type door struct {
	waiting atomic.Int32

	mu      sync.Mutex
	line    list.List // of *guest
	answers int       // that have let nobody in yet
	clk     clock.Clock
	asked   int64 // when somebody last did, as clk's Mono tells it
	alarm   clock.Alarm
}

// guest is a call that waits.
type guest struct {
	let  context.CancelCauseFunc
	left bool // the line: it was let in or sent away
	in   bool
}

// perEntry is how many answers let one in. With two, the calls that arrive and
// those that wait make twice the load of the first alone: what it takes for each
// to have its turn before its time is over, and no more.
const perEntry = 2

// lull is for how long nobody asks before waiting is in vain: those who wait may
// be all whom a bulkhead, or the number of workers, lets make calls.
const lull = 300 * time.Millisecond

// mostOfAll is how many attempts a call makes that waits, times those that it
// may make without.
const mostOfAll = 2

// answered tells the door that a node has answered. It costs a load while
// nobody waits.
func (d *door) answered() {
	if d.waiting.Load() == 0 {
		return
	}
	d.mu.Lock()
	let := nobody
	if d.line.Len() > 0 {
		d.asked = d.clk.Mono()
	}
	if d.answers++; d.answers >= perEntry {
		d.answers = 0
		let = d.first(true)
	}
	d.mu.Unlock()
	let(nil)
}

// first takes the longest waiting out of the line, if there is one, to be let in
// or sent away. Whoever calls it holds mu, and calls let afterwards.
func (d *door) first(in bool) (let context.CancelCauseFunc) {
	front := d.line.Front()
	if front == nil {
		return nobody
	}
	g := d.leave(front)
	g.in = in
	return g.let
}

// leave takes a guest out of the line. Caller holds mu.
func (d *door) leave(place *list.Element) *guest {
	g := d.line.Remove(place).(*guest)
	g.left = true
	if d.waiting.Add(-1) == 0 {
		d.alarm.Clear()
	}
	return g
}

func nobody(error) {}

// ring sends one away if nobody asks.
func (d *door) ring() {
	d.mu.Lock()
	d.alarm.Rang()
	let := nobody
	if d.line.Len() > 0 {
		now := d.clk.Mono()
		if now-d.asked >= int64(lull) {
			d.asked, let = now, d.first(false)
		}
		if d.line.Len() > 0 {
			d.alarm.Set(d.clk, d.asked+int64(lull), lull-time.Duration(now-d.asked), d.ring)
		}
	}
	d.mu.Unlock()
	let(nil)
}

// wait returns when the call is let in, which it reports, or after most, or
// when ctx ends: who has left by then gives way to the next.
func (d *door) wait(ctx context.Context, clk clock.Clock, most time.Duration) bool {
	until, let := clk.WithCancel(ctx)
	defer let(nil)
	g := &guest{let: let}
	d.mu.Lock()
	place := d.line.PushBack(g)
	d.waiting.Add(1)
	d.clk, d.asked = clk, clk.Mono()
	d.alarm.Set(clk, d.asked+int64(lull), lull, d.ring)
	d.mu.Unlock()
	_ = clk.Sleep(until, most)
	d.mu.Lock()
	next := nobody
	switch {
	case !g.left:
		d.leave(place)
	case g.in && ctx.Err() != nil:
		next = d.first(true)
	}
	d.mu.Unlock()
	next(nil)
	return g.in
}

// waits reports whether a call that may make no other attempt now may wait for
// one. Where all of them reached nobody, the next is no more load than the call
// itself, whatever the budget holds. A service that has never answered is not
// waited for: its address may be wrong. Nor does a call wait for ever that
// cannot be sent while others are.
func (r *retrier) waits(p *retry.Policy, f *frame, why retry.Reason) bool {
	if why != retry.Exhausted && why != retry.OverBudget || p.Await <= 0 || p.Attempts <= 1 || f.attempt.Attempt >= mostOfAll*p.Attempts {
		return false
	}
	for i := range f.attempts {
		if o := &f.attempts[i].Outcome; o.Effect != retry.None || o.Node != breaker.Failure || o.After > 0 {
			return false
		}
	}
	return f.try.sel != nil && f.try.sel.Typical(f.attempt.Method) > 0
}

// await waits at the door as long as an attempt could still be made in time.
// It returns why as it is if the door stays shut.
func (r *retrier) await(ctx context.Context, p *retry.Policy, call *Call, f *frame, why retry.Reason) (retry.Reason, error) {
	now := f.attempt.ended()
	left := call.Start().Add(p.Await).Sub(now)
	if deadline, ok := ctx.Deadline(); ok {
		left = min(left, deadline.Sub(now)-f.try.sel.Typical(f.attempt.Method)-1)
	}
	if left <= 0 {
		return why, nil
	}
	if r.Observer != nil {
		r.Observer.Observe(retryEvent(ctx, &f.attempt, left))
	}
	in := r.door.wait(ctx, r.Clock, left)
	switch {
	case ctx.Err() != nil:
		return retry.Cancelled, ended(ctx)
	case in:
		return retry.Granted, nil
	}
	return why, nil
}
