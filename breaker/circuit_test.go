package breaker

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestLifecycle(t *testing.T) {
	r := newRig(t, Config{Rule: Consecutive{N: 3}, Ramp: -1})
	r.call(2, Failure)
	r.call(1, Success)
	r.call(2, Failure)
	r.want(Closed)
	r.call(1, Failure)
	r.want(Open)
	r.rejected(time.Second)
	r.advance(400 * time.Millisecond)
	r.rejected(600 * time.Millisecond)
	r.advance(600*time.Millisecond - 1)
	r.rejected(1)
	r.want(Open)
	r.advance(1)
	probe := r.admit()
	r.want(HalfOpen)
	r.rejected(10 * time.Second)
	r.advance(3 * time.Second)
	r.rejected(7 * time.Second)
	probe.Done(Report{Result: Success})
	r.want(Closed)
	r.call(10, Success)

	want := []Event{
		{
			Key: "node-1", From: Closed, To: Open, At: epoch, OpenFor: time.Second,
			Reason: Reason{Cause: ByRule, Rule: "consecutive(3)", Score: 3, Threshold: 3, Calls: 3, Failures: 3},
		},
		{Key: "node-1", From: Open, To: HalfOpen, At: epoch.Add(time.Second), Reason: Reason{Cause: ByOpenTime}},
		{
			Key: "node-1", From: HalfOpen, To: Closed, At: epoch.Add(4 * time.Second),
			Reason: Reason{Cause: ByProbe, Score: 1, Threshold: 1, Calls: 1},
		},
	}
	if len(r.events) != len(want) {
		t.Fatalf("%d events, want %d: %+v", len(r.events), len(want), r.events)
	}
	for i := range want {
		if r.events[i] != want[i] {
			t.Errorf("event %d is\n%+v, want\n%+v", i, r.events[i], want[i])
		}
	}
}

// trips makes a closed or probing breaker open again, and returns for how long.
func (r *rig) trip() time.Duration {
	r.t.Helper()
	r.Trip(Reason{Cause: ByHand})
	r.want(Open)
	return r.last().OpenFor
}

// recover takes an open breaker to closed.
func (r *rig) recover() {
	r.t.Helper()
	r.advance(r.last().OpenFor)
	r.call(1, Success)
	r.want(Closed)
}

func TestOpenTimeGrowsToTheCapAndResets(t *testing.T) {
	r := newRig(t, Config{OpenFor: time.Second, OpenMax: 5 * time.Second, Ramp: -1})
	for i, want := range []time.Duration{1, 2, 4, 5, 5} {
		if got := r.trip(); got != want*time.Second {
			t.Fatalf("opening %d is for %v, want %v", i, got, want*time.Second)
		}
		if i%2 == 0 { // a failed probe counts like a trip after closing
			r.recover()
			r.advance(5*time.Second - 1)
		} else {
			r.advance(r.last().OpenFor)
			r.admit()
		}
	}
	r.recover()
	if n := r.Snapshot().Openings; n != 5 {
		t.Errorf("%d openings in a row, want 5", n)
	}
	r.advance(5 * time.Second)
	if n := r.Snapshot().Openings; n != 0 {
		t.Errorf("%d openings in a row after OpenMax closed, want 0", n)
	}
	if got := r.trip(); got != time.Second {
		t.Errorf("open for %v after OpenMax closed, want 1s", got)
	}
	r.Reset(Reason{Cause: ByHand})
	if got := r.trip(); got != time.Second {
		t.Errorf("open for %v after a reset, want 1s", got)
	}
}

func TestOpenTimeIsSpread(t *testing.T) {
	r := newRig(t, Config{OpenFor: time.Second})
	r.clock.seed(1)
	var lo, hi, sum time.Duration = time.Hour, 0, 0
	const n = 10_000
	for range n {
		d := r.trip()
		lo, hi, sum = min(lo, d), max(hi, d), sum+d
		r.Reset(Reason{})
	}
	// Uniform on 0.5–1.5 s: the mean has a standard error of 2.9 ms, and the
	// chance to miss 1 % at either end is 1e-44.
	if lo < 500*time.Millisecond || lo > 510*time.Millisecond || hi > 1500*time.Millisecond || hi < 1490*time.Millisecond {
		t.Errorf("open times span %v to %v, want 0.5s to 1.5s", lo, hi)
	}
	if mean := sum / n; mean < 985*time.Millisecond || mean > 1015*time.Millisecond {
		t.Errorf("mean open time is %v, want 1s ± 15ms", mean)
	}
}

