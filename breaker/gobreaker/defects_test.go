package gobreaker

import (
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	v1 "github.com/sony/gobreaker"
	sony "github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
)

// Each test here shows a defect of the library, and that neither the adapter
// nor the native engine with the same settings has it. The differences that
// [Native] names are among them, by their names.

// both are the adapter and the native engine, from the same settings.
func both(t *testing.T, st sony.Settings) map[string]breaker.Breaker {
	t.Helper()
	adapter, err := New("x", Config{Settings: st})
	if err != nil {
		t.Fatal(err)
	}
	cfg, _, err := Native(Config{Settings: st})
	if err != nil {
		t.Fatal(err)
	}
	native, err := breaker.New("x", cfg)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]breaker.Breaker{"adapter": adapter, "native": native}
}

func admit(t *testing.T, b breaker.Breaker) *breaker.Permit {
	t.Helper()
	p, wait, ok := b.TryAcquire(time.Now())
	if !ok {
		t.Fatalf("rejected for %v while %v, want admitted", wait, b.State())
	}
	return &p
}

func callN(t *testing.T, b breaker.Breaker, n int, result breaker.Result) {
	t.Helper()
	for range n {
		admit(t, b).Done(breaker.Report{Result: result})
	}
}

func wantState(t *testing.T, b breaker.Breaker, want breaker.State) {
	t.Helper()
	if got := b.State(); got != want {
		t.Fatalf("%T is %v, want %v", b, got, want)
	}
}

var errDown = errors.New("down")

// fail makes n failing calls of the bare library.
func fail(lib *sony.CircuitBreaker[any], n int) {
	for range n {
		_, _ = lib.Execute(func() (any, error) { return nil, errDown })
	}
}

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(*testing.T)) { t.Helper(); synctest.Test(t, f) }

// LostProbes: a probe whose result never comes wedges the library for ever.
//
//nolint:forbidigo // synctest bubble
func TestDefect_LostProbes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		lib, lib1 := sony.NewTwoStepCircuitBreaker[any](sony.Settings{}), v1.NewTwoStepCircuitBreaker(v1.Settings{})
		for range 6 {
			done, _ := lib.Allow()
			done(errDown)
			done1, _ := lib1.Allow()
			done1(false)
		}
		ours := both(t, sony.Settings{})
		for _, b := range ours {
			callN(t, b, 6, breaker.Failure)
		}
		time.Sleep(time.Minute + 1)
		if _, err := lib.Allow(); err != nil { // and lost
			t.Fatal(err)
		}
		if _, err := lib1.Allow(); err != nil {
			t.Fatal(err)
		}
		for _, b := range ours {
			admit(t, b)
		}
		time.Sleep(24 * time.Hour)
		if _, err := lib.Allow(); !errors.Is(err, sony.ErrTooManyRequests) {
			t.Errorf("v2 says %v after a day: the defect is gone", err)
		}
		if _, err := lib1.Allow(); !errors.Is(err, v1.ErrTooManyRequests) {
			t.Errorf("v1 says %v after a day: the defect is gone", err)
		}
		for _, b := range ours {
			callN(t, b, 1, breaker.Success)
			wantState(t, b, breaker.Closed)
		}
	})
}

