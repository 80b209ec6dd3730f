package clock

import (
	"errors"
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"
)

// PanicError is what a panic in a coroutine becomes when it comes out of the
// call that runs the event loop: package iter would lose where it happened.
type PanicError struct {
	Value any    // what panic was called with
	Stack []byte // of the coroutine
}

// Error implements error.
func (p *PanicError) Error() string {
	return fmt.Sprintf("clock: panic in a coroutine: %v\n\n%s", p.Value, p.Stack)
}

// Unwrap returns Value if it is an error.
func (p *PanicError) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// worker is a reusable coroutine: making one costs several switches, handing
// it the next f costs nothing.
type worker struct {
	v         *Virtual
	index     int // in Virtual.workers
	f         func()
	timer     timer
	node      node
	asleep    bool // in Sleep, and nothing has ended that yet
	unwinding bool // Goexit is under way because of Close
	dead      bool // a Goexit ended the coroutine underneath

	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
}

// errGoexit replaces a Goexit that unwinds a whole worker. iter.Pull hands a
// Goexit on to the goroutine that resumed the coroutine, which is the loop;
// a panic raised while the Goexit unwinds takes its place there, and the loop
// can recover that.
var errGoexit = errors.New("clock: Goexit ended a coroutine")

// start is a coroutine that waits for its first step.
type start func()

func (f start) fire(v *Virtual) {
	var w *worker
	if n := len(v.idle); n > 0 {
		w = v.idle[n-1]
		v.idle = v.idle[:n-1]
	} else {
		w = v.newWorker()
	}
	w.f = f
	w.fire(v)
}

func (v *Virtual) newWorker() *worker {
	w := &worker{v: v, index: len(v.workers)}
	w.timer.owner, w.node.sub = w, w
	w.next, w.stop = iter.Pull(w.loop)
	v.workers = append(v.workers, w)
	return w
}

// loop is the body of the coroutine: one f after the other.
func (w *worker) loop(yield func(struct{}) bool) {
	w.yield = yield
	intact := false
	defer func() {
		if !intact {
			w.dead = true
			panic(errGoexit)
		}
	}()
	for {
		w.call()
		w.v.idle = append(w.v.idle, w)
		if !yield(struct{}{}) {
			intact = true
			return
		}
	}
}

// call runs f and contains its panic.
func (w *worker) call() {
	defer func() {
		v := w.v
		if r := recover(); r != nil && v.panicked == nil {
			v.panicked = &PanicError{Value: r, Stack: debug.Stack()}
		}
		w.f = nil
		v.live--
		v.wakeWaiting(false)
	}()
	w.f()
}

// fire runs the coroutine until it parks, ends or dies.
func (w *worker) fire(v *Virtual) {
	defer v.left(w)
	v.cur = w
	w.next()
}

// left is deferred by those who switch to w.
func (v *Virtual) left(w *worker) {
	v.cur = nil
	if w.dead {
		_ = recover() // errGoexit
		v.forget(w)
	}
}

// forget removes w from the list of workers.
func (v *Virtual) forget(w *worker) {
	last := v.workers[len(v.workers)-1]
	v.workers[w.index], last.index = last, w.index
	v.workers[len(v.workers)-1] = nil
	v.workers = v.workers[:len(v.workers)-1]
}

// park yields to the loop until an event resumes w. It does not return if the
// clock was closed meanwhile.
func (w *worker) park() {
	if !w.yield(struct{}{}) {
		_ = w.unwind()
	}
}

// ended wakes w because the context it sleeps under ended.
func (w *worker) ended(error, error) {
	w.v.timers.disarm(&w.timer)
	w.asleep = false
	w.v.ready.push(w)
}

// unwind ends the coroutine of a closed clock, its deferred functions
// included; a Sleep in those fails.
func (w *worker) unwind() error {
	if !w.unwinding {
		w.unwinding = true
		runtime.Goexit()
	}
	return fmt.Errorf("clock: Sleep on a closed clock: %w", ErrDeadlock)
}

// Close ends the clock: what is queued or scheduled never runs, and each
// coroutine that is parked ends as by runtime.Goexit, its deferred functions
// run. In a coroutine or a callback it only marks the clock, and the call
// that runs the loop does the rest: a coroutine ends at its next Sleep.
// Afterwards Go does nothing, contexts no longer expire, and time stands
// still. Closing twice is harmless.
func (v *Virtual) Close() {
	v.closed = true
	if !v.looping {
		v.shutdown()
	}
}

// shutdown stops every worker. User code runs in here (deferred functions).
func (v *Virtual) shutdown() {
	v.looping = true
	defer func() { v.looping = false }()
	v.releaseIdle()
	for len(v.workers) > 0 {
		w := v.workers[len(v.workers)-1]
		v.end(w)
		v.releaseIdle() // w, if the Close came while it was running its last step
	}
	v.timers.clear()
	v.ready, v.waiting, v.live = queue{}, nil, 0
	if p := v.panicked; p != nil {
		v.panicked = nil
		panic(p)
	}
}

func (v *Virtual) end(w *worker) {
	defer v.left(w)
	v.cur = w
	w.stop()
}

// releaseIdle ends the coroutines that wait for work.
func (v *Virtual) releaseIdle() {
	for _, w := range v.idle {
		w.stop()
		v.forget(w)
	}
	clear(v.idle)
	v.idle = v.idle[:0]
}