func TestOpenTimeIsFixed(t *testing.T) {
	r := newRig(t, Config{OpenFor: 5*time.Second + 1, OpenMax: 5*time.Second + 1, Spread: -1, Ramp: -1})
	r.clock.seed(1)
	for range 10 {
		if got := r.trip(); got != 5*time.Second+1 {
			t.Fatalf("open for %v, want 5.000000001s", got)
		}
		r.recover()
	}
}

func TestOpenTimeDoesNotOverflow(t *testing.T) {
	s := Config{OpenFor: time.Nanosecond, OpenMax: maxDuration}.settings()
	for k := range 200 {
		if d := s.openTime(k, 0.999); d <= 0 && k > 0 || d > maxDuration*3/2 {
			t.Fatalf("opening %d is for %v", k, d)
		}
	}
}

func TestProbes(t *testing.T) {
	r := newRig(t, Config{Probes: 3, Ramp: -1, ProbeTimeout: 4 * time.Second})
	r.trip()
	r.advance(time.Second)
	first := r.admit()
	r.advance(time.Second)
	second := r.admit()
	third := r.admit()
	r.rejected(3 * time.Second) // until the lease of the first ends
	second.Done(Report{Result: Ignored})
	fourth := r.admit()
	r.rejected(3 * time.Second)
	third.Done(Report{Result: Success})
	first.Done(Report{Result: Success})
	r.want(HalfOpen)
	if n := r.Snapshot().Probes; n != 1 {
		t.Errorf("%d probes out, want 1", n)
	}
	fourth.Done(Report{Result: Success})
	r.want(Closed)

	r.trip()
	r.advance(r.last().OpenFor)
	good, bad := r.admit(), r.admit()
	good.Done(Report{Result: Success})
	bad.Done(Report{Result: Failure})
	r.want(Open)
	if got, want := r.last().Reason, (Reason{Cause: ByProbe, Score: 1, Threshold: 3, Calls: 2, Failures: 1}); got != want {
		t.Errorf("reason is %+v, want %+v", got, want)
	}
}

func TestForfeitedProbe(t *testing.T) {
	r := newRig(t, Config{Ramp: -1, ProbeTimeout: 2 * time.Second})
	r.trip()
	r.advance(time.Second)
	lost := r.admit()
	r.advance(2*time.Second - 1)
	r.rejected(1)
	r.advance(1)
	next := r.admit() // the lease of the first is over
	r.rejected(2 * time.Second)
	lost.Done(Report{Result: Failure})
	r.want(HalfOpen)
	r.rejected(2 * time.Second) // and its late result gave nothing back
	r.advance(2 * time.Second)
	next.Done(Report{Result: Success}) // too late, though nobody took its place
	r.want(HalfOpen)
	r.call(1, Success)
	r.want(Closed)
}

func TestRamp(t *testing.T) {
	r := newRig(t, Config{Rule: Consecutive{N: 2}})
	r.trip()
	r.recover()
	r.rejected(100 * time.Millisecond) // 0.1 admitted, and one half drawn
	r.advance(4444 * time.Millisecond)
	r.rejected(100 * time.Millisecond)
	r.advance(time.Millisecond)
	r.call(1, Failure) // a share of one half
	if got := r.Snapshot().Share; got < 0.5 || got > 0.5001 {
		t.Errorf("share is %v, want 0.5", got)
	}
	r.advance(5555*time.Millisecond - 1)
	r.clock.rand = func() uint64 { return 1<<64 - 1 }
	r.rejected(1)
	r.advance(1)
	r.clock.rand = nil // over: no more draws
	r.call(1, Success)
	if w := r.word.Load(); w&flagRamp != 0 {
		t.Error("still on the ramp")
	}
	if got := r.Snapshot().Share; got != 1 {
		t.Errorf("share is %v, want 1", got)
	}
	r.clock.rand = func() uint64 { return 1 << 63 }
	r.call(2, Failure)
	r.want(Open)
}

