package scenario

import "github.com/holdfast-go/holdfast/benchmarks/harness"

var replyLost = Scenario{
	Name: "replylost",
	What: "one of five instances carries out what it is asked, and its answers are lost",
	Inject: "hello-5 closes the connection in place of each answer during the first half of the fault phase, " +
		"and says nothing at all during the second; its effects are carried out",
	Bound: "failed and ghosts: the unkeyed POSTs among the calls that a client needs to tell that the node is ill, " +
		"once for each client; with keys 0. p50, p99: as without a fault",
	Plan: func(p Pace) harness.Plan {
		return p.plan(
			sick(p.Warm, harness.Illness{Lose: 1}),
			sick(p.Warm+p.Fault/2, harness.Illness{Lose: 1, Silent: true}),
			sick(p.end(), harness.Illness{}),
		)
	},
	Bounds: func(r *harness.Run) map[string]float64 {
		n := clients(r) * callsToTell(1) * unkeyedPosts(r)
		return doomed(usual(r), n, n)
	},
}
