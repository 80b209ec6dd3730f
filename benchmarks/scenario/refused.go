package scenario

import "github.com/holdfast-go/holdfast/benchmarks/harness"

var refused = Scenario{
	Name:   "refused",
	What:   "one of five instances closes its port while it lives",
	Inject: "hello-5 closes its listener and its connections, each when it has no request to answer; it listens again at the end of the fault phase",
	Bound:  "failed: the unkeyed POSTs that were on the wire to a connection in the moment of its end, which the instance never saw; p50, p99: as without a fault",
	Plan: func(p Pace) harness.Plan {
		return p.plan(step(p.Warm, harness.DoRefuse), step(p.end(), harness.DoAdmit))
	},
	Bounds: func(r *harness.Run) map[string]float64 {
		b := usual(r)
		b["failed"] = float64(r.UnseenPosts(0))
		return b
	},
}
