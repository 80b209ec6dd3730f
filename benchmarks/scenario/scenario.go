// Package scenario is what happens to a service in a benchmark: one file a
// scenario, which says what is injected when, under what load, and what no
// client could do better.
package scenario

import (
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// Scenario is one experiment. A new one is a file here with a variable of this
// type, and a line in [All].
type Scenario struct {
	Name   string
	What   string // in one line: what happens
	Inject string // what is done to whom and when, for who reads the report
	Bound  string // how the bounds are computed, in words

	// Plan is the run, without its seed. It must not depend on anything but
	// its argument, so that a report says all that is needed to run it again.
	Plan func(Pace) harness.Plan

	// Bounds returns what no client could do better in this run as it was, by
	// the keys of harness.MetricKeys; a metric without a bound is left out.
	Bounds func(*harness.Run) map[string]float64

	// Unavailable is why it cannot be injected on this machine; nil, or a nil
	// error: it can.
	Unavailable func() error
}

// Pace is how long the phases take.
type Pace struct{ Warm, Fault, Recover time.Duration }

// The paces.
var (
	Full  = Pace{3 * time.Second, 8 * time.Second, 6 * time.Second}
	Quick = Pace{1500 * time.Millisecond, 3 * time.Second, 2500 * time.Millisecond}
)

// All are the scenarios in the order of reports.
func All() []Scenario {
	return []Scenario{
		crash,
	}
}

// plan is the usual run: five instances of 10 ms each, two client processes,
// 200 requests a second.
func (p Pace) plan(steps ...harness.Step) harness.Plan {
	return harness.Plan{Warm: p.Warm, Fault: p.Fault, Recover: p.Recover, Steps: steps}
}

// end is when the fault phase ends.
func (p Pace) end() time.Duration { return p.Warm + p.Fault }

// Possible returns why the scenario cannot be injected on this machine, or
// nil.
func (s Scenario) Possible() error {
	if s.Unavailable == nil {
		return nil
	}
	return s.Unavailable()
}
