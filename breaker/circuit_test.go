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

func TestTripAndReset(t *testing.T) {
	r := newRig(t, Config{Rule: Never{}})
	why := Reason{Cause: ByEjector, Rule: "s=14.1 d=9.9", Score: 14.1, Threshold: 13.8, Calls: 40, Failures: 12, Note: "5 peers"}
	r.Trip(why)
	if got := r.last(); got.Reason != why || got.From != Closed || got.To != Open {
		t.Errorf("event is %+v, want the reason %+v", got, why)
	}
	r.advance(100 * time.Millisecond)
	r.Trip(Reason{Cause: ByHand}) // changes nothing
	r.rejected(900 * time.Millisecond)
	if len(r.events) != 1 {
		t.Errorf("tripping an open breaker had an event: %+v", r.last())
	}
	done := Reason{Cause: ByEjector, Note: "back"}
	r.Reset(done)
	if got := r.last(); got.Reason != done || got.From != Open || got.To != Closed {
		t.Errorf("event is %+v, want the reason %+v", got, done)
	}
	if !r.Idle() {
		t.Error("not idle after a reset")
	}
	r.call(100, Failure)
	r.want(Closed)
	r.Reset(Reason{}) // no transition, no event
	if len(r.events) != 2 {
		t.Errorf("%d events, want 2", len(r.events))
	}
}

func TestResetForgetsFailures(t *testing.T) {
	r := newRig(t, Config{Rule: Consecutive{N: 3}})
	r.call(2, Failure)
	r.Reset(Reason{Cause: ByHand})
	r.call(2, Failure)
	r.want(Closed)
	r.call(1, Failure)
	r.want(Open)
}

func TestForce(t *testing.T) {
	r := newRig(t, Config{Rule: Consecutive{N: 2}, Ramp: -1})
	wantMode := func(from, to State, mode Mode) {
		t.Helper()
		e := r.last()
		if e.From != from || e.To != to || e.Mode != mode || e.Reason != (Reason{Cause: ByHand, Note: "drill"}) {
			t.Errorf("event is %+v, want %v to %v, %v", e, from, to, mode)
		}
		if sn := r.Snapshot(); sn.Mode != mode || sn.State != to {
			t.Errorf("snapshot says %v, %v", sn.Mode, sn.State)
		}
	}
	r.Force(ForcedClosed, "drill")
	wantMode(Closed, Closed, ForcedClosed)
	r.call(10, Failure)
	r.Trip(Reason{})
	r.want(Closed)
	r.Force(ForcedOpen, "drill")
	wantMode(Closed, Open, ForcedOpen)
	r.advance(24 * time.Hour)
	r.rejected(0)
	r.Reset(Reason{})
	r.rejected(0)
	n := len(r.events)
	r.Force(ForcedOpen, "again")
	r.Force(Mode(7), "nonsense")
	if len(r.events) != n {
		t.Errorf("forcing what is so, or nonsense, had an event: %+v", r.last())
	}
	r.Force(Auto, "drill")
	wantMode(Open, Open, Auto)
	r.call(1, Failure) // a probe
	r.want(Open)
	r.rejected(time.Second)
	r.Force(ForcedClosed, "drill")
	wantMode(Open, Closed, ForcedClosed)
	r.call(5, Failure)
	r.Force(Auto, "drill")
	wantMode(Closed, Closed, Auto)
	r.call(1, Failure)
	r.want(Closed) // nothing was on record
	r.call(1, Failure)
	r.want(Open)
}

func TestShadow(t *testing.T) {
	r := newRig(t, Config{Rule: Consecutive{N: 2}, Shadow: true})
	r.call(2, Failure)
	r.want(Open)
	if !r.last().Shadow {
		t.Error("the event does not say that the breaker is in shadow mode")
	}
	r.call(3, Failure)
	if sn := r.Snapshot(); sn.WouldReject != 3 || !sn.Shadow {
		t.Errorf("snapshot %+v, want 3 calls that would have been rejected", sn)
	}
	r.advance(time.Second)
	probe := r.admit()
	r.want(HalfOpen)
	r.call(3, Failure) // no probes: the machine would not have let them through
	r.want(HalfOpen)
	probe.Done(Report{Result: Success})
	r.want(Closed)
	r.call(2, Failure) // rejected by the ramp, had it been for the breaker
	r.want(Closed)
	if sn := r.Snapshot(); sn.WouldReject != 8 {
		t.Errorf("%d calls would have been rejected, want 8", sn.WouldReject)
	}
	r.SetShadow(false)
	r.rejected(100 * time.Millisecond)
	r.Force(ForcedOpen, "")
	r.SetShadow(true)
	r.call(1, Success)

	f, err := NewFamily(Config{})
	if err != nil {
		t.Fatal(err)
	}
	one, other := f.New("one").(*Circuit), f.New("other").(*Circuit)
	one.SetShadow(true)
	one.Trip(Reason{})
	other.Trip(Reason{})
	if _, _, ok := one.TryAcquire(time.Now()); !ok {
		t.Error("the breaker in shadow mode rejects")
	}
	if _, _, ok := other.TryAcquire(time.Now()); ok {
		t.Error("shadow mode is not of one breaker only")
	}
	if one.Idle() {
		t.Error("a breaker with its own shadow setting is idle")
	}
}

