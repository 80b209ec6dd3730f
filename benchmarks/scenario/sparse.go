package scenario

import (
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

var sparse = Scenario{
	Name: "sparse",
	What: "an instance dies, and many clients each see it only now and then",
	Inject: "1000 clients in four processes (-quick: 40 in two) call three instances, each of them 0.5 times a second; SIGKILL to hello-3, " +
		"which is started again after 30 s (-quick: 3 s)",
	Bound: "failed: the unkeyed POSTs that were in flight on it at that moment; with keys 0. ghosts: those of them that it had carried out. " +
		"p50, p99: as without a fault",
	Plan: func(p Pace) harness.Plan {
		p.Fault = p.or(30*time.Second, 3*time.Second)
		plan := p.plan(step(p.Warm, harness.DoKill, 2), step(p.end(), harness.DoStart, 2))
		plan.Nodes, plan.Processes, plan.Clients = 3, 4, 250
		if p.Quick {
			plan.Processes, plan.Clients = 2, 20
		}
		plan.Rate = 0.5 * float64(plan.Nodes*plan.Processes*plan.Clients)
		return plan
	},
	Bounds: func(r *harness.Run) map[string]float64 { return killed(usual(r), r) },
}
