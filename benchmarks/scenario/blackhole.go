package scenario

import "github.com/holdfast-go/holdfast/benchmarks/harness"

var blackhole = Scenario{
	Name: "blackhole",
	What: "the packets to and from one of five instances vanish",
	Inject: "instances and client processes are in network namespaces on a bridge; hello-5 and every client get a neighbour entry for each other " +
		"with a hardware address that nobody has, which silences live connections too; the entries are removed at the end of the fault phase",
	Bound: "failed: the unkeyed POSTs that were on it, or came to it before its silence could be told from slowness (the p99.9 of the service times); with keys 0. " +
		"p99: as without a fault, or the caller's deadline if those are more than 1 %",
	Plan: func(p Pace) harness.Plan {
		plan := p.plan(step(p.Warm, harness.DoCut), step(p.end(), harness.DoMend))
		plan.Network = true
		return plan
	},
	Bounds: func(r *harness.Run) map[string]float64 { return stuck(usual(r), r, 0, 1) },
}