// DroppedFailures: of calls slower than Interval the library hears nothing:
// 200 of 200 slow failures do not open it.
//
//nolint:forbidigo // synctest bubble
func TestDefect_DroppedFailures_Slow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for name, st := range map[string]sony.Settings{
			"fixed":   {Interval: time.Second},
			"rolling": {Interval: time.Second, BucketPeriod: 100 * time.Millisecond},
		} {
			lib, ours := sony.NewTwoStepCircuitBreaker[any](st), both(t, st)
			for range 200 {
				done, err := lib.Allow()
				if err != nil {
					t.Fatal(err)
				}
				permits := map[string]*breaker.Permit{}
				for name, b := range ours {
					if b.State() == breaker.Closed {
						permits[name] = admit(t, b)
					}
				}
				start := time.Now()
				time.Sleep(1500 * time.Millisecond)
				done(errDown)
				for _, p := range permits {
					p.Done(breaker.Report{Result: breaker.Failure, Start: start, Elapsed: time.Since(start)})
				}
			}
			if got := lib.State(); got != sony.StateClosed {
				t.Errorf("%s: the library is %v after 200 slow failures: the defect is gone", name, got)
			}
			// One a second and a half: within an Interval there is never more than one,
			// which is the difference Intervals. The native engine forgets none.
			wantState(t, ours["native"], breaker.Open)

			// Many at once are in one Interval when they fail.
			lib, ours = sony.NewTwoStepCircuitBreaker[any](st), both(t, st)
			var done []func(error)
			var permits []*breaker.Permit
			for range 200 {
				d, err := lib.Allow()
				if err != nil {
					t.Fatal(err)
				}
				done = append(done, d)
				for _, b := range ours {
					permits = append(permits, admit(t, b))
				}
			}
			start := time.Now()
			time.Sleep(1500 * time.Millisecond)
			for _, d := range done {
				d(errDown)
			}
			for _, p := range permits {
				p.Done(breaker.Report{Result: breaker.Failure, Start: start, Elapsed: time.Since(start)})
			}
			if got := lib.State(); got != sony.StateClosed {
				t.Errorf("%s: the library is %v after 200 slow failures at once: the defect is gone", name, got)
			}
			for _, b := range ours {
				wantState(t, b, breaker.Open)
			}
		}
	})
}

// DroppedFailures: nor does it hear the failures of calls admitted before it
// last opened.
//
//nolint:forbidigo // synctest bubble
func TestDefect_DroppedFailures_Stale(t *testing.T) {
	bubble(t, func(t *testing.T) {
		lib, ours := sony.NewTwoStepCircuitBreaker[any](sony.Settings{}), both(t, sony.Settings{})
		var done []func(error)
		var permits []*breaker.Permit
		for range 12 {
			d, _ := lib.Allow()
			done = append(done, d)
			for _, b := range ours {
				permits = append(permits, admit(t, b))
			}
		}
		for _, d := range done[:6] {
			d(errDown)
		}
		for _, p := range permits[:12] {
			p.Done(breaker.Report{Result: breaker.Failure})
		}
		time.Sleep(time.Minute + 1)
		probe, _ := lib.Allow()
		probe(nil)
		for _, b := range ours {
			callN(t, b, 1, breaker.Success)
			wantState(t, b, breaker.Closed)
		}
		for _, d := range done[6:] {
			d(errDown)
		}
		for _, p := range permits[12:] {
			p.Done(breaker.Report{Result: breaker.Failure})
		}
		if got := lib.State(); got != sony.StateClosed {
			t.Errorf("the library is %v after 6 late failures: the defect is gone", got)
		}
		for _, b := range ours {
			wantState(t, b, breaker.Open)
		}
	})
}

// Intervals: a dead node that gets fewer calls in an Interval than open it
// stays closed for ever. The adapter keeps that; the native engine does not.
//
//nolint:forbidigo // synctest bubble
func TestDefect_Intervals(t *testing.T) {
	bubble(t, func(t *testing.T) {
		st := sony.Settings{Interval: time.Second}
		lib, ours := sony.NewCircuitBreaker[any](st), both(t, st)
		for range 100 {
			fail(lib, 5)
			callN(t, ours["adapter"], 5, breaker.Failure)
			for range 5 {
				if ours["native"].State() == breaker.Closed {
					callN(t, ours["native"], 1, breaker.Failure)
				}
			}
			time.Sleep(time.Second + 1)
		}
		if got := lib.State(); got != sony.StateClosed {
			t.Errorf("the library is %v after 500 failures in a row: the defect is gone", got)
		}
		wantState(t, ours["adapter"], breaker.Closed)
		wantState(t, ours["native"], breaker.Open)
	})
}

