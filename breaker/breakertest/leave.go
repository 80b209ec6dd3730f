package breakertest

import (
	"runtime"

	"github.com/holdfast-go/holdfast/breaker"
)

// leaveCases are about calls that end otherwise than by a return.
var leaveCases = []item{
	{"panic", "a call that panics wedges nothing, whether its permit is done with or lost", func(r *rig) {
		r.leave(func() { panic("op") })
	}},
	{"goexit", "a call that ends its goroutine wedges nothing, whether its permit is done with or lost", func(r *rig) {
		r.leave(runtime.Goexit)
	}},
}

// leave makes calls that end by exit, closed and half-open.
func (r *rig) leave(exit func()) {
	attempt := func(deferred bool) {
		p, _, ok := r.ask()
		if !ok {
			r.fatalf("rejected while %v, want admitted", r.State())
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer func() { _ = recover() }()
			if deferred {
				defer p.Done(breaker.Report{})
			}
			exit()
		}()
		<-ended
	}
	for range 3 * r.Failures {
		attempt(true)
		attempt(false)
	}
	r.want(breaker.Closed)
	r.done(r.halfOpen(), breaker.Ignored)
	for range 10 * r.Probes {
		attempt(true)
		r.want(breaker.HalfOpen)
	}
	for range 10 {
		for range r.Probes {
			attempt(false)
		}
		r.rejected()
		r.pass(r.ProbeTimeout + 1)
	}
	r.recover(r.admit())
}
