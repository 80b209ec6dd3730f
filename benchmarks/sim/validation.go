package sim

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/report"
)

// Validation sets what was measured on real processes beside what the
// simulation makes of the same plans.
type Validation struct {
	SchemaVersion int                `json:"schemaVersion"` // 1
	Environment   report.Environment `json:"environment"`   // of the measurement
	Seeds         int                `json:"seeds"`         // simulated for each measured run
	Rows          []Comparison       `json:"rows"`
	Left          []string           `json:"left,omitempty"` // what could not be compared, and why
}

// Comparison is one figure of one scenario with one stack.
type Comparison struct {
	Scenario  string          `json:"scenario"`
	Stack     string          `json:"stack"`
	Metric    string          `json:"metric"`
	Runs      int             `json:"runs"`      // measured, valid
	Measured  report.Interval `json:"measured"`  // their median
	Simulated report.Interval `json:"simulated"` // the median of the runs, each the median of its seeds; and where the median of as many runs is that are simulated once, in 95 % of the cases
	Never     [2]float64      `json:"never"`     // share of the runs in which it did not happen: as measured, and in most of their simulations
	Agrees    bool            `json:"agrees"`    // within 15 %, or within the interval of what was measured
	Chance    float64         `json:"chance"`    // how often as many runs that are simulated once would be as far off as those measured, to either side
}

// Differs reports whether the figures do not agree, and chance does not
// explain it.
func (c *Comparison) Differs() bool { return !c.Agrees && c.Chance < mostChance }

// mostChance is the chance of a difference from which it says nothing.
const mostChance = 0.05

// tolerance is how far a simulated figure may be from the measured one.
const tolerance = 0.15

// compared are the figures of the table.
var compared = []struct {
	name  string
	value func(m harness.Metrics) (float64, bool)
}{
	{"failedShare", func(m harness.Metrics) (float64, bool) { return float64(m.Failed) / float64(max(1, m.Requests)), true }},
	{"timeToEjectMs", func(m harness.Metrics) (float64, bool) { return m.Value("timeToEjectMs") }},
	{"amplification", func(m harness.Metrics) (float64, bool) { return m.Amplification, true }},
	{"p99Ms", func(m harness.Metrics) (float64, bool) { return m.P99Ms, true }},
}

// simulated are the stacks of package stacks, as a run has them.
var simulated = map[string]struct {
	client Client
	keyed  bool
}{
	"holdfast":          {Client{Stack: Holdfast}, false},
	"holdfast-keyed":    {Client{Stack: Holdfast}, true},
	"bare":              {Client{Stack: "bare"}, false},
	"backoff":           {Client{Stack: "backoff"}, false},
	"gobreaker-backoff": {Client{Stack: "gobreaker"}, false},
	"hystrix-backoff":   {Client{Stack: "hystrix"}, false},
	"failsafe":          {Client{Stack: "failsafe"}, false},
}

// Check simulates what was measured: each valid run of a stack that can be
// simulated, with that many seeds, so many runs at a time. The requests and the
// luck at the instances are those of the run; a seed is the clients'. What an attempt
// takes besides its service (System.Wire) is what it took in the warm-up of
// that run, when nothing had happened yet; the steps are done when they were; and
// the machine is as late as that run says it was.
func Check(s *report.Summary, seeds, workers int) (*Validation, error) {
	v := &Validation{SchemaVersion: 1, Environment: s.Environment, Seeds: seeds}
	for _, sc := range s.Scenarios {
		for _, st := range s.Stacks {
			as, ok := simulated[st.Name]
			if !ok {
				v.leave("%s: no model of it", st.Name)
				continue
			}
			var runs []*report.Run
			for i := range s.Runs {
				if r := &s.Runs[i]; r.Scenario == sc.Name && r.Stack == st.Name && r.Valid {
					runs = append(runs, r)
				}
			}
			if len(runs) == 0 {
				v.leave("%s, %s: no valid run", sc.Name, st.Name)
				continue
			}
			var systems []System
			for _, r := range runs {
				sys := asMeasured(sc, r, as.keyed)
				sys.Client = as.client
				if err := sys.fitWire(r.Baseline); err != nil {
					return nil, fmt.Errorf("%s, %s: %w", sc.Name, st.Name, err)
				}
				systems = append(systems, sys)
			}
			var jobs []Job
			for i := range seeds * len(systems) {
				jobs = append(jobs, Job{systems[i/seeds], uint64(i + 1)})
			}
			results, err := RunAll(jobs, workers)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", sc.Name, st.Name, err)
			}
			v.compare(sc.Name, st.Name, runs, results)
		}
	}
	if len(v.Rows) == 0 {
		return nil, errors.New("nothing to compare: want valid runs of stacks that can be simulated")
	}
	return v, nil
}

