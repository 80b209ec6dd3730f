package clock

import (
	"context"
	"errors"
	"testing"
	"time"
)

// The end of a Sleep moves, to sooner or later, and only while it lasts.
func TestSleeper(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, c := range []struct {
		name   string
		wake   map[time.Duration]time.Duration // at: by how much from then
		cancel time.Duration                   // 0: never
		slept  time.Duration
		err    error
	}{
		{"nobody", nil, 0, 50 * ms, nil},
		{"sooner", map[time.Duration]time.Duration{10 * ms: 5 * ms}, 0, 15 * ms, nil},
		{"at once", map[time.Duration]time.Duration{10 * ms: 0}, 0, 10 * ms, nil},
		{"later", map[time.Duration]time.Duration{10 * ms: time.Second}, 0, 1010 * ms, nil},
		{"later, then sooner", map[time.Duration]time.Duration{10 * ms: time.Second, 60 * ms: 1}, 0, 60*ms + 1, nil},
		{"for ever, then cancelled", map[time.Duration]time.Duration{10 * ms: 1<<63 - 1}, 70 * ms, 70 * ms, context.Canceled},
		{"at once, and cancelled then", map[time.Duration]time.Duration{10 * ms: 0}, 10 * ms, 10 * ms, context.Canceled},
	} {
		v := NewVirtual(1)
		ctx, cancel := v.WithCancel(context.Background())
		var s Sleeper
		var slept time.Duration
		var err error
		v.Go(func() {
			s = v.Sleeper()
			s.WakeIn(time.Minute) // it is awake
			begin := v.Now()
			err = v.Sleep(ctx, 50*ms)
			slept = v.Now().Sub(begin)
			_ = v.Sleep(context.Background(), time.Hour) // nothing may wake it from here
			if v.Now().Sub(begin) != slept+time.Hour {
				t.Errorf("%s: woken again at %v", c.name, v.Now().Sub(begin))
			}
		})
		for at, d := range c.wake {
			v.AfterFunc(at, func() { s.WakeIn(d) })
		}
		if c.cancel > 0 {
			v.AfterFunc(c.cancel, func() { cancel(nil) })
		}
		v.Wait()
		cancel(nil)
		if slept != c.slept || !errors.Is(err, c.err) || v.Parked() != 0 {
			t.Errorf("%s: slept %v, %v; want %v, %v (%d parked)", c.name, slept, err, c.slept, c.err, v.Parked())
		}
		v.Close()
	}
	v := NewVirtual(1)
	v.Sleeper().WakeIn(0)       // outside: nobody
	Sleeper{}.WakeIn(time.Hour) // nobody
	v.AfterFunc(time.Second, func() { v.Sleeper().WakeIn(0) })
	v.Wait()
}
