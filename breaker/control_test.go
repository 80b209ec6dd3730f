package breaker

import (
	"testing"
	"time"
)

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
		MinCalls: 4, ErrorRate: 0.5, OpenFor: time.Second,
		Score: 0.4, Threshold: 0.5, Calls: 5, Failures: 2, Share: 1,
	}
	if got != want {
		t.Errorf("snapshot is\n%+v, want\n%+v", got, want)
	}
	why := Reason{Cause: ByHand, Note: "x"}
	r.Trip(why)
	got = r.Snapshot()
	want = Snapshot{
		Key: "node-1", State: Open, Rule: want.Rule, MinCalls: 4, ErrorRate: 0.5, OpenFor: time.Second, Threshold: 0.5, Openings: 1,
		RetryAt: epoch.Add(time.Second), Since: epoch, Reason: why,
	}
	if got.RetryAt.Equal(want.RetryAt) && got.Since.Equal(want.Since) { // the same instants, whatever their zone
		got.RetryAt, got.Since = want.RetryAt, want.Since
	}
	if got != want {
		t.Errorf("snapshot is\n%+v, want\n%+v", got, want)
	}
	r.advance(2 * time.Second)
	if got := r.Snapshot(); !got.RetryAt.IsZero() || got.State != Open {
		t.Errorf("snapshot after the open time is %+v", got)
	}
}

// TestSnapshotTellsTheRule with its defaults filled in, as far as it goes by
// calls and shares.
func TestSnapshotTellsTheRule(t *testing.T) {
	for _, row := range []struct {
		rule  Rule
		calls int
		rate  float64
	}{
		{CUSUM{}, 0, 0.5},
		{CUSUM{Broken: 0.3}, 0, 0.3},
		{Consecutive{N: 7}, 7, 1},
		{Rate{}, 20, 0.5},
		{Count{Size: 5, Threshold: 0.2}, 5, 0.2},
		{Never{}, 0, 0},
	} {
		var told Inspector = newRig(t, Config{Rule: row.rule, OpenFor: time.Minute})
		sn := told.Snapshot()
		if sn.MinCalls != row.calls || sn.ErrorRate != row.rate || sn.OpenFor != time.Minute {
			t.Errorf("%v: %d calls, %v of them, open for %v", row.rule, sn.MinCalls, sn.ErrorRate, sn.OpenFor)
		}
	}
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
