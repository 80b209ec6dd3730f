package scenario

import "github.com/holdfast-go/holdfast/benchmarks/harness"

var correlated = Scenario{
	Name:   "correlated",
	What:   "two of five instances get SIGKILL at once",
	Inject: "SIGKILL to hello-4 and hello-5 at the beginning of the fault phase; they are started again at its end",
	Bound:  "failed: the unkeyed POSTs that were in flight on them at that moment; with keys 0. ghosts: those of them that had been carried out. p50, p99: as without a fault",
	Plan: func(p Pace) harness.Plan {
		return p.plan(step(p.Warm, harness.DoKill, 3, 4), step(p.end(), harness.DoStart, 3, 4))
	},
	Bounds: func(r *harness.Run) map[string]float64 { return killed(usual(r), r) },
}