func TestFailuresOnTheRampOpen(t *testing.T) {
	r := newRig(t, Config{Rule: Consecutive{N: 2}})
	r.clock.rand = func() uint64 { return 0 }
	r.trip()
	r.recover()
	r.call(2, Failure)
	r.want(Open)
	if got := r.last().OpenFor; got != time.Second { // 2 s × 0.5
		t.Errorf("open for %v, want 1s", got)
	}
}

func TestRampShareIsLinear(t *testing.T) {
	r := newRig(t, Config{Rule: Never{}})
	r.clock.seed(2)
	r.trip()
	r.recover()
	for i := range 10 {
		const n = 20_000
		admitted := 0
		for range n {
			if _, _, ok := r.TryAcquire(r.clock.Now()); ok {
				admitted++
			}
		}
		// One standard error is at most 0.0036.
		want, got := 0.1+0.09*float64(i), float64(admitted)/n
		if got < want-0.016 || got > want+0.016 {
			t.Errorf("after %d s a share of %v is admitted, want %v", i, got, want)
		}
		r.advance(time.Second)
	}
}

func TestSlowCall(t *testing.T) {
	for _, rule := range []Rule{CUSUM{}, Consecutive{N: 4}, Rate{MinCalls: 4}, Count{MinCalls: 4}} {
		t.Run(rule.String(), func(t *testing.T) {
			r := newRig(t, Config{Rule: rule, SlowCall: time.Second, Ramp: -1})
			slow := Report{Result: Success, Elapsed: time.Second}
			r.admit().Done(Report{Result: Success, Elapsed: time.Second - 1})
			if sn := r.Snapshot(); sn.Score != 0 {
				t.Errorf("score %v after a quick success", sn.Score)
			}
			r.Reset(Reason{})
			for range 4 {
				r.admit().Done(slow)
			}
			r.want(Open)
			r.advance(time.Second)
			r.admit().Done(slow)
			r.want(Open)
		})
	}
}

func TestAcquire(t *testing.T) {
	r := newRig(t, Config{})
	p, err := r.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	p.Done(Report{Result: Success})
	r.trip()
	r.advance(300 * time.Millisecond)
	p, err = r.Acquire()
	var open *OpenError
	if !errors.Is(err, ErrOpen) || !errors.As(err, &open) {
		t.Fatalf("error is %v, want one that matches ErrOpen", err)
	}
	if open.Key != "node-1" || open.RetryAfter != 700*time.Millisecond || p != (Permit{}) {
		t.Errorf("error is %+v with permit %+v", open, p)
	}
	if !strings.Contains(err.Error(), `"node-1"`) || !strings.Contains(err.Error(), "700ms") {
		t.Errorf("error reads %q", err)
	}
}

func TestUnknownResultsAreIgnored(t *testing.T) {
	r := newRig(t, Config{Rule: Consecutive{N: 1}, Ramp: -1})
	r.call(5, Ignored)
	r.call(5, Result(9))
	r.want(Closed)
	r.trip()
	r.advance(time.Second)
	r.call(3, Result(9)) // each gives its probe's place back
	r.call(3, Ignored)
	r.want(HalfOpen)
}

// A rejection takes no lock, so it answers while somebody holds it.
func TestRejectionTakesNoLock(t *testing.T) {
	r := newRig(t, Config{})
	r.trip()
	rejectedUnderLock := func(wait time.Duration) {
		t.Helper()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.rejected(wait)
	}
	rejectedUnderLock(time.Second)
	r.advance(time.Second)
	probe := r.admit()
	rejectedUnderLock(10 * time.Second)
	r.SetShadow(true)
	r.mu.Lock()
	r.call(1, Failure) // nor does a call that shadow mode lets through
	r.mu.Unlock()
	r.SetShadow(false)
	probe.Done(Report{Result: Success})
	rejectedUnderLock(100 * time.Millisecond) // on the ramp
}

func TestZeroPermit(t *testing.T) {
	var p Permit
	p.Done(Report{Result: Failure})
}

func TestZeroNowReadsTheClock(t *testing.T) {
	r := newRig(t, Config{})
	r.trip()
	if _, wait, ok := r.TryAcquire(time.Time{}); ok || wait != time.Second {
		t.Errorf("retry after %v, want 1s", wait)
	}
	r.advance(time.Second)
	if _, _, ok := r.TryAcquire(time.Time{}); !ok {
		t.Error("no probe")
	}
}
