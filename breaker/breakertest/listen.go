package breakertest

import (
	"runtime"
	"slices"
	"testing/synctest"

	"github.com/holdfast-go/holdfast/breaker"
)

// listenCases are about those who hear transitions.
var listenCases = []item{
	{"listener-order", "a listener hears every transition once, in order, and one at a time", func(r *rig) {
		busy := false
		r.react = func(t turn) {
			if busy {
				r.errorf("told of %v while it listens to another", t)
			}
			busy = true
			if len(r.turns()) == 1 { // transitions while somebody listens wait for their turn
				r.recover(r.reopened())
			}
			busy = false
		}
		for range r.Failures {
			r.admit().Done(breaker.Report{Result: breaker.Failure})
		}
		synctest.Wait()
		r.want(breaker.Closed)
		r.react = nil
		r.open()
		r.done(r.reopened(), breaker.Failure)
		r.recover(r.reopened())
		want := []turn{
			{breaker.Closed, breaker.Open},
			{breaker.Open, breaker.HalfOpen},
			{breaker.HalfOpen, breaker.Closed},
			{breaker.Closed, breaker.Open},
			{breaker.Open, breaker.HalfOpen},
			{breaker.HalfOpen, breaker.Open},
			{breaker.Open, breaker.HalfOpen},
			{breaker.HalfOpen, breaker.Closed},
		}
		if got := r.turns(); !slices.Equal(got, want) {
			r.errorf("heard %v, want %v", got, want)
		}
	}},
	{"listener-calls-back", "a listener may call the breaker: State, TryAcquire, Done", func(r *rig) {
		seen := make([]breaker.State, 0, 5)
		r.react = func(turn) {
			seen = append(seen, r.State())
			p, _, _ := r.ask()
			p.Done(breaker.Report{})
		}
		r.roundTrip()
		for i, t := range r.turns() {
			// Asking again may open the gate, but nothing else has happened since.
			if seen[i] != t.to {
				r.errorf("state was %v in the listener that heard %v", seen[i], t)
			}
		}
		if len(seen) == 0 {
			r.errorf("the listener heard nothing")
		}
	}},
	{"listener-panics", "a listener that panics or ends its goroutine leaves the breaker in order", func(r *rig) {
		for _, exit := range []func(){func() { panic("listener") }, runtime.Goexit} {
			r.Breaker = r.New(r.listen)
			r.heard = nil
			r.react = func(t turn) {
				if t.to == breaker.Open {
					exit()
				}
			}
			r.apart(func() {
				for range r.Failures {
					r.admit().Done(breaker.Report{Result: breaker.Failure})
				}
			})
			r.want(breaker.Open)
			r.react = nil
			r.pass(r.longEnough())
			r.recover(r.admit())
			if got := len(r.turns()); got != 3 {
				r.errorf("heard %v, want open, half-open and closed", r.turns())
			}
		}
	}},
}

// roundTrip opens the breaker, fails a probe, and closes it.
func (r *rig) roundTrip() {
	r.done(r.halfOpen(), breaker.Failure)
	r.want(breaker.Open)
	r.recover(r.reopened())
}

// apart runs f on a goroutine of its own, which may panic or end.
func (r *rig) apart(f func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { _ = recover() }()
		f()
	}()
	<-ended
}
