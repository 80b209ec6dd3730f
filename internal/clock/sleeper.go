package clock

import "time"

// Sleeper is a coroutine, for those who wake it: a simulated server knows
// better than its caller when the answer comes. The zero Sleeper is nobody.
type Sleeper struct{ w *worker }

// Sleeper returns the coroutine that is running; nobody in a callback and
// outside. It is good until that coroutine returns.
func (v *Virtual) Sleeper() Sleeper { return Sleeper{v.cur} }

// WakeIn moves the end of the coroutine's Sleep to d from now, be that sooner
// or later than it was; with d <= 0 the coroutine is next after what is already
// due. It does nothing where the coroutine is not asleep.
func (s Sleeper) WakeIn(d time.Duration) {
	w := s.w
	if w == nil || !w.asleep {
		return
	}
	w.v.timers.disarm(&w.timer)
	if d > 0 {
		w.v.timers.arm(&w.timer, w.v.after(d))
		return
	}
	w.asleep = false
	w.node.unlink() // or the end of its context would wake it again
	w.v.ready.push(w)
}
