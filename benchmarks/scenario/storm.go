package scenario

import (
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

var storm = Scenario{
	Name: "storm",
	What: "the service loses four fifths of its capacity for a while: do retries keep it down?",
	Inject: "five instances with five workers of 80 ms and room for 50 waiting requests each: 312 requests a second; under 125 a second " +
		"they work with one worker each, 62 a second, for 10 s (-quick: 2.5 s). A caller waits for 1 s; what callers have given up is carried out all the same",
	Bound: "failed: the requests of that time beyond what the instances can carry out in it, and until a caller's deadline after it besides what comes then. " +
		"recoverMs: 0, since that is more than the queues hold. amplification: 1.2, a retry budget of 20 %",
	Plan: func(p Pace) harness.Plan {
		p.Fault, p.Rate = p.or(10*time.Second, 2500*time.Millisecond), 125
		cut := sick(p.Warm, harness.Illness{Capacity: left}, everybody...)
		cut.Innocent = true
		plan := p.plan(cut, sick(p.end(), harness.Illness{}, everybody...))
		plan.Timeout = time.Second
		plan.Service = harness.Service{Mean: 80 * time.Millisecond, CV: 0.3, Workers: 5, Queue: 50}
		return plan
	},
	Bounds: func(r *harness.Run) map[string]float64 {
		b := usual(r)
		delete(b, "p50Ms")
		delete(b, "p99Ms")
		delete(b, "ghosts")
		b["failed"] = excess(r, r.Steps[0].Begin, r.Steps[1].Begin, capacity(r, left*float64(r.Plan.Service.Workers)))
		b["amplification"], b["recoverMs"] = 1+retryBudget, 0
		return b
	},
}

const left = 0.2
