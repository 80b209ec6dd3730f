package clock

import "time"

// Alarm is AfterFunc without the closure that stops it: on the real clock it
// allocates the timer alone. The zero value is ready to use, and ready again
// once Stop has returned true. It is for one goroutine.
type Alarm struct {
	timer *time.Timer
	stop  func() bool
}

// Start calls f once on c, d from now, unless Stop is called first. f must not
// block.
func (a *Alarm) Start(c Clock, d time.Duration, f func()) {
	if _, ok := c.(*Real); ok {
		a.timer, a.stop = time.AfterFunc(d, f), nil
		return
	}
	a.timer, a.stop = nil, c.AfterFunc(d, f)
}

// Stop reports whether it prevented the call, as of the first time that it is
// called after Start.
func (a *Alarm) Stop() bool {
	switch {
	case a.timer != nil:
		return a.timer.Stop()
	case a.stop != nil:
		return a.stop()
	}
	return false
}
