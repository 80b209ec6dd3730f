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
}

// Possible returns why the scenario cannot be injected on this machine, or
// nil.
func (s Scenario) Possible() error {
	return s.Plan(Full).Possible()
}

// Pace is how long things take.
type Pace struct {
	Warm, Fault, Recover time.Duration
	Rate                 float64 // usual requests a second
	Quick                bool
}

// The paces.
var (
	Full  = Pace{Warm: 3 * time.Second, Fault: 8 * time.Second, Recover: 6 * time.Second, Rate: 200}
	Quick = Pace{Warm: time.Second, Fault: 2500 * time.Millisecond, Recover: 1500 * time.Millisecond, Rate: 60, Quick: true}
)

// All are the scenarios in the order of reports.
func All() []Scenario {
	return []Scenario{
		crash, refused, blackhole, replyLost, hang, gray, partial, fleet,
		correlated, flapping, rolling, outage, overload, storm, partition, sparse,
	}
}

// None is what nothing happens in: with the stack harness.Null it shows what
// the harness itself takes.
var None = Scenario{
	Name: "none", What: "nothing happens", Inject: "nothing", Bound: "failed: 0; p50, p99: as without a fault, which it is",
	Plan:   func(p Pace) harness.Plan { return p.plan() },
	Bounds: usual,
}

// victim is the instance to which things happen, unless a scenario says
// otherwise.
const victim = 4

// plan is the usual run: five instances of 10 ms each, two client processes.
func (p Pace) plan(steps ...harness.Step) harness.Plan {
	return harness.Plan{Rate: p.Rate, Warm: p.Warm, Fault: p.Fault, Recover: p.Recover, Steps: steps}
}

// end is when the fault phase ends.
func (p Pace) end() time.Duration { return p.Warm + p.Fault }

// or returns full, or quick where the pace is.
func (p Pace) or(full, quick time.Duration) time.Duration {
	if p.Quick {
		return quick
	}
	return full
}

// step is one to the usual victim, or to others.
func step(at time.Duration, do harness.Deed, nodes ...int) harness.Step {
	if nodes == nil {
		nodes = []int{victim}
	}
	return harness.Step{At: at, Do: do, Nodes: nodes}
}

// sick gives nodes an illness.
func sick(at time.Duration, i harness.Illness, nodes ...int) harness.Step {
	s := step(at, harness.DoSicken, nodes...)
	s.Illness = i
	return s
}

var everybody = []int{0, 1, 2, 3, 4}
