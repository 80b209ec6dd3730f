package clock_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// bell is a user of an Alarm as it should be.
type bell struct {
	mu    sync.Mutex
	alarm clock.Alarm
	clk   clock.Clock
	due   int64 // 0: not to be called
	rang  []int64
	calls int
}

func (b *bell) set(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.due = b.clk.Mono() + int64(d)
	b.alarm.Set(b.clk, b.due, d, b.ring)
}

func (b *bell) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.due = 0
	b.alarm.Clear()
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	b.alarm.Rang()
	switch now := b.clk.Mono(); {
	case b.due == 0:
	case now < b.due:
		b.alarm.Set(b.clk, b.due, time.Duration(b.due-now), b.ring)
	default:
		b.rang, b.due = append(b.rang, now), 0
	}
}

func TestAlarmOnTheRealClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &bell{clk: clock.System}
		for range 1000 { // attempts of 1 ms under a timeout of 1 s
			b.set(time.Second)
			<-time.After(time.Millisecond)
			b.clear()
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		if len(b.rang) != 0 || b.calls > 3 {
			t.Errorf("it rang %d times, and was called %d times, in 1000 attempts that were in time", len(b.rang), b.calls)
		}
		// A timer that is left from before rings neither early nor late.
		b.set(time.Second)
		<-time.After(300 * time.Millisecond)
		b.clear()
		start := b.clk.Mono()
		b.set(time.Second)
		<-time.After(2 * time.Second)
		synctest.Wait()
		if len(b.rang) != 1 || b.rang[0] != start+int64(time.Second) {
			t.Errorf("rang at %v, want once, a second after %v", b.rang, start)
		}
		// A sooner one does not wait for it.
		b.set(time.Hour)
		b.clear()
		start = b.clk.Mono()
		b.set(time.Millisecond)
		<-time.After(time.Second)
		synctest.Wait()
		if len(b.rang) != 2 || b.rang[1] != start+int64(time.Millisecond) {
			t.Errorf("rang at %v, want again a millisecond after %v", b.rang, start)
		}
		<-time.After(time.Hour) // the timer that is left
	})
}

func TestAlarmOnAVirtualClock(t *testing.T) {
	t.Parallel()
	v := clock.NewVirtual(1)
	b := &bell{clk: v}
	v.Run(func() {
		b.set(time.Second)
		b.clear()
		b.set(time.Minute)
	})
	v.Wait()
	v.RunUntil(v.Now().Add(time.Hour))
	if b.calls != 1 || len(b.rang) != 1 || b.rang[0] != int64(time.Minute) {
		t.Errorf("called %d times, rang at %v; want once, after a minute", b.calls, b.rang)
	}
}

// On a virtual clock an alarm is set and cleared without allocations, and of
// two instants the sooner counts.
func TestAlarmOnAVirtualClockIsUsedAgain(t *testing.T) {
	v := clock.NewVirtual(1)
	var a clock.Alarm
	var rang []int64
	f := func() {
		a.Rang()
		rang = append(rang, v.Mono())
	}
	set := func(d time.Duration) { a.Set(v, v.Mono()+int64(d), d, f) }
	set(time.Second)
	a.Clear()
	if n := testing.AllocsPerRun(100, func() {
		set(time.Second)
		a.Clear()
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	start := v.Mono()
	set(time.Minute)
	set(time.Second)
	set(time.Hour)
	v.Wait()
	set(time.Millisecond)
	v.Wait()
	if want := []int64{start + int64(time.Second), start + int64(time.Second+time.Millisecond)}; !slices.Equal(rang, want) {
		t.Errorf("rang at %v, want %v", rang, want)
	}
}
