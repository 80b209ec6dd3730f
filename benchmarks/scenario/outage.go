package scenario

import (
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

var outage = Scenario{
	Name:   "outage",
	What:   "all instances die at once and come back together",
	Inject: "SIGKILL to all five instances; they are started again after 30 s (-quick: 3 s). A caller waits for 500 ms",
	Bound: "failed: the requests that were due so long before the first instance was back that their caller could not wait for it, and the unkeyed POSTs in flight at the kill. " +
		"peak: 1.5 times the rate, of attempts in any second. recoverMs: 1000, the first probe",
	Plan: func(p Pace) harness.Plan {
		p.Fault = p.or(30*time.Second, 3*time.Second)
		plan := p.plan(step(p.Warm, harness.DoKill, everybody...), step(p.end(), harness.DoStart, everybody...))
		plan.Timeout = 500 * time.Millisecond
		return plan
	},
	Bounds: func(r *harness.Run) map[string]float64 {
		b := usual(r)
		for _, key := range []string{"p50Ms", "p99Ms", "falseEjections"} { // most calls fail, and all nodes are ill
			delete(b, key)
		}
		failed := into(r, r.Steps[0].End, r.Back(1)-r.Plan.Timeout, 1) + float64(r.InFlightPosts(0))
		b["peak"], b["recoverMs"] = 1.5, 1000
		return doomed(b, failed, float64(r.InFlightGhosts(0)))
	},
}
