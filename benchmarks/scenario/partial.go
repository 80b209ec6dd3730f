package scenario

import "github.com/holdfast-go/holdfast/benchmarks/harness"

var partial = Scenario{
	Name:   "partial",
	What:   "one of five instances answers 30 % of its requests with an error",
	Inject: "hello-5 answers 500 to 30 % of its attempts during the fault phase, half of them after their effect",
	Bound: "failed: 30 % of the unkeyed POSTs among the calls that a client needs to tell that the node is ill, once for each client; with keys 0. " +
		"ghosts: half of these. p50, p99: as without a fault",
	Plan: func(p Pace) harness.Plan {
		return p.plan(sick(p.Warm, harness.Illness{Errors: errorShare}), sick(p.end(), harness.Illness{}))
	},
	Bounds: func(r *harness.Run) map[string]float64 {
		n := clients(r) * callsToTell(errorShare) * errorShare * unkeyedPosts(r)
		return doomed(usual(r), n, n/2)
	},
}

const errorShare = 0.3
