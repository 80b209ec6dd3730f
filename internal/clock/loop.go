package clock

import (
	"context"
	"fmt"
)

// drive is Sleep outside any coroutine.
func (v *Virtual) drive(ctx context.Context, at int64) error {
	if v.closed {
		return fmt.Errorf("clock: Sleep on a closed clock: %w", ErrDeadlock)
	}
	if v.looping {
		return fmt.Errorf("clock: Sleep in an AfterFunc callback: %w", ErrDeadlock)
	}
	o := &outside{v: v}
	o.timer.owner, o.node.sub = o, o
	v.timers.arm(&o.timer, at)
	v.watch(ctx, &o.node)
	defer func() { // also when a coroutine panics
		o.left = true
		v.timers.disarm(&o.timer)
		o.node.unlink()
	}()
	v.run(forever)
	if err := ctx.Err(); err != nil || o.over {
		return err
	}
	return fmt.Errorf("clock: Sleep with nothing left to run: %w", ErrDeadlock)
}

// run is the event loop. It returns when nothing is left to run up to limit,
// or the Sleep that drives it is over, or the clock was closed.
func (v *Virtual) run(limit int64) {
	v.limit, v.looping, v.halt = limit, true, false
	defer func() { // also when a coroutine panics
		v.looping = false
		if v.closed {
			v.shutdown()
		}
	}()
	v.pollForeign()
	for !v.halt && v.step() {
		v.pollForeign()
		if p := v.panicked; p != nil {
			v.panicked = nil
			panic(p)
		}
	}
}

// step runs the next event. Timers due now were armed before anything that
// is in the ready queue, so they go first.
func (v *Virtual) step() bool {
	next := v.timers.next()
	switch {
	case v.closed:
		return false
	case next > v.now && v.ready.n > 0:
		v.ready.pop().fire(v)
	case next <= v.limit && next < forever:
		v.now = max(v.now, next)
		t := v.timers.heap[0].t
		v.timers.disarm(t)
		t.owner.fire(v)
	default:
		return next == forever && v.wakeWaiting(true)
	}
	return true
}

// wakeWaiting wakes those in Wait if everyone who is left is, or if nothing
// else can run.
func (v *Virtual) wakeWaiting(drained bool) bool {
	if len(v.waiting) == 0 || !drained && len(v.waiting) < v.live {
		return false
	}
	for _, w := range v.waiting {
		v.ready.push(w)
	}
	v.waiting = v.waiting[:0]
	return true
}

// alarm is an AfterFunc.
type alarm struct {
	v     *Virtual
	timer timer
	f     func() // nil once it ran or was stopped
}

func (a *alarm) fire(*Virtual) {
	if f := a.f; f != nil {
		a.f = nil
		f()
	}
}

func (a *alarm) stop() bool {
	if a.f == nil {
		return false
	}
	a.f = nil
	a.v.timers.disarm(&a.timer)
	return true
}

// outside is a Sleep that drives the loop.
type outside struct {
	v     *Virtual
	timer timer
	node  node
	over  bool
	left  bool // Sleep has returned; one that is still queued means nothing
}

func (o *outside) fire(v *Virtual) {
	if !o.left {
		o.over, v.halt = true, true
	}
}

func (o *outside) ended(error, error) { o.v.ready.push(o) }
