package scenario

import (
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

var flapping = Scenario{
	Name:   "flapping",
	What:   "one of five instances dies and comes back, again and again",
	Inject: "SIGKILL to hello-5, started again after 2 s, SIGKILL after 2 s more, four times (-quick: 1 s each, twice)",
	Bound: "failed: the unkeyed POSTs that were in flight on it at each kill; with keys 0. ejections: as many as kills, for each client. " +
		"p50, p99: as without a fault",
	Plan: func(p Pace) harness.Plan {
		half, flaps := p.or(2*time.Second, time.Second), 4
		if p.Quick {
			flaps = 2
		}
		var steps []harness.Step
		for i := range flaps {
			at := p.Warm + time.Duration(2*i)*half
			steps = append(steps, step(at, harness.DoKill), step(at+half, harness.DoStart))
		}
		p.Fault = time.Duration(2*flaps-1) * half
		return p.plan(steps...)
	},
	Bounds: func(r *harness.Run) map[string]float64 {
		b := killed(usual(r), r)
		b["ejections"] = float64(len(r.Steps)/2) * clients(r)
		return b
	},
}
