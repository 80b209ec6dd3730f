package selector

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// share makes many attempts that take d and returns how many were to be timed.
func (r *rig) share(method string, n int, d time.Duration) (timed int) {
	r.t.Helper()
	for range n {
		p := r.pick(Call{Method: method})
		r.pass(d)
		rep := Report{Result: breaker.Success}
		if p.Timed() {
			timed++
			rep.Elapsed = d
		}
		p.Done(rep)
	}
	return timed
}

func TestQuickMethodsAreTimedNowAndThen(t *testing.T) {
	r := newRig(t, Config{SlowStart: -1}, named(3)...)
	if n := r.share("slow", 1600, time.Millisecond); n != 1600 {
		t.Errorf("%d of 1600 calls of 1 ms were timed, want all", n)
	}
	r.share("quick", 200, time.Microsecond)
	if n := r.share("quick", 1600, time.Microsecond); n < 1600/8 || n > 1600/4 {
		t.Errorf("%d of 1600 calls of 1 µs were timed, want one in eight and one in sixteen", n)
	}
	// It has become slow: that is seen, and then every call is timed again.
	r.share("quick", 200, time.Millisecond)
	if n := r.share("quick", 1600, time.Millisecond); n != 1600 {
		t.Errorf("%d of 1600 calls that take 1 ms now were timed, want all", n)
	}
	for _, s := range r.sel.Nodes() {
		if s.Latency < 900*time.Microsecond || s.Latency > 1100*time.Microsecond {
			t.Errorf("node %s: latency %v, want about 1 ms", s.Node, s.Latency)
		}
	}
}

// A failure is remembered until a success is timed, so the next one must be.
func TestAFailureIsForgivenAtOnce(t *testing.T) {
	r := newRig(t, Config{SlowStart: -1}, named(1)...)
	r.share("quick", 200, time.Microsecond)
	for range 50 {
		p := r.pick(Call{Method: "quick"})
		p.Done(Report{Result: breaker.Failure})
		if s := r.sel.set.Load().all[0].estimate(0); s != 0 {
			t.Fatalf("estimate %v after a failure, want none", s)
		}
		r.share("quick", 2, time.Microsecond) // one of two may feed the method
		if r.sel.set.Load().all[0].latency.Load()&lastFailed != 0 {
			t.Fatal("two successes, and the last failure still stands")
		}
	}
}

// What a foreign engine does with the elapsed time is its own business.
func TestForeignEnginesAreTold(t *testing.T) {
	family, err := breaker.NewFamily(breaker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, Config{SlowStart: -1, Engine: family}, named(3)...)
	if n := r.share("quick", 1000, time.Microsecond); n != 1000 {
		t.Errorf("%d of 1000 calls were timed, want all", n)
	}
}
