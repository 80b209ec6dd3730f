package scenario

import "github.com/holdfast-go/holdfast/benchmarks/harness"

var gray = Scenario{
	Name:   "gray",
	What:   "one of five instances is ten times slower; its health endpoint is fine",
	Inject: "hello-5 takes ten times as long for each request during the fault phase",
	Bound: "failed: 0. p99: as without a fault, or the slow instance's service time if the calls that a client needs to tell " +
		"that it is slow, once for each client, are more than 1 %",
	Plan: func(p Pace) harness.Plan {
		return p.plan(sick(p.Warm, harness.Illness{Slow: grayness}), sick(p.end(), harness.Illness{}))
	},
	Bounds: func(r *harness.Run) map[string]float64 {
		b := usual(r)
		slowTail(b, r, clients(r)*callsToTell(1), grayness*r.Plan.Service.Mean)
		return b
	},
}

const grayness = 10