func TestUpdateKeepsState(t *testing.T) {
	clk := newHandClock()
	f, err := NewFamily(Config{Rule: Consecutive{N: 5}, Clock: clk})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Circuit: f.New("x").(*Circuit), t: t, clock: clk}
	update := func(cfg Config) {
		t.Helper()
		if err := f.Update(cfg); err != nil {
			t.Fatal(err)
		}
	}
	r.call(2, Failure)
	update(Config{Rule: Consecutive{N: 3}, OpenFor: 4 * time.Second})
	r.call(1, Failure) // the third in a row
	r.want(Open)
	update(Config{Rule: Consecutive{N: 3}, OpenFor: time.Second, Ramp: -1})
	r.rejected(4 * time.Second) // as was said
	if err := f.Update(Config{Probes: -1}); err == nil {
		t.Error("no error from a wrong update")
	}
	r.advance(4 * time.Second)
	r.call(1, Success)
	r.want(Closed)

	r.call(2, Failure)
	update(Config{Rule: CUSUM{}}) // another kind: starts anew
	if sn := r.Snapshot(); sn.Score != 0 {
		t.Errorf("score %v under the new rule, want 0", sn.Score)
	}
	r.call(3, Failure)
	r.want(Closed)
	update(Config{Rule: Count{Size: 10, MinCalls: 5}})
	r.call(2, Success)
	update(Config{Rule: Count{Size: 10, MinCalls: 4}})
	r.call(2, Failure) // 2 of 4
	r.want(Open)
	r.Reset(Reason{})
	r.call(3, Failure)
	update(Config{Rule: Count{Size: 200, MinCalls: 4}}) // another size: starts anew
	r.call(3, Failure)
	r.want(Closed)
	r.call(1, Failure)
	r.want(Open)
	r.Reset(Reason{})
	update(Config{Rule: Rate{Window: time.Second, MinCalls: 2}})
	r.call(1, Success)
	update(Config{Rule: Rate{Window: 2 * time.Second, MinCalls: 2}}) // another window: starts anew
	r.call(1, Failure)
	r.want(Closed)
	r.call(1, Failure)
	r.want(Open)
	r.Reset(Reason{})
	update(Config{SlowCall: time.Second, Rule: Consecutive{N: 1}})
	r.admit().Done(Report{Result: Success, Elapsed: time.Minute})
	r.want(Open)
}

func TestSnapshot(t *testing.T) {
	r := newRig(t, Config{Rule: Count{Size: 10, MinCalls: 4}})
	r.call(3, Success)
	r.call(2, Failure)
	got := r.Snapshot()
	want := Snapshot{
		Key: "node-1", Rule: "count(50% of last 10, at least 4 calls)",
		Score: 0.4, Threshold: 0.5, Calls: 5, Failures: 2, Share: 1,
	}
	if got != want {
		t.Errorf("snapshot is\n%+v, want\n%+v", got, want)
	}
	why := Reason{Cause: ByHand, Note: "x"}
	r.Trip(why)
	got = r.Snapshot()
	want = Snapshot{
		Key: "node-1", State: Open, Rule: want.Rule, Threshold: 0.5, Openings: 1,
		RetryAt: epoch.Add(time.Second), Since: epoch, Reason: why,
	}
	if got != want {
		t.Errorf("snapshot is\n%+v, want\n%+v", got, want)
	}
	r.advance(2 * time.Second)
	if got := r.Snapshot(); !got.RetryAt.IsZero() || got.State != Open {
		t.Errorf("snapshot after the open time is %+v", got)
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

func TestIdle(t *testing.T) {
	r := newRig(t, Config{Rule: Consecutive{N: 3}, Ramp: time.Second})
	want := func(when string, idle bool) {
		t.Helper()
		if r.Idle() != idle {
			t.Errorf("%s idle is %v", when, !idle)
		}
	}
	want("new:", true)
	r.call(1, Failure)
	want("with a failure on record:", false)
	r.call(1, Success)
	want("with none:", true)
	r.call(1, Failure)
	r.Reset(Reason{})
	want("reset:", true)
	r.trip()
	want("open:", false)
	r.recover()
	want("on the ramp:", false)
	r.advance(time.Second)
	r.call(1, Success)
	want("recovered:", true)
	unsubscribe := r.Subscribe(func(Event) {})
	r.trip()
	r.Reset(Reason{})
	want("with a subscriber:", false)
	unsubscribe()
	want("without:", true)
	r.Force(ForcedClosed, "")
	want("forced closed:", false)
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
