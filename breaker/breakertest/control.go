package breakertest

import "github.com/holdfast-go/holdfast/breaker"

// controlCases are about breaker.Tripper, which lets the ejector of package
// selector, and people, open and close a breaker.
var controlCases = []item{
	{"trip", "Trip opens it from closed and half-open for an open time, and does nothing while open", func(r *rig) {
		t := r.tripper()
		t.Trip(breaker.Reason{Cause: breaker.ByHand})
		r.want(breaker.Open)
		r.rejected()
		r.pass(r.OpenFor / 4) // less than the least that jitter leaves
		t.Trip(breaker.Reason{Cause: breaker.ByHand})
		r.pass(r.longEnough() - r.OpenFor/4)
		r.admit()
		r.want(breaker.HalfOpen)
		t.Trip(breaker.Reason{Cause: breaker.ByHand})
		r.want(breaker.Open)
		r.rejected()
		r.recover(r.reopened())
	}},
	{"reset", "Reset closes it from open and half-open, and forgets", func(r *rig) {
		t := r.tripper()
		r.call(r.Failures-1, breaker.Failure)
		t.Reset(breaker.Reason{Cause: breaker.ByHand})
		r.call(r.Failures-1, breaker.Failure)
		r.want(breaker.Closed)
		r.call(1, breaker.Failure)
		r.want(breaker.Open)
		t.Reset(breaker.Reason{Cause: breaker.ByHand})
		r.want(breaker.Closed)
		stale := r.halfOpen()
		t.Reset(breaker.Reason{Cause: breaker.ByHand})
		r.want(breaker.Closed)
		r.call(r.Failures-1, breaker.Failure)
		r.done(stale, breaker.Success) // old news
		r.call(1, breaker.Failure)
		r.want(breaker.Open)
	}},
	{"trip-is-heard", "Trip and Reset are transitions, and a listener hears them", func(r *rig) {
		t := r.tripper()
		t.Trip(breaker.Reason{})
		t.Trip(breaker.Reason{})
		t.Reset(breaker.Reason{})
		t.Reset(breaker.Reason{})
		if got := r.turns(); len(got) != 2 || got[0] != (turn{breaker.Closed, breaker.Open}) || got[1] != (turn{breaker.Open, breaker.Closed}) {
			r.errorf("heard %v, want closed to open, and back", got)
		}
	}},
}

func (r *rig) tripper() breaker.Tripper {
	t, ok := r.Breaker.(breaker.Tripper)
	if !ok {
		r.fatalf("%T is no breaker.Tripper", r.Breaker)
	}
	return t
}
