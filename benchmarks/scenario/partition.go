package scenario

import "github.com/holdfast-go/holdfast/benchmarks/harness"

var partition = Scenario{
	Name: "partition",
	What: "half of the clients cannot reach one of five instances, the others can",
	Inject: "four client processes and the instances in network namespaces on a bridge; the packets between the first two clients and hello-5 " +
		"vanish during the fault phase, by neighbour entries with a hardware address that nobody has",
	Bound: "failed: the unkeyed POSTs of these clients that were on it, or came to it before its silence could be told from slowness; with keys 0. " +
		"falseEjections: 0, and the other clients have no reason to eject it. p99: as without a fault, or the caller's deadline if those are more than 1 %",
	Plan: func(p Pace) harness.Plan {
		cut, mend := step(p.Warm, harness.DoCut), step(p.end(), harness.DoMend)
		cut.From, mend.From = []int{0, 1}, []int{0, 1}
		plan := p.plan(cut, mend)
		plan.Processes, plan.Network = 4, true
		return plan
	},
	Bounds: func(r *harness.Run) map[string]float64 { return stuck(usual(r), r, 0, 0.5) },
}