func (v *Validation) leave(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(v.Left, text) {
		v.Left = append(v.Left, text)
	}
}

// asMeasured is the scenario's plan with the steps as they were done.
func asMeasured(sc report.Scenario, r *report.Run, keyed bool) System {
	p := sc.Plan.WithDefaults()
	p.Steps = slices.Clone(p.Steps)
	for i := range p.Steps {
		if i >= len(r.Steps) {
			break
		}
		at := r.Steps[i].BeginMs
		if _, begins := deeds[p.Steps[i].Do]; !begins { // what is mended is so when it has been
			at = r.Steps[i].EndMs
		}
		p.Steps[i].At = min(time.Duration(at*float64(time.Millisecond)), p.Total()-1)
	}
	s := FromPlan(sc.Name, p, keyed)
	p.Seed, p.Service.Seed = r.Seed, r.Seed
	s.replay = newReplay(p)
	s.replay.lag = lagOf(r.Load)
	return s
}

// fitWire takes what an attempt takes besides its service from the warm-up: the
// difference to one that is simulated without, in which the same requests have
// the same luck and wait in the same queues.
func (s *System) fitWire(measured map[string]float64) error {
	p50, ok := measured["p50Ms"]
	if !ok {
		return nil
	}
	warm := *s
	warm.Wire, warm.Faults = -1, nil
	r, err := Run(warm, 1)
	if err == nil {
		s.Wire = max(time.Duration((p50-r.Baseline["p50Ms"])*float64(time.Millisecond)), 1)
	}
	return err
}

func (v *Validation) compare(scenario, stack string, runs []*report.Run, results []*Result) {
	for _, c := range compared {
		var measured, medians []float64           // where it happened
		var all []float64                         // measured
		simulated := make([][]float64, len(runs)) // by run
		for i, r := range runs {
			x, ok := c.value(r.Metrics)
			if ok {
				measured = append(measured, x)
			}
			all = append(all, orNever(x, ok))
			var of []float64
			for _, r := range results[i*v.Seeds : (i+1)*v.Seeds] {
				x, ok := c.value(r.Metrics)
				if ok {
					of = append(of, x)
				}
				simulated[i] = append(simulated[i], orNever(x, ok))
			}
			if 2*len(of) > v.Seeds {
				medians = append(medians, report.MedianOf(of).Value)
			}
		}
		row := Comparison{
			Scenario: scenario, Stack: stack, Metric: c.name, Runs: len(runs),
			Measured: report.MedianOf(measured), Simulated: report.MedianOf(medians),
			Never: [2]float64{1 - float64(len(measured))/float64(len(runs)), 1 - float64(len(medians))/float64(len(runs))},
		}
		if row.Never == [2]float64{1, 1} { // it never happens, nor should it
			continue
		}
		s := &row.Simulated
		s.Low, s.High, row.Chance = predict(simulated, report.MedianOf(all).Value)
		s.Cover = .95
		row.Agrees = row.agree()
		v.Rows = append(v.Rows, row)
	}
}

// later is when what never happens does: later than all, with a mean.
const later = math.MaxFloat64 / 4

func orNever(x float64, ok bool) float64 {
	if !ok {
		return later
	}
	return x
}

// predict tells what the simulation says of the median of runs that are made
// once each, as those were that were measured: the interval that it is in in
// 95 % of the cases, and how often it is as far off as the measured median, to
// either side. So it takes account of chance in both, and of how few the runs
// are, whatever the figure is: shares of a few failures too.
func predict(simulated [][]float64, measured float64) (low, high, chance float64) {
	const draws = 4000
	rng := rand.New(rand.NewPCG(1, 2))
	once, medians := make([]float64, len(simulated)), make([]float64, draws)
	below, above := 0, 0
	for i := range medians {
		for k, of := range simulated {
			once[k] = of[rng.IntN(len(of))]
		}
		medians[i] = report.MedianOf(once).Value
		if medians[i] <= measured {
			below++
		}
		if medians[i] >= measured {
			above++
		}
	}
	slices.Sort(medians)
	return medians[draws/40], medians[draws-1-draws/40], min(1, 2*float64(min(below, above))/draws)
}

