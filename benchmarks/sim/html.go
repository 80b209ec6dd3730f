package sim

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/report"
)

// ForReport are results as package report draws them, with the clients as
// stacks. They are those of the clients in turn, as for [WriteText].
func ForReport(s System, results [][]*Result, env report.Environment) *report.Results {
	s = s.WithDefaults()
	if s.Name == "" {
		s.Name = "simulation"
	}
	sum := &report.Summary{SchemaVersion: 1, Environment: env, Scenarios: []report.Scenario{{Name: s.Name, Plan: s.plan()}}}
	all := &report.Results{Summary: sum, Histograms: map[string]*hdrhistogram.Histogram{}}
	for i, list := range results {
		for _, r := range list {
			if i == 0 {
				sum.Seeds = append(sum.Seeds, r.Seed)
			}
			sum.Runs = append(sum.Runs, report.Run{Scenario: s.Name, Stack: r.Client, Seed: r.Seed, Valid: true, Metrics: r.Metrics, Baseline: r.Baseline})
			all.Courses = append(all.Courses, report.Course{Scenario: s.Name, Stack: r.Client, Seed: r.Seed, Course: r.Course})
			all.Histograms[report.Tag(s.Name, r.Client, r.Seed, "window")] = r.Latency
		}
		sum.Stacks = append(sum.Stacks, report.Stack{Name: list[0].Client})
	}
	return all
}

// plan is as much of a plan as charts need: when what is wrong with whom.
func (s System) plan() harness.Plan {
	p := harness.Plan{
		Nodes: s.Nodes, Processes: 1, Clients: s.Clients, Rate: s.Rate, Warm: s.Warm, Fault: s.Fault, Recover: s.Recover, Timeout: s.Timeout,
	}
	for _, f := range s.Faults {
		nodes := f.hits(s.Nodes)
		p.Steps = append(p.Steps, harness.Step{At: f.At, Do: harness.DoStop, Nodes: nodes, Innocent: f.Innocent})
		if f.For > 0 {
			p.Steps = append(p.Steps, harness.Step{At: min(f.At+f.For, s.Total()-time.Nanosecond), Do: harness.DoContinue, Nodes: nodes, Innocent: f.Innocent})
		}
	}
	return p
}
