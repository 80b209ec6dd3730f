package scenario

import (
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

var rolling = Scenario{
	Name: "rolling",
	What: "instances are replaced one after another, first as they should be, then not",
	Inject: "hello-1, hello-2 and hello-3 get SIGTERM one after another: each says so for 200 ms, refuses what is new, ends what it has begun, " +
		"exits, and is started again; then hello-4, hello-5 and hello-1 kill themselves with SIGKILL in the middle of a POST: before its effect, " +
		"after it, and after its answer was written (from outside, if none comes within 300 ms), and are started again",
	Bound: "failed: for each kill the unkeyed POSTs that were in flight on the instance, and for each SIGTERM those on the wire to a connection in the " +
		"moment of its end; with keys 0. ghosts: those of them that had been carried out. p50, p99: as without a fault",
	Plan: func(p Pace) harness.Plan {
		gap := p.or(1500*time.Millisecond, 600*time.Millisecond)
		p.Fault = 6 * gap
		var steps []harness.Step
		for i := range 3 {
			at := p.Warm + time.Duration(i)*gap
			steps = append(steps, step(at, harness.DoDrain, i), step(at+gap*2/3, harness.DoStart, i))
		}
		for i, point := range []harness.Point{harness.BeforeEffect, harness.AfterEffect, harness.AfterAnswer} {
			at, node := p.Warm+time.Duration(3+i)*gap, (3+i)%5
			steps = append(steps, sick(at, harness.Illness{Die: point}, node), step(at+gap*2/3, harness.DoStart, node))
		}
		return p.plan(steps...)
	},
	Bounds: func(r *harness.Run) map[string]float64 {
		b := killed(usual(r), r)
		for i, d := range r.Steps {
			if d.Do == harness.DoDrain {
				b["failed"] += float64(r.UnseenPosts(i))
			}
		}
		return b
	},
}
