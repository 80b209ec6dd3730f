package breakertest

import "github.com/holdfast-go/holdfast/breaker"

// staleCases are about results of calls that were admitted before the state
// changed. A success of then says nothing about now; a failure that comes
// while the breaker is closed is never lost.
var staleCases = []item{
	{"stale-success-open", "a success admitted before it opened does not close it", func(r *rig) {
		stale := r.admit()
		r.open()
		r.done(stale, breaker.Success)
		r.want(breaker.Open)
		r.rejected()
	}},
	{"stale-success-half-open", "a success admitted before it opened is no probe's", func(r *rig) {
		stale := make([]*ticket, r.Probes+1)
		for i := range stale {
			stale[i] = r.admit()
		}
		p := r.halfOpen()
		for _, s := range stale {
			r.done(s, breaker.Success)
			r.want(breaker.HalfOpen)
		}
		for range r.Probes - 1 {
			r.admit()
		}
		r.rejected() // nor has it given a place away
		r.done(p, breaker.Failure)
		r.want(breaker.Open)
	}},
	{"stale-success-closed", "a success admitted before it opened excuses nothing after it closed", func(r *rig) {
		stale := make([]*ticket, 3*r.Failures)
		for i := range stale {
			stale[i] = r.admit()
		}
		r.recover(r.halfOpen())
		r.call(r.Failures-2, breaker.Failure) // one less than there may be: some rules count the probe
		for _, s := range stale {
			r.done(s, breaker.Success)
		}
		for range min(r.Failures, 2) {
			if r.State() == breaker.Closed {
				r.call(1, breaker.Failure)
			}
		}
		r.want(breaker.Open)
	}},
	{"stale-failure-half-open", "a failure admitted before it opened is no probe's", func(r *rig) {
		stale := r.admit()
		p := r.halfOpen()
		r.done(stale, breaker.Failure)
		r.want(breaker.HalfOpen)
		r.recover(p)
	}},
	{"stale-failure-closed", "a failure counts while closed, even if its call was admitted before the last opening", func(r *rig) {
		stale := make([]*ticket, r.Failures)
		for i := range stale {
			stale[i] = r.admit()
		}
		r.recover(r.halfOpen())
		for _, s := range stale {
			r.done(s, breaker.Failure)
		}
		r.want(breaker.Open)
	}},
	{"stale-probe", "a probe of an earlier half-open period decides nothing in a later one", func(r *rig) {
		if r.Probes == 1 { // a lost one, then
			stale := r.halfOpen()
			r.pass(r.ProbeTimeout + 1)
			r.done(r.admit(), breaker.Failure)
			r.want(breaker.Open)
			p := r.reopened()
			r.done(stale, breaker.Failure)
			r.want(breaker.HalfOpen)
			r.recover(p)
			return
		}
		stale := []*ticket{r.halfOpen()}
		for range r.Probes - 1 {
			stale = append(stale, r.admit())
		}
		r.done(stale[0], breaker.Failure)
		r.want(breaker.Open)
		r.done(r.reopened(), breaker.Success)
		for _, s := range stale[1:] {
			r.done(s, breaker.Success)
			r.want(breaker.HalfOpen)
		}
	}},
}

// reopened waits for the end of a later opening, which may be longer than the
// first, and returns the probe.
func (r *rig) reopened() *ticket {
	for range 1000 {
		r.pass(r.longEnough())
		if p, _, ok := r.ask(); ok {
			r.want(breaker.HalfOpen)
			return &p
		}
	}
	r.fatalf("still rejecting after a thousand times OpenFor")
	return nil
}
