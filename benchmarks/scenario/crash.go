package scenario

import "github.com/holdfast-go/holdfast/benchmarks/harness"

// victim is the instance to which things happen.
const victim = 4

var crash = Scenario{
	Name:   "crash",
	What:   "one of five instances gets SIGKILL and comes back later",
	Inject: "SIGKILL to hello-5 at the beginning of the fault phase; it is started again on its port at its end",
	Bound:  "failed: the unkeyed POSTs that were in flight on it at that moment, as its ledger and the clients saw it; with keys 0. p99: as in the warm-up",
	Plan: func(p Pace) harness.Plan {
		return p.plan(
			harness.Step{At: p.Warm, Do: harness.DoKill, Nodes: []int{victim}},
			harness.Step{At: p.end(), Do: harness.DoStart, Nodes: []int{victim}},
		)
	},
	Bounds: func(r *harness.Run) map[string]float64 {
		b := usual(r)
		b["failed"] = float64(r.InFlightPosts(0))
		return b
	},
}

// usual are the bounds that hold whatever is injected.
func usual(r *harness.Run) map[string]float64 {
	return map[string]float64{
		"failed": 0, "duplicated": 0, "lost": 0, "falseEjections": 0, "amplification": 1,
		"p50Ms": r.BaselineMs(50), "p99Ms": r.BaselineMs(99),
	}
}