func (c *Comparison) agree() bool {
	if c.Never[0] > .5 || c.Never[1] > .5 {
		return c.Never[0] > .5 && c.Never[1] > .5
	}
	m, s := c.Measured, c.Simulated
	return math.Abs(s.Value-m.Value) <= tolerance*m.Value || m.Cover > 0 && s.Value >= m.Low && s.Value <= m.High
}

// Disagree returns the rows that differ by more than chance explains.
func (v *Validation) Disagree() (list []Comparison) {
	for _, r := range v.Rows {
		if r.Differs() {
			list = append(list, r)
		}
	}
	return list
}

// WriteMarkdown writes the table. command is what made it.
func (v *Validation) WriteMarkdown(w io.Writer, command string) error {
	var b strings.Builder
	agree := 0
	for _, r := range v.Rows {
		if r.Agrees {
			agree++
		}
	}
	differ := len(v.Disagree())
	e := v.Environment
	fmt.Fprintf(&b, "# Simulated and measured\n\nMade by `%s`; do not edit. Measured by `%s` on %s/%s, %d processors, %s, %s.\n\n",
		command, strings.Join(e.Command, " "), e.OS, e.Arch, e.CPUs, e.Go, e.Time.Format(time.DateOnly))
	fmt.Fprintf(&b, "%d of %d figures agree: the simulated median is within %.0f %% of the measured one, or within its interval. "+
		"Of the others chance explains %d: simulated as often as measured, the median would be as far off in %.0f %% of the cases or more. %d differ.\n\n",
		agree, len(v.Rows), 100*tolerance, len(v.Rows)-agree-differ, 100*mostChance, differ)
	fmt.Fprintf(&b, "- Measured: the median of the valid runs and its interval (as in `holdfast bench report`).\n"+
		"- Simulated: the median of these runs, each the median of %d seeds; and the interval that the median of as many runs is in, each simulated once, in 95 %% of the cases.\n"+
		"- The requests are the same, and what chance holds for each attempt at each node; a seed is the luck of the clients, and of the machine.\n"+
		"- Fitted is one thing, what an attempt takes besides its service: it is taken from the warm-up, before anything happens.\n"+
		"- How late the machine was is the run's own account: how late its requests went out, by how much its service times were overdrawn.\n"+
		"- \"never\": in most runs it did not happen.\n\n", v.Seeds)
	scenario := ""
	for _, r := range v.Rows {
		if r.Scenario != scenario {
			scenario = r.Scenario
			fmt.Fprintf(&b, "\n## %s\n\n| stack | figure | runs | measured | simulated | difference | |\n|---|---|---|---|---|---|---|\n", scenario)
		}
		verdict := "agrees"
		switch {
		case r.Differs():
			verdict = "**differs**"
		case !r.Agrees:
			verdict = fmt.Sprintf("chance (%.0f %%)", 100*r.Chance)
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %s | %s | %s |\n", r.Stack, r.Metric, r.Runs,
			r.text(r.Measured, r.Never[0]), r.text(r.Simulated, r.Never[1]), r.difference(), verdict)
	}
	if len(v.Left) > 0 {
		fmt.Fprintf(&b, "\n## Not compared\n\n")
		for _, text := range v.Left {
			fmt.Fprintf(&b, "- %s\n", text)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (c *Comparison) text(i report.Interval, never float64) string {
	if never > .5 {
		return "never"
	}
	f := func(x float64) string {
		switch {
		case x >= later/2: // in the middle between it and a time, too
			return "never"
		case c.Metric == "failedShare":
			return fmt.Sprintf("%.3f %%", 100*x)
		case c.Metric == "amplification":
			return fmt.Sprintf("%.4f", x)
		}
		return fmt.Sprintf("%.1f", x)
	}
	if i.Cover == 0 {
		return f(i.Value)
	}
	return fmt.Sprintf("%s (%s to %s)", f(i.Value), f(i.Low), f(i.High))
}

func (c *Comparison) difference() string {
	switch {
	case c.Never[0] > .5 || c.Never[1] > .5:
		return "–"
	case c.Measured.Value == 0 && c.Metric == "failedShare":
		return fmt.Sprintf("%+.3f points", 100*c.Simulated.Value)
	case c.Measured.Value == 0:
		return fmt.Sprintf("%+.4g", c.Simulated.Value)
	}
	return fmt.Sprintf("%+.1f %%", 100*(c.Simulated.Value/c.Measured.Value-1))
}
