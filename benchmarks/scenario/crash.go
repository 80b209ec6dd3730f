package scenario

import "github.com/holdfast-go/holdfast/benchmarks/harness"

var crash = Scenario{
	Name:   "crash",
	What:   "one of five instances gets SIGKILL and comes back later",
	Inject: "SIGKILL to hello-5 at the beginning of the fault phase; it is started again on its port at its end",
	Bound: "failed: the unkeyed POSTs that were in flight on it at that moment, as its ledger and the clients saw it; with keys 0. " +
		"ghosts: those of them that it had carried out. p50, p99: as without a fault",
	Plan: func(p Pace) harness.Plan {
		return p.plan(step(p.Warm, harness.DoKill), step(p.end(), harness.DoStart))
	},
	Bounds: func(r *harness.Run) map[string]float64 { return killed(usual(r), r) },
}

// killed adds, for each kill, the unkeyed POSTs that it took with it.
func killed(b map[string]float64, r *harness.Run) map[string]float64 {
	for i, d := range r.Steps {
		if d.Do == harness.DoKill || d.Illness.Die != "" {
			b["failed"] += float64(r.InFlightPosts(i))
			b["ghosts"] += float64(r.InFlightGhosts(i))
		}
	}
	return b
}
