// Package report is the document that `holdfast bench run` writes, and what is
// made of it: the HTML report, comparisons, assertions.
package report

import (
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// Files of a run's folder. Events and histograms are one file for all runs,
// timelines one file a run.
const (
	SummaryFile    = "summary.json"     // a [Summary]
	EventsFile     = "events.ndjson"    // a line of JSON each: [Event]
	HistogramsFile = "histograms.hlog"  // HdrHistogram's interval log; tags are [Run.Name] and the phase
	TimelinesFile  = "timelines.ndjson" // a line of JSON a run: [Timeline]
)

// Summary is summary.json, and what `holdfast bench run -json` prints.
type Summary struct {
	SchemaVersion int         `json:"schemaVersion"` // 1
	Environment   Environment `json:"environment"`
	Quick         bool        `json:"quick,omitempty"`
	Seeds         []uint64    `json:"seeds"`
	Scenarios     []Scenario  `json:"scenarios"`
	Stacks        []Stack     `json:"stacks"`
	Runs          []Run       `json:"runs"`
}

// Environment is where and how it was run.
type Environment struct {
	Time    time.Time `json:"time"`
	OS      string    `json:"os"`
	Arch    string    `json:"arch"`
	Kernel  string    `json:"kernel,omitempty"`
	CPUs    int       `json:"cpus"`
	Go      string    `json:"go"`
	Commit  string    `json:"commit,omitempty"` // of this repository, where the binary knows it
	Command []string  `json:"command"`
}

// Scenario is what was injected.
type Scenario struct {
	Name   string       `json:"name"`
	What   string       `json:"what"`
	Inject string       `json:"inject"`
	Bound  string       `json:"bound"`
	Plan   harness.Plan `json:"plan"`
}

// Stack is what was under test.
type Stack struct {
	Name   string `json:"name"`
	What   string `json:"what"`
	Config string `json:"config"`
	Keyed  bool   `json:"keyed"`
}

// Run is one run of a scenario with a stack.
type Run struct {
	Scenario string              `json:"scenario"`
	Stack    string              `json:"stack"`
	Seed     uint64              `json:"seed"`
	Valid    bool                `json:"valid"` // false: believe no figure, see Load.Invalid
	Metrics  harness.Metrics     `json:"metrics"`
	Bounds   map[string]float64  `json:"bounds"` // by the keys of Metrics, where a bound exists
	Load     harness.LoadQuality `json:"load"`
	Steps    []Step              `json:"steps"` // what was done, as it was done
}

// Step is one thing that was done, in milliseconds from the beginning of the
// load.
type Step struct {
	BeginMs float64 `json:"beginMs"`
	EndMs   float64 `json:"endMs"`
	What    string  `json:"what"`
}

// Of sums up one run.
func Of(scenario string, r *harness.Run, bounds map[string]float64) Run {
	q := r.Quality()
	run := Run{
		Scenario: scenario, Stack: r.Stack, Seed: r.Plan.Seed, Valid: q.Invalid == "",
		Metrics: r.Measure(), Bounds: bounds, Load: q,
	}
	for _, d := range r.Steps {
		run.Steps = append(run.Steps, Step{millis(d.Begin), millis(d.End), d.String()})
	}
	return run
}

func millis(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}