// Shares: without an Interval the library counts for ever, so that what was
// well for a day may fail for as long; calls that are still out count as well
// ones.
//
//nolint:forbidigo // synctest bubble
func TestDefect_Shares(t *testing.T) {
	bubble(t, func(t *testing.T) {
		st := sony.Settings{ReadyToTrip: shareOf(5, .6)}
		lib, ours := sony.NewCircuitBreaker[any](st), both(t, st)
		for range 10_000 {
			_, _ = lib.Execute(func() (any, error) { return nil, nil })
			callN(t, ours["native"], 1, breaker.Success)
		}
		time.Sleep(time.Minute)
		fail(lib, 10_000)
		if got := lib.State(); got != sony.StateClosed {
			t.Errorf("the library is %v after 10000 failures in a row: the defect is gone", got)
		}
		callN(t, ours["native"], 5, breaker.Failure)
		wantState(t, ours["native"], breaker.Open)

		lib2, ours := sony.NewTwoStepCircuitBreaker[any](st), both(t, st)
		for range 50 { // slow calls are out
			_, _ = lib2.Allow()
			admit(t, ours["native"])
		}
		for range 60 {
			done, _ := lib2.Allow()
			done(errDown)
		}
		if got := lib2.State(); got != sony.StateClosed {
			t.Errorf("the library is %v when all of 60 calls failed and 50 are out: the defect is gone", got)
		}
		callN(t, ours["native"], 5, breaker.Failure)
		wantState(t, ours["native"], breaker.Open)
	})
}

// A done of the library that is called three times counts three.
func TestDefect_SecondDone(t *testing.T) {
	lib := sony.NewTwoStepCircuitBreaker[any](sony.Settings{})
	done, _ := lib.Allow()
	for range 3 {
		done(errDown)
	}
	if got := lib.Counts().TotalFailures; got != 3 {
		t.Errorf("the library counts %d failures of one call: the defect is gone", got)
	}
	b, err := New("x", Config{})
	if err != nil {
		t.Fatal(err)
	}
	p := admit(t, b)
	second := *p // a copy, which the native engine would count
	for range 3 {
		p.Done(breaker.Report{Result: breaker.Failure})
		second.Done(breaker.Report{Result: breaker.Failure})
	}
	if got := b.Counts().TotalFailures; got != 1 {
		t.Errorf("%d failures of one call", got)
	}
}

// OnStateChange runs under the library's lock: who asks for the state in it
// gets no answer before it has returned, and so never.
func TestDefect_ListenerDeadlock(t *testing.T) {
	var lib *sony.CircuitBreaker[any]
	answered, early := make(chan struct{}), false
	lib = sony.NewCircuitBreaker[any](sony.Settings{OnStateChange: func(string, sony.State, sony.State) {
		go func() {
			lib.State()
			close(answered)
		}()
		for range 1000 {
			runtime.Gosched()
			select {
			case <-answered:
				early = true
			default:
			}
		}
	}})
	fail(lib, 6)
	if <-answered; early {
		t.Error("the library answers its listener: the defect is gone")
	}

	var b *Breaker
	var heard []string
	b, err := New("db", Config{Settings: sony.Settings{Name: "users", OnStateChange: func(name string, from, to sony.State) {
		heard = append(heard, name+": "+from.String()+" to "+to.String()+", "+b.State().String())
		p, _, _ := b.TryAcquire(time.Now())
		p.Done(breaker.Report{})
		b.Counts()
	}}})
	if err != nil {
		t.Fatal(err)
	}
	callN(t, b, 6, breaker.Failure)
	if len(heard) != 1 || heard[0] != "users/db: closed to open, open" {
		t.Errorf("heard %q", heard)
	}
}

// The library is not told apart what a rejection means for the caller: it says
// that it is open, and not for how long; and nobody can open or close it.
//
//nolint:forbidigo // synctest bubble
func TestDefect_NoRemainingDelay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for name, b := range both(t, sony.Settings{Timeout: 10 * time.Second}) {
			b.(breaker.Tripper).Trip(breaker.Reason{})
			time.Sleep(4 * time.Second)
			if _, wait, ok := b.TryAcquire(time.Now()); ok || wait != 6*time.Second+1 {
				t.Errorf("%s: admitted %v, wait %v; want 6s and a nanosecond", name, ok, wait)
			}
			b.(breaker.Tripper).Reset(breaker.Reason{})
			callN(t, b, 1, breaker.Success)
			wantState(t, b, breaker.Closed)
		}
	})
}
