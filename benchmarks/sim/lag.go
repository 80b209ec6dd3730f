package sim

import (
	"math"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// lag is how late a machine was that had too much to do, as a measured run
// tells of itself, whatever its clients did. Beyond its middle it is taken to be
// exponential.
type lag struct {
	p50, p99, most float64 // of the requests, in nanoseconds
	late           float64 // 99 % of the service times were overdrawn by less
}

func lagOf(q harness.LoadQuality) lag {
	const ms = float64(time.Millisecond)
	return lag{p50: q.LagP50Ms * ms, p99: q.LagP99Ms * ms, most: q.LagMaxMs * ms, late: q.LateP99Ms * ms}
}

// behind is how late a share p of the requests went out at most.
func (l *lag) behind(p float64) time.Duration {
	if p < .5 {
		return time.Duration(2 * p * l.p50)
	}
	beyond := (l.p99 - l.p50) * math.Log(.5/(1-p)) / math.Log(50)
	return time.Duration(min(l.p50+beyond, l.most))
}

// overrun is how much longer than it should a share p of the services took at
// most.
func (l *lag) overrun(p float64) time.Duration {
	return time.Duration(l.late * -math.Log(1-p) / math.Log(100))
}
