// Package report is the document that `holdfast bench run` writes, and what is
// made of it: the HTML report, comparisons, assertions.
package report

import (
	"encoding/json"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
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
	TookMs        float64     `json:"tookMs,omitempty"`  // all in all
	Missing       []Missing   `json:"missing,omitempty"` // scenarios and stacks that could not be had here
}

// Missing is a scenario or a stack, and why it was left out.
type Missing struct {
	Name string `json:"name"`
	Why  string `json:"why"`
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
	Build   string    `json:"build,omitempty"`  // the beginning of the binary's SHA-256
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
	Valid    bool                `json:"valid"`              // false: there are no figures, and Load.Invalid says why
	Metrics  harness.Metrics     `json:"metrics"`            // in JSON each is null if the run is not valid
	Bounds   map[string]float64  `json:"bounds"`             // by the keys of Metrics, where a bound exists
	Baseline map[string]float64  `json:"baseline,omitempty"` // what some of the metrics were in the warm-up
	Load     harness.LoadQuality `json:"load"`
	Steps    []Step              `json:"steps"`           // what was done, as it was done
	Again    int                 `json:"again,omitempty"` // how often it was run before, and was not valid
	CPUMs    float64             `json:"cpuMs,omitempty"` // user and system time of all its processes
}

// MarshalJSON implements json.Marshaler: a run that is not valid has no figures.
func (r Run) MarshalJSON() ([]byte, error) {
	type run Run
	if r.Valid {
		return json.Marshal(run(r))
	}
	none := make(map[string]any, len(harness.MetricKeys))
	for _, key := range harness.MetricKeys {
		none[key] = nil
	}
	return json.Marshal(struct {
		run
		Metrics  map[string]any `json:"metrics"`
		Bounds   map[string]any `json:"bounds"`
		Baseline map[string]any `json:"baseline,omitempty"`
	}{run(r), none, map[string]any{}, nil})
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
		Metrics: r.Measure(), Bounds: bounds, Baseline: r.Baseline(), Load: q, CPUMs: millis(r.CPU),
	}
	for _, d := range r.Steps {
		run.Steps = append(run.Steps, Step{millis(d.Begin), millis(d.End), d.String()})
	}
	return run
}

func millis(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}
