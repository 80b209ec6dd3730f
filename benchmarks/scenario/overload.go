package scenario

import (
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

var overload = Scenario{
	Name:   "overload",
	What:   "twice as many requests come as the service can carry out",
	Inject: "five instances with one worker of 40 ms and room for 15 waiting requests each: 125 requests a second; the load rises from 62.5 to 250 a second for 10 s (-quick: 2.5 s). A caller waits for 1 s",
	Bound: "failed: the requests of that time beyond what the instances can carry out in it, and until a caller's deadline after it besides what comes then. " +
		"falseEjections: 0. amplification: 1.2, a retry budget of 20 %",
	Plan: func(p Pace) harness.Plan {
		p.Fault, p.Rate = p.or(10*time.Second, 2500*time.Millisecond), 62.5
		plan := p.plan()
		plan.Timeout = time.Second
		plan.Surges = []harness.Surge{{From: p.Warm, To: p.end(), Times: 4}}
		plan.Service = harness.Service{Mean: 40 * time.Millisecond, CV: 0.3, Workers: 1, Queue: 15}
		return plan
	},
	Bounds: func(r *harness.Run) map[string]float64 {
		b := usual(r)
		delete(b, "p50Ms") // queues are full: how long one waits is theirs to say
		delete(b, "p99Ms")
		delete(b, "ghosts")
		from, to := r.Plan.Warm, r.Plan.Warm+r.Plan.Fault
		b["failed"] = excess(r, from, to, capacity(r, float64(r.Plan.Service.Workers)))
		b["amplification"] = 1 + retryBudget
		return b
	},
}

// capacity is how many requests a second all instances can carry out with so
// many workers each.
func capacity(r *harness.Run, workers float64) float64 {
	return float64(r.Plan.Nodes) * workers / r.Plan.Service.Mean.Seconds()
}

// excess is how many of the requests that are due between two times nobody can
// carry out before their callers give up, if the capacity is less than they
// need until the second time and whole from then on.
func excess(r *harness.Run, from, to time.Duration, during float64) float64 {
	whole := capacity(r, float64(r.Plan.Service.Workers))
	later := into(r, to, to+r.Plan.Timeout, 1)
	spare := max(0, whole*r.Plan.Timeout.Seconds()-later)
	waiting := min(into(r, to-r.Plan.Timeout, to, 1), spare)
	return max(0, into(r, from, to, 1)-during*(to-from).Seconds()-waiting)
}
