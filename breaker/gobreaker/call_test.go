package gobreaker

import (
	"runtime"
	"testing"
	"time"

	sony "github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
)

// A copy of a permit settles nothing, also when the memory of its call serves
// another.
func TestCopiesOfAPermit(t *testing.T) {
	b, err := New("x", Config{})
	if err != nil {
		t.Fatal(err)
	}
	var copies []breaker.Permit
	for range 1000 {
		p := admit(t, b)
		copies = append(copies, *p)
		p.Done(breaker.Report{Result: breaker.Success})
	}
	p := admit(t, b) // most likely in the memory of one of them
	for i := range copies {
		copies[i].Done(breaker.Report{Result: breaker.Failure})
	}
	if c := b.Counts(); c.TotalFailures != 0 || c.TotalSuccesses != 1000 {
		t.Errorf("got %+v, want 1000 successes", c)
	}
	p.Done(breaker.Report{Result: breaker.Success})
	if c := b.Counts(); c.TotalSuccesses != 1001 {
		t.Errorf("got %+v, want 1001 successes", c)
	}
}

// A probe whose lease is over is no probe's any more, even if nobody has come
// for its place; its failure counts once the breaker is closed.
//
//nolint:forbidigo // synctest bubble
func TestLateProbes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, err := New("x", Config{Settings: sony.Settings{MaxRequests: 2, Timeout: time.Second}, ProbeTimeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		b.Trip(breaker.Reason{})
		time.Sleep(2 * time.Second)
		late, second := admit(t, b), admit(t, b)
		time.Sleep(time.Second)
		late.Done(breaker.Report{Result: breaker.Success})
		second.Done(breaker.Report{Result: breaker.Failure})
		wantState(t, b, breaker.HalfOpen)
		third, fourth := admit(t, b), admit(t, b)
		time.Sleep(time.Second)
		callN(t, b, 2, breaker.Success) // these two are forfeited
		wantState(t, b, breaker.Closed)
		third.Done(breaker.Report{Result: breaker.Failure})
		fourth.Done(breaker.Report{Result: breaker.Success})
		if c := b.Counts(); c.TotalFailures != 1 || c.TotalSuccesses != 0 {
			t.Errorf("got %+v, want the late failure alone", c)
		}
	})
}

// What is kept of probes is bounded by those that are out, whatever
// MaxRequests is.
//
//nolint:forbidigo // synctest bubble
func TestLeasesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, tt := range []struct {
			lease time.Duration
			lost  func(i int) bool
			most  int // leases kept
		}{
			{time.Second, func(i int) bool { return i%2 == 0 }, 5000}, // a thousand a second, and as many that report
			{24 * time.Hour, func(i int) bool { return i == 0 }, 10},
		} {
			b, err := New("x", Config{Settings: sony.Settings{MaxRequests: 1 << 31}, ProbeTimeout: tt.lease})
			if err != nil {
				t.Fatal(err)
			}
			b.Trip(breaker.Reason{})
			time.Sleep(time.Minute + 1)
			most := 0
			for i := range 20_000 {
				p := admit(t, b)
				if !tt.lost(i) {
					p.Done(breaker.Report{Result: breaker.Ignored})
				}
				time.Sleep(time.Millisecond / 2)
				most = max(most, cap(b.leases))
			}
			if most > tt.most {
				t.Errorf("%d leases kept, want at most %d", most, tt.most)
			}
			if c := b.Counts(); c.Requests-c.TotalExclusions > 1001 {
				t.Errorf("got %+v, want 1000 out", c)
			}
		}
	})
}

// Results of calls from before Trip and Reset are old news; failures count.
func TestResultsFromBeforeReset(t *testing.T) {
	b, err := New("x", Config{})
	if err != nil {
		t.Fatal(err)
	}
	good, bad, nothing := admit(t, b), admit(t, b), admit(t, b)
	b.Reset(breaker.Reason{})
	good.Done(breaker.Report{Result: breaker.Success})
	bad.Done(breaker.Report{Result: breaker.Failure})
	nothing.Done(breaker.Report{})
	if c := b.Counts(); c != (sony.Counts{Requests: 1, TotalFailures: 1, ConsecutiveFailures: 1}) {
		t.Errorf("got %+v, want the failure alone", c)
	}
}

// Idle breakers are as good as new ones.
//
//nolint:forbidigo // synctest bubble
func TestIdle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, tt := range []struct {
			name    string
			st      sony.Settings
			success bool // makes it idle after a failure
			time    bool // does so too
		}{
			{"in a row", sony.Settings{}, true, false},
			{"in a row, with an interval", sony.Settings{Interval: time.Minute}, true, true},
			{"share", sony.Settings{ReadyToTrip: shareOf(10, .5)}, false, false},
			{"share, with an interval", sony.Settings{Interval: time.Minute, ReadyToTrip: shareOf(10, .5)}, false, true},
			{"rolling", sony.Settings{Interval: time.Minute, BucketPeriod: time.Second}, false, true},
		} {
			t.Log(tt.name)
			b, err := New("x", Config{Settings: tt.st})
			if err != nil {
				t.Fatal(err)
			}
			want := func(idle bool) {
				t.Helper()
				if got := b.Idle(); got != idle {
					t.Errorf("idle %v, want %v", got, idle)
				}
			}
			want(true)
			callN(t, b, 10, breaker.Success)
			want(true)
			callN(t, b, 1, breaker.Failure)
			want(false)
			callN(t, b, 1, breaker.Success)
			want(tt.success)
			callN(t, b, 1, breaker.Failure)
			time.Sleep(2 * time.Minute)
			want(tt.time)
			b.Trip(breaker.Reason{})
			want(false)
			b.Reset(breaker.Reason{})
			want(true)
			callN(t, b, 5, breaker.Success)
			for b.State() == breaker.Closed {
				callN(t, b, 1, breaker.Failure)
			}
			want(false)
			time.Sleep(2 * time.Minute)
			callN(t, b, 1, breaker.Success)
			want(true)
		}
	})
}

// A ReadyToTrip that panics takes its failure with it and nothing else; one
// that asks for the state gets it, though the library holds its lock.
func TestReadyToTripMisbehaves(t *testing.T) {
	var b *Breaker
	asked := 0
	b, err := New("x", Config{Settings: sony.Settings{ReadyToTrip: func(c sony.Counts) bool {
		if asked++; asked == 1 {
			panic("ready")
		}
		return b.State() == breaker.Closed && c.ConsecutiveFailures >= 3
	}}})
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if got := recover(); got != "ready" {
				t.Errorf("recovered %v, want the panic of ReadyToTrip", got)
			}
		}()
		callN(t, b, 1, breaker.Failure)
	}()
	callN(t, b, 2, breaker.Failure)
	wantState(t, b, breaker.Open)
}

// A breaker takes little memory: a Group may hold thousands.
func TestSize(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector adds to it")
	}
	e, err := NewEngine(Config{})
	if err != nil {
		t.Fatal(err)
	}
	const n = 1000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		e.New("x")
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / n; got > 1024 {
		t.Errorf("%d bytes a breaker, want at most 1024", got)
	}
}
