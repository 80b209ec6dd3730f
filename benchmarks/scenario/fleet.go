package scenario

import (
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

var fleet = Scenario{
	Name: "fleet",
	What: "all instances fail alike: 10 % of everything, then one method always",
	Inject: "during the first half of the fault phase all five instances answer 500 to 10 % of their attempts, half of them after their effect; " +
		"during the second to every GET /user/list, which is a fifth of the load",
	Bound: "failed: the unkeyed POSTs that were answered 500, which must not be repeated, and the requests of the method that always fails. " +
		"falseEjections: 0. amplification: 1.2, a retry budget of 20 %. p50, p99: what the instances worked on each request in all its attempts, one right after another",
	Plan: func(p Pace) harness.Plan {
		list := harness.List
		all := sick(p.Warm, harness.Illness{Errors: 0.1}, everybody...)
		one := sick(p.Warm+p.Fault/2, harness.Illness{Errors: 1, Route: &list}, everybody...)
		all.Innocent, one.Innocent = true, true
		plan := p.plan(all, one, sick(p.end(), harness.Illness{}, everybody...))
		plan.Mix = []float64{4, 4, 2}
		return plan
	},
	Bounds: func(r *harness.Run) map[string]float64 {
		b := usual(r)
		b["amplification"] = 1 + retryBudget
		b["p50Ms"], b["p99Ms"] = max(b["p50Ms"], r.WorkedMs(50)), max(b["p99Ms"], r.WorkedMs(99))
		from, to := r.Steps[1].End, r.Steps[2].Begin
		poisoned := 0
		for i := range r.Shots {
			// One that is due in the last moments may be saved by a retry.
			if s := &r.Shots[i]; s.Route == harness.List && s.Due >= from && s.Due < to-r.Plan.Timeout/10 {
				poisoned++
			}
		}
		failed, ghosts := r.FailedPosts(0, time.Duration(1<<62))
		return doomed(b, float64(poisoned+failed), float64(ghosts))
	},
}

// retryBudget is what retries may add to the load, as most budgets have it.
const retryBudget = 0.2
