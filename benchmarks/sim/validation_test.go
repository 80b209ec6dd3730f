package sim

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
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

// A difference is chance where runs that are simulated once differ as much.
func TestPredict(t *testing.T) {
	one := []float64{0, 0, 0, 0, 1, 1, 1, 2, 2, 3}
	never := orNever(0, false)
	for _, c := range []struct {
		name      string
		simulated [][]float64
		measured  float64
		from, to  float64 // the chance
		low, high float64
	}{
		{"one run without a failure, as four in ten are", [][]float64{one}, 0, .7, .9, 0, 3},
		{"five of them", [][]float64{one, one, one, one, one}, 0, .5, .7, 0, 2}, // 10·.4³·.6² + 5·.4⁴·.6 + .4⁵ = .32
		{"more failures than any has", [][]float64{one, one, one}, 4, 0, 0, 0, 3},
		{"always the same, and that", [][]float64{{7, 7}, {7, 7}}, 7, 1, 1, 7, 7},
		{"another", [][]float64{{7, 7}, {7, 7}}, 7.1, 0, 0, 7, 7},
		{"it happened, as in half of them", [][]float64{{5, never}}, 5, .9, 1, 5, never},
		{"it never happened, and it always does", [][]float64{{5, 6}}, never, 0, 0, 5, 6},
	} {
		low, high, chance := predict(c.simulated, c.measured)
		if chance < c.from || chance > c.to || low != c.low || high != c.high {
			t.Errorf("%s: %v (%v to %v), want %v to %v (%v to %v)", c.name, chance, low, high, c.from, c.to, c.low, c.high)
		}
	}
}

// A machine that is late makes requests late by what it says.
func TestLag(t *testing.T) {
	l := lagOf(harness.LoadQuality{LagP50Ms: 1, LagP99Ms: 5, LagMaxMs: 8, LateP99Ms: 3})
	for p, want := range map[float64]time.Duration{.25: time.Millisecond / 2, .5: time.Millisecond, .99: 5 * time.Millisecond, .99999: 8 * time.Millisecond} {
		if got := l.behind(p); (got - want).Abs() > time.Microsecond {
			t.Errorf("%v of the requests: %v late, want %v", p, got, want)
		}
	}
	if got := l.overrun(.99); (got - 3*time.Millisecond).Abs() > time.Microsecond {
		t.Errorf("services: %v late, want 3ms", got)
	}
	if none := (&lag{}); none.behind(.999) != 0 || none.overrun(.999) != 0 {
		t.Error("a machine that is in time is late")
	}

	plan := scenarioNamed(t, "crash").Plan(scenario.Quick).WithDefaults()
	plan.Seed, plan.Service.Seed = 3, 3
	sys := FromPlan("crash", plan, false)
	sys.replay, sys.Faults = newReplay(plan), nil
	before := mustRun(t, sys, 1)
	sys.replay.lag = l
	after := mustRun(t, sys, 1)
	if d := after.P50Ms - before.P50Ms; d < 1 || d > 3 {
		t.Errorf("the median is %v ms later, want about 1.5", d)
	}
	if d := after.P99Ms - before.P99Ms; d < 1 || d > 8 || after.Requests != before.Requests {
		t.Errorf("p99 is %v ms later, want some: %+v, %+v", d, before.Metrics, after.Metrics)
	}
}
