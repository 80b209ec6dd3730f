package clock

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"time"
)

// ErrDeadlock is what [Virtual.Sleep] returns, wrapped with the reason, when
// it cannot ever end: an endless sleep from outside with nothing left to run,
// a sleep in an AfterFunc callback, a sleep on a closed clock.
var ErrDeadlock = errors.New("this sleep could never end")

// epoch is where every Virtual begins.
var epoch = time.Date(2020, time.January, 1, 0, 0, 0, 0, time.UTC)

// forever is the instant that never comes: sums that overflow end here.
const forever int64 = math.MaxInt64

// Virtual is a deterministic discrete-event scheduler behind [Clock]: what
// [Virtual.Go] starts runs as coroutines, exactly one at a time, and time
// jumps to the next event when all of them sleep. The same seed and the same
// program give the same run, step by step. Events at one instant run in the
// order in which they were scheduled.
//
// Nothing runs by itself: the goroutine that calls [Virtual.Wait],
// [Virtual.Run], [Virtual.RunUntil] or, from outside any coroutine,
// [Virtual.Sleep] runs the event loop.
//
// What runs under the clock may block only in Sleep and Wait. A coroutine
// that blocks elsewhere (a channel, a mutex held over a Sleep) stops the loop
// as it would stop any single-threaded program; receiving from ctx.Done() in
// a select with a default is fine.
//
// Concurrency: coroutines and callbacks need no locks among each other. The
// clock and its contexts must not be used by two goroutines at the same time,
// so not from outside while the loop runs, nor from a goroutine that a
// coroutine started with a go statement. context.AfterFunc starts such a
// goroutine.
//
// Make one with [NewVirtual]. Coroutines that are parked for good hold memory
// until [Virtual.Close].
type Virtual struct {
	now     int64 // since epoch
	limit   int64 // events after this instant stay
	timers  timers
	ready   queue
	foreign foreigners // contexts to look at after each event

	cur     *worker // the coroutine that runs; nil in the loop and outside
	looping bool
	halt    bool // the Sleep that drives the loop is over
	closed  bool

	workers []*worker // all that exist
	idle    []*worker
	live    int       // coroutines queued, running or parked
	waiting []*worker // parked in Wait

	panicked *PanicError
	rng      rand.PCG
}

var _ Clock = (*Virtual)(nil)

// NewVirtual returns a clock that stands at 2020-01-01 00:00 UTC, whose Rand
// is determined by seed.
func NewVirtual(seed uint64) *Virtual {
	return &Virtual{rng: *rand.NewPCG(seed, 0x9e3779b97f4a7c15)}
}

// Now implements [Clock].
func (v *Virtual) Now() time.Time { return epoch.Add(time.Duration(v.now)) }

// Rand implements [Clock]: PCG, seeded by NewVirtual.
func (v *Virtual) Rand() uint64 { return v.rng.Uint64() }

// after returns the instant d from now; a closed clock has no future.
func (v *Virtual) after(d time.Duration) int64 {
	if v.closed || int64(d) > forever-v.now {
		return forever
	}
	return v.now + int64(d)
}

// Go implements [Clock]: f starts at the present instant, after what is
// already due. On a closed clock f never starts. A panic in f ends only its
// coroutine and comes out of the call that runs the loop, as a [*PanicError];
// the clock stays usable. runtime.Goexit in f ends only its coroutine.
func (v *Virtual) Go(f func()) {
	if v.closed {
		return
	}
	v.live++
	v.ready.push(start(f))
}

// Sleep implements [Clock]. A coroutine is woken when d is over or ctx ends,
// whichever is first. Outside any coroutine, Sleep runs the event loop until
// then.
//
// A context of this clock, and whatever package context derives from one,
// wakes its sleepers in a deterministic order at the instant at which it
// ends. A context that is cancelled behind the clock's back (made by
// context.WithCancel, whatever its parent) is looked at after each event, so
// a coroutine that cancels it wakes its sleepers at that same instant, at
// the price of one check per event for each such context in use. One that a
// real timer or goroutine cancels is noticed in the same way, which is not
// deterministic.
//
// Errors: ctx.Err(), or one that matches [ErrDeadlock].
func (v *Virtual) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	at := v.after(d)
	w := v.cur
	switch {
	case w == nil:
		return v.drive(ctx, at)
	case v.closed:
		return w.unwind()
	case v.skip(at):
		return nil
	}
	w.asleep = true
	v.timers.arm(&w.timer, at)
	v.watch(ctx, &w.node)
	w.park()
	w.asleep = false
	w.node.unlink()
	return ctx.Err()
}

// skip jumps to at if nothing else could happen until then: the coroutine
// that sleeps would be the next to run.
func (v *Virtual) skip(at int64) bool {
	v.pollForeign() // the coroutine may have cancelled what others wait for
	if v.ready.n > 0 || at > v.limit || at >= v.timers.next() {
		return false
	}
	v.now = at
	return true
}

// AfterFunc implements [Clock]. f runs in the event loop, not as a coroutine:
// it must not block, and Sleep fails in it. A panic in f comes out of the
// call that runs the loop; runtime.Goexit ends the goroutine that made it.
func (v *Virtual) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	a := &alarm{v: v, f: f}
	a.timer.owner = a
	switch {
	case d > 0:
		v.timers.arm(&a.timer, v.after(d))
	case !v.closed:
		v.ready.push(a)
	}
	return a.stop
}

// Wait implements [Clock]. From outside, it runs the event loop until nothing
// is left to run, neither coroutines nor timers. If coroutines remain that
// nothing can wake, it returns all the same; [Virtual.Parked] tells how many.
// Coroutines that finished are released; what they occupied needs no Close.
//
// In a coroutine, Wait parks it until every coroutine that is not itself in
// Wait has returned, or nothing else is left to run. In an AfterFunc callback
// and on a closed clock it returns at once.
func (v *Virtual) Wait() {
	switch w := v.cur; {
	case v.closed:
	case w != nil:
		v.waiting = append(v.waiting, w)
		v.wakeWaiting(false)
		w.park()
	case !v.looping:
		v.run(forever)
		v.releaseIdle()
	}
}

// Run is Go(f) and Wait().
func (v *Virtual) Run(f func()) {
	v.Go(f)
	v.Wait()
}

// RunUntil runs the event loop up to and including the instant t, then makes
// it the present; it does nothing if t is past. In a coroutine it is a Sleep
// until t; in an AfterFunc callback it does nothing.
func (v *Virtual) RunUntil(t time.Time) {
	limit := int64(t.Sub(epoch)) // saturates: forever is Wait
	switch {
	case v.cur != nil:
		_ = v.Sleep(context.Background(), t.Sub(v.Now()))
	case !v.looping && !v.closed && limit >= v.now:
		v.run(limit)
		if limit < forever && !v.closed {
			v.now = limit
		}
	}
}

// Parked returns how many coroutines have started and not ended, without the
// one that asks. After Wait, these are the ones that nothing will ever wake.
func (v *Virtual) Parked() int {
	n := len(v.workers) - len(v.idle)
	if v.cur != nil {
		n--
	}
	return n
}
