package clock

import "time"

// Alarm calls a function at an instant, for attempts that end before it nearly
// always. On the real clock setting a timer and stopping it again costs more
// than all else an attempt needs, the more so as an earlier timer wakes the
// poller of the network. So the timer is left to run: when it fires for an
// attempt that is over it was for nothing, and when the next attempt's instant
// is later it is set again. On other clocks it is exact.
//
// The function must expect to be called for nothing, must call Rang first, and
// Set again if it was called too early. The zero Alarm is ready to use; its
// methods must not be called at the same time. It must stay with the Clock of
// its first Set.
type Alarm struct {
	timer *time.Timer
	stop  func() bool
	set   bool
	at    int64 // the timer's, on the real clock

	virtual *alarm // on a virtual clock, used again and again
}

// Set calls f at the instant mono of the clock's Mono, which is d from now, or
// before. f must not block.
func (a *Alarm) Set(c Clock, mono int64, d time.Duration, f func()) {
	v, virtual := c.(*Virtual)
	_, lazy := c.(*Real)
	switch {
	case virtual && d > 0:
		a.on(v, d, f)
		return
	case !lazy:
		a.stop = c.AfterFunc(d, f)
		return
	case a.set && a.at <= mono:
		return
	case a.timer == nil:
		a.timer = time.AfterFunc(d, f)
	default:
		a.timer.Reset(d)
	}
	a.set, a.at = true, mono
}

// on sets the alarm on a virtual clock, without an allocation but the first.
// If it is set already, the earlier instant counts.
func (a *Alarm) on(v *Virtual, d time.Duration, f func()) {
	t := a.virtual
	if t == nil {
		t = &alarm{v: v}
		t.timer.owner = t
		a.virtual = t
	}
	at := v.after(d)
	if t.f != nil {
		if v.timers.at(&t.timer) <= at {
			return
		}
		v.timers.disarm(&t.timer)
	}
	t.f = f
	v.timers.arm(&t.timer, at)
}

// Rang says that f is being called.
func (a *Alarm) Rang() { a.set, a.stop = false, nil }

// Clear says that f need not be called.
func (a *Alarm) Clear() {
	if a.virtual != nil {
		a.virtual.stop()
	}
	if a.stop != nil {
		a.stop()
		a.stop = nil
	}
}
