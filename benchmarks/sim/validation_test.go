package sim

import (
	"bytes"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/benchmarks/report"
	"github.com/holdfast-go/holdfast/benchmarks/scenario"
)

// measured makes a summary of simulated runs, as if they had been measured,
// with the figures changed by f.
func measured(t *testing.T, f func(*report.Run)) *report.Summary {
	t.Helper()
	s := &report.Summary{SchemaVersion: 1, Stacks: []report.Stack{{Name: "holdfast"}, {Name: "gobreaker-backoff"}, {Name: "nginx"}}}
	for _, name := range []string{"crash", "overload"} {
		plan := scenarioNamed(t, name).Plan(scenario.Quick).WithDefaults()
		s.Scenarios = append(s.Scenarios, report.Scenario{Name: name, Plan: plan})
		for _, stack := range []string{"holdfast", "gobreaker-backoff"} {
			for seed := range uint64(3) {
				p := plan
				p.Seed, p.Service.Seed = seed+1, seed+1
				sys := FromPlan(name, p, false)
				sys.Client, sys.replay = simulated[stack].client, newReplay(p)
				r := mustRun(t, sys, 100+seed)
				run := report.Run{Scenario: name, Stack: stack, Seed: seed + 1, Valid: true, Metrics: r.Metrics, Baseline: r.Baseline}
				for _, step := range p.Steps {
					run.Steps = append(run.Steps, report.Step{BeginMs: millis(int64(step.At)), EndMs: millis(int64(step.At))})
				}
				f(&run)
				s.Runs = append(s.Runs, run)
			}
		}
	}
	return s
}

// What is simulated agrees with itself, and not with what is not so.
func TestCheck(t *testing.T) {
	v, err := Check(measured(t, func(*report.Run) {}), 5, 2)
	if err != nil {
		t.Fatal(err)
	}
	if off := v.Disagree(); len(off) > 1 { // of 14, each beyond three runs with a chance of a few per cent
		t.Errorf("does not agree with itself: %+v", off)
	}
	var b bytes.Buffer
	if err := v.WriteMarkdown(&b, "it"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Made by `it`", "## crash", "| holdfast | timeToEjectMs | 3 |", "nginx: no model of it"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, b.String())
		}
	}

	v, err = Check(measured(t, func(r *report.Run) {
		r.Metrics.Failed += r.Metrics.Requests / 10
		r.Metrics.P99Ms *= 2
		r.Metrics.Amplification *= 1.3
		r.Metrics.TimeToEjectMs = nil
	}), 5, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range v.Rows {
		crashed := c.Scenario == "crash" // the overload has ejections of the peers only, and all of them wrong
		if c.Agrees && (crashed || c.Metric == "p99Ms") {
			t.Errorf("agrees with what is not so: %+v", c)
		}
	}

	if _, err := Check(&report.Summary{}, 1, 1); err == nil {
		t.Error("nothing to compare, and no error")
	}
}

// A run with the requests of the harness has these, and its luck.
func TestReplay(t *testing.T) {
	plan := scenarioNamed(t, "fleet").Plan(scenario.Quick).WithDefaults()
	plan.Seed, plan.Service.Seed = 3, 3
	sys := FromPlan("fleet", plan, false)
	sys.Client.Stack = "bare" // one attempt a request: what fails is luck alone
	sys.replay = newReplay(plan)
	one, two := mustRun(t, sys, 1), mustRun(t, sys, 2)
	n := 0
	for i := range plan.Processes {
		n += len(plan.Load(i).Arrivals())
	}
	if one.Requests != n || one.Failed == 0 || one.Failed != two.Failed || one.P99Ms != two.P99Ms {
		t.Errorf("%+v and %+v: want %d requests, and the same with any seed", one.Metrics, two.Metrics, n)
	}
}
