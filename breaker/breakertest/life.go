package breakertest

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
)

// lifeCases are about opening, staying open, and time.
var lifeCases = []item{
	{"closed", "a new breaker is closed, admits every call, and stays closed while they succeed", func(r *rig) {
		r.want(breaker.Closed)
		var out []*ticket
		for range 100 {
			p, wait, ok := r.ask()
			if !ok || wait != 0 {
				r.fatalf("admitted %v, wait %v; want all calls of a closed breaker admitted at once", ok, wait)
			}
			out = append(out, &p)
		}
		for _, p := range out {
			r.done(p, breaker.Success)
		}
		r.want(breaker.Closed)
	}},
	{"opens", "Failures failures in a row open it, fewer do not, nor do more of which each follows ten successes", func(r *rig) {
		r.call(r.Failures-1, breaker.Failure)
		r.want(breaker.Closed)
		r.call(1, breaker.Failure)
		r.want(breaker.Open)
		r.rejected()
		if r.Failures > 1 {
			r.Breaker = r.New(r.listen)
			for range 3 * r.Failures {
				r.call(10, breaker.Success)
				r.call(1, breaker.Failure)
			}
			r.want(breaker.Closed)
		}
	}},
	{"ignored", "an Ignored result says nothing: it opens nothing and excuses nothing", func(r *rig) {
		r.call(r.Failures-1, breaker.Failure)
		r.call(20*r.Failures, breaker.Ignored)
		r.want(breaker.Closed)
		r.call(1, breaker.Failure)
		r.want(breaker.Open)
	}},
	{"open-time", "it rejects while open, and lets a call pass once OpenFor is over", func(r *rig) {
		r.open()
		for range 10 {
			r.rejected()
		}
		r.want(breaker.Open)
		r.pass(r.longEnough())
		r.admit()
		r.want(breaker.HalfOpen)
	}},
	{"retry-after", "a rejection says when asking again helps: not before, and then it does", func(r *rig) {
		r.open()
		wait := r.rejected()
		if wait <= 0 || wait > r.longEnough() {
			r.fatalf("retry after %v, want more than 0 and at most the open time, %v", wait, r.OpenFor)
		}
		early := wait - wait/100
		r.pass(early)
		if again := r.rejected(); again != wait-early {
			r.errorf("retry after %v, and %v later after %v: want the two to meet", wait, early, again)
		}
		r.pass(wait - early)
		r.admit()
	}},
	{"time-alone", "time alone does not change the state", func(r *rig) {
		r.pass(time.Hour)
		r.want(breaker.Closed)
		r.open()
		r.pass(10 * r.longEnough())
		r.want(breaker.Open)
		r.admit()
		r.pass(10 * r.ProbeTimeout)
		r.want(breaker.HalfOpen)
	}},
	{"now", "the present is what TryAcquire is told, as it must be in simulated time", func(r *rig) {
		r.open()
		if _, wait, ok := r.TryAcquire(clock.System.Now().Add(r.longEnough())); !ok {
			r.errorf("rejected for %v at an instant after the open time", wait)
		}
	}},
	{"slow-failure", "a failure counts however long its call took", func(r *rig) {
		var out []*ticket
		for range r.Failures {
			out = append(out, r.admit())
		}
		r.pass(time.Hour)
		for _, p := range out {
			r.done(p, breaker.Failure)
		}
		r.want(breaker.Open)
	}},
	{"allocations", "TryAcquire and Done allocate nothing, admitted or rejected", func(r *rig) {
		if n := testing.AllocsPerRun(100, func() {
			p, _, _ := r.ask()
			p.Done(breaker.Report{Result: breaker.Success})
		}); n > 0 {
			r.errorf("%v allocations in a call while closed", n)
		}
		r.Breaker = r.New(r.listen)
		r.open()
		if n := testing.AllocsPerRun(100, func() { r.ask() }); n > 0 {
			r.errorf("%v allocations in a rejection", n)
		}
	}},
	{"independent", "what one breaker learns says nothing to another", func(r *rig) {
		other := r.New(func(from, to breaker.State) { r.errorf("the other breaker went from %v to %v", from, to) })
		r.open()
		if got := other.State(); got != breaker.Closed {
			r.errorf("the other breaker is %v", got)
		}
		if _, _, ok := other.TryAcquire(clock.System.Now()); !ok {
			r.errorf("the other breaker rejects")
		}
		r.rejected()
	}},
	{"goroutines", "it leaves no goroutine behind", func(r *rig) {
		before := bubbled()
		r.Breaker = r.New(r.listen)
		p := r.halfOpen()
		r.recover(p)
		r.pass(time.Hour)
		if after := bubbled(); after > before {
			r.errorf("%d goroutine(s) a breaker are left", after-before)
		}
	}},
}

// bubbled counts the goroutines of the bubble that the caller is in.
func bubbled() int {
	buf := make([]byte, 1<<20)
	stacks := string(buf[:runtime.Stack(buf, true)])
	head, _, _ := strings.Cut(stacks, "\n")
	at := strings.Index(head, "synctest bubble ")
	if at < 0 {
		return 0
	}
	return strings.Count(stacks, head[at:])
}
