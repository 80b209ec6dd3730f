package breaker

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

// Each test here is named after a defect of a peer that was reproduced, and
// shows that this breaker does not have it.

// gobreaker drops the results of calls that took longer than its Interval: 200
// of 200 slow failures never tripped it.
func TestGobreakerDefect_SlowFailuresCount(t *testing.T) {
	for _, rule := range []Rule{CUSUM{}, Consecutive{}, Rate{Window: time.Second, MinCalls: 4}, Count{MinCalls: 4}} {
		t.Run(rule.String(), func(t *testing.T) {
			r := newRig(t, Config{Rule: rule})
			var out []*Permit
			for range 10 {
				out = append(out, r.admit())
			}
			r.advance(time.Hour)
			for _, p := range out {
				p.Done(Report{Result: Failure, Elapsed: time.Hour})
			}
			r.want(Open)
		})
	}
}

// The same across an opening: a failure that comes late is heard by whichever
// closed breaker it comes to.
func TestGobreakerDefect_SlowFailuresCountAfterRecovery(t *testing.T) {
	r := newRig(t, Config{Rule: Consecutive{N: 2}, Ramp: -1})
	late := r.admit()
	r.trip()
	r.recover()
	late.Done(Report{Result: Failure})
	r.call(1, Failure)
	r.want(Open)
}

// gobreaker's OnStateChange runs under its mutex: a listener that reads State
// deadlocks.
func TestGobreakerDefect_ListenerReadsState(t *testing.T) {
	var c *Circuit
	var seen []State
	c, err := New("x", Config{Rule: Consecutive{N: 1}, OnEvent: func(Event) { seen = append(seen, c.State()) }})
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	p.Done(Report{Result: Failure})
	if len(seen) != 1 || seen[0] != Open {
		t.Errorf("the listener saw %v, want open once", seen)
	}
}

// A probe whose result never comes wedges gobreaker in half-open for ever.
func TestGobreakerDefect_LostProbe(t *testing.T) {
	r := newRig(t, Config{Ramp: -1})
	r.trip()
	r.advance(time.Second)
	for range 100 { // as many as you like
		r.admit()
		r.rejected(10 * time.Second)
		r.advance(10 * time.Second)
	}
	r.call(1, Success)
	r.want(Closed)
}

// gobreaker's TwoStep done, called three times, counts three.
func TestGobreakerDefect_DoneTwice(t *testing.T) {
	r := newRig(t, Config{Rule: Consecutive{N: 2}, Probes: 2, Ramp: -1})
	p := r.admit()
	for range 5 {
		p.Done(Report{Result: Failure})
	}
	r.want(Closed)
	if got := r.Snapshot().Failures; got != 1 {
		t.Errorf("%d failures on record, want 1", got)
	}
	r.trip()
	r.advance(time.Second)
	p = r.admit()
	for range 5 {
		p.Done(Report{Result: Success})
	}
	r.want(HalfOpen)
}

// gobreaker's open time is fixed: a fleet of clients comes back at once.
func TestGobreakerDefect_FixedOpenTime(t *testing.T) {
	r := newRig(t, Config{})
	r.clock.seed(3)
	seen := map[time.Duration]bool{}
	for range 100 {
		r.Trip(Reason{})
		seen[r.last().OpenFor] = true
		r.Reset(Reason{})
	}
	if len(seen) < 99 {
		t.Errorf("only %d different open times in 100", len(seen))
	}
}

// gobreaker has no trip, no reset and does not say how long it stays open.
func TestGobreakerDefect_NoRemainingDelay(t *testing.T) {
	r := newRig(t, Config{})
	r.trip()
	r.rejected(time.Second)
	r.Reset(Reason{Cause: ByHand})
	r.admit()
}

// In hystrix-go a success that comes late closes the circuit within the sleep
// window.
func TestHystrixDefect_LateSuccessInSleepWindow(t *testing.T) {
	r := newRig(t, Config{Rule: Consecutive{N: 3}})
	late := r.admit()
	r.call(3, Failure)
	late.Done(Report{Result: Success})
	r.want(Open)
	r.rejected(time.Second)
}

// In failsafe-go a panic in half-open, or anything else that loses the permit,
// leaks it for ever.
func TestFailsafeDefect_PanicInHalfOpen(t *testing.T) {
	for name, leave := range map[string]func(){"panic": func() { panic("op") }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Config{Ramp: -1, ProbeTimeout: time.Second})
			r.trip()
			r.advance(time.Second)
			var wg sync.WaitGroup
			wg.Go(func() {
				defer func() { _ = recover() }()
				r.admit()
				leave() // and nobody calls Done
			})
			wg.Wait()
			r.want(HalfOpen)
			r.rejected(time.Second)
			r.advance(time.Second)
			r.call(1, Success)
			r.want(Closed)
		})
	}
}

// In failsafe-go the success of a call that was admitted before the opening
// counts as a probe's and closes the breaker.
func TestFailsafeDefect_StaleSuccessClosesHalfOpen(t *testing.T) {
	for _, result := range []Result{Success, Failure} {
		t.Run(result.String(), func(t *testing.T) {
			r := newRig(t, Config{Ramp: -1})
			stale := r.admit()
			r.trip()
			r.advance(time.Second)
			probe := r.admit()
			stale.Done(Report{Result: result})
			r.want(HalfOpen)
			r.rejected(10 * time.Second)
			probe.Done(Report{Result: Success})
			r.want(Closed)
		})
	}
}

// Nor may a probe of an earlier half-open period decide in a later one.
func TestFailsafeDefect_StaleProbeClosesHalfOpen(t *testing.T) {
	r := newRig(t, Config{Ramp: -1, Probes: 2})
	r.trip()
	r.advance(time.Second)
	stale, bad := r.admit(), r.admit()
	bad.Done(Report{Result: Failure})
	r.want(Open)
	r.advance(2 * time.Second)
	r.call(1, Success)
	stale.Done(Report{Result: Success}) // would be the second
	r.want(HalfOpen)
	r.call(1, Success)
	r.want(Closed)
}

// hystrix-go keeps its circuits, and two goroutines each, in a global registry
// for ever. A circuit here is memory, and nothing else refers to it.
func TestHystrixDefect_CircuitsAreNeverFreed(t *testing.T) {
	f, err := NewFamily(Config{})
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	const n = 100
	var mu sync.Mutex
	freed := 0
	for i := range n {
		c := f.New(fmt.Sprint(i)).(*Circuit)
		c.Trip(Reason{})
		runtime.AddCleanup(c, func(*int) { mu.Lock(); freed++; mu.Unlock() }, nil)
	}
	for range 100 {
		runtime.GC()
		runtime.Gosched()
		mu.Lock()
		done := freed >= n-1 // the last may still be in a register
		mu.Unlock()
		if done {
			break
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if freed < n-1 {
		t.Errorf("%d of %d circuits freed", freed, n)
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}
