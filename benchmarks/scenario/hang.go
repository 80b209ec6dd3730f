package scenario

import (
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

var hang = Scenario{
	Name:   "hang",
	What:   "one of five instances pauses for 300 ms as if for a garbage collection, then hangs",
	Inject: "SIGSTOP to hello-5, SIGCONT after 300 ms; after 2 s (-quick: 1 s) SIGSTOP again, for 10 s (-quick: 2.5 s)",
	Bound: "failed: the unkeyed POSTs that were on it at the long stop, or came to it before its silence could be told from slowness " +
		"(the p99.9 of the service times); with keys 0. falseEjections: 0, for the pause too. p99: as without a fault, or the pause if more than 1 % must wait for it",
	Plan: func(p Pace) harness.Plan {
		long := p.Warm + p.or(2*time.Second, time.Second)
		p.Fault = p.or(12*time.Second, 3500*time.Millisecond)
		pause := step(p.Warm, harness.DoStop)
		pause.Innocent = true
		return p.plan(
			pause, step(p.Warm+pauseTime, harness.DoContinue),
			step(long, harness.DoStop), step(p.end(), harness.DoContinue),
		)
	},
	Bounds: func(r *harness.Run) map[string]float64 {
		b := stuck(usual(r), r, 2, 1)
		waiting := 0.0
		for _, route := range r.InFlight(0) {
			if route == harness.Post && !r.Info.Keyed {
				waiting++
			}
		}
		waiting += into(r, r.Steps[0].Begin, r.Steps[0].Begin+silence(r), r.Plan.Nodes) * unkeyedPosts(r)
		slowTail(b, r, waiting+b["failed"], pauseTime)
		return b
	},
}

const pauseTime = 300 * time.Millisecond
