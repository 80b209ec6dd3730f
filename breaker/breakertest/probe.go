package breakertest

import (
	"github.com/holdfast-go/holdfast/breaker"
)

// probeCases are about half-open: what passes, and what it decides.
var probeCases = []item{
	{"probes", "half-open admits Probes calls at once and no more; as many successes close it, fewer do not", func(r *rig) {
		out := []*ticket{r.halfOpen()}
		for range r.Probes - 1 {
			out = append(out, r.admit())
		}
		if wait := r.rejected(); wait < 0 || wait > r.ProbeTimeout {
			r.errorf("retry after %v, want at most ProbeTimeout, %v", wait, r.ProbeTimeout)
		}
		for _, p := range out {
			r.want(breaker.HalfOpen)
			r.done(p, breaker.Success)
		}
		r.want(breaker.Closed)
		r.admit()
		r.admit()
	}},
	{"probe-failure", "one failed probe opens it again", func(r *rig) {
		p := r.halfOpen()
		if r.Probes > 1 {
			r.done(p, breaker.Success)
			p = r.admit()
		}
		r.done(p, breaker.Failure)
		r.want(breaker.Open)
		r.rejected()
	}},
	{"probe-ignored", "a probe that says nothing gives its place back and decides nothing", func(r *rig) {
		p := r.halfOpen()
		for range 20 * r.Probes {
			r.done(p, breaker.Ignored)
			r.want(breaker.HalfOpen)
			p = r.admit()
		}
		r.recover(p)
	}},
	{"record-is-clean", "after it has closed, what was before is forgotten", func(r *rig) {
		r.recover(r.halfOpen())
		r.call(r.Failures-2, breaker.Failure) // one less than there may be: some rules count the probe
		r.want(breaker.Closed)
		r.open()
	}},
	{"lost-probe", "a probe that never reports is forfeited after ProbeTimeout; no number of them wedges it", func(r *rig) {
		r.halfOpen()
		for range 20 {
			for range r.Probes - 1 {
				r.admit()
			}
			wait := r.rejected()
			if wait < 0 || wait > r.ProbeTimeout {
				r.errorf("retry after %v, want at most ProbeTimeout, %v", wait, r.ProbeTimeout)
			}
			r.pass(r.ProbeTimeout + 1)
			r.admit() // and lost
		}
		r.pass(r.ProbeTimeout + 1)
		r.recover(r.admit())
	}},
	{"forfeited-success", "the success of a forfeited probe closes nothing", func(r *rig) {
		late := []*ticket{r.halfOpen()}
		for range r.Probes - 1 {
			late = append(late, r.admit())
		}
		r.pass(r.ProbeTimeout + 1)
		p := r.admit()
		for _, l := range late {
			r.done(l, breaker.Success)
		}
		r.want(breaker.HalfOpen)
		r.recover(p)
	}},
	{"forfeited-failure", "the failure of a forfeited probe opens nothing", func(r *rig) {
		late := []*ticket{r.halfOpen()}
		for range r.Probes - 1 {
			late = append(late, r.admit())
		}
		r.pass(r.ProbeTimeout + 1)
		p := r.admit()
		for _, l := range late {
			r.done(l, breaker.Failure)
		}
		r.want(breaker.HalfOpen)
		r.recover(p)
	}},
	{"second-done", "a result counts once, however often Done is called", func(r *rig) {
		if r.Failures > 1 {
			p := r.admit()
			for range 2 * r.Failures {
				r.done(p, breaker.Failure)
			}
			r.want(breaker.Closed)
			r.call(r.Failures-2, breaker.Failure)
			r.want(breaker.Closed)
			r.call(1, breaker.Failure)
			r.want(breaker.Open)
			r.Breaker = r.New(r.listen)
		}
		p := r.halfOpen()
		if r.Probes == 1 {
			r.done(p, breaker.Success)
			r.done(p, breaker.Failure)
			r.want(breaker.Closed)
			return
		}
		for range 2 * r.Probes {
			r.done(p, breaker.Success)
		}
		r.want(breaker.HalfOpen)
	}},
}
