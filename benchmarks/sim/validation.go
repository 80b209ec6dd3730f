package sim

import (
	"errors"
	"fmt"
	"io"
	"math"
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
	Simulated report.Interval `json:"simulated"` // the median of the runs, each the median of its seeds; from the 5th to the 95th percentile of all
	Never     [2]float64      `json:"never"`     // share of the runs in which it did not happen: as measured, and in most of their simulations
	Agrees    bool            `json:"agrees"`    // within 15 %, or within the interval of what was measured
}

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
// that run, when nothing had happened yet; the steps are done when they were.
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
		var measured, simulated, medians []float64
		for i, r := range runs {
			if x, ok := c.value(r.Metrics); ok {
				measured = append(measured, x)
			}
			var of []float64
			for _, r := range results[i*v.Seeds : (i+1)*v.Seeds] {
				if x, ok := c.value(r.Metrics); ok {
					of = append(of, x)
				}
			}
			if simulated = append(simulated, of...); 2*len(of) > v.Seeds {
				medians = append(medians, report.MedianOf(of).Value)
			}
		}
		row := Comparison{
			Scenario: scenario, Stack: stack, Metric: c.name, Runs: len(runs),
			Measured: report.MedianOf(measured), Simulated: rangeOf(report.MedianOf(medians).Value, simulated),
			Never: [2]float64{1 - float64(len(measured))/float64(len(runs)), 1 - float64(len(medians))/float64(len(runs))},
		}
		if row.Never == [2]float64{1, 1} { // it never happens, nor should it
			continue
		}
		row.Agrees = row.agree()
		v.Rows = append(v.Rows, row)
	}
}

// rangeOf is an interval that nine in ten are in.
func rangeOf(value float64, list []float64) report.Interval {
	if len(list) == 0 {
		return report.Interval{}
	}
	slices.Sort(list)
	at := func(q float64) float64 { return list[int(q*float64(len(list)-1)+.5)] }
	return report.Interval{Value: value, Low: at(.05), High: at(.95), Cover: .9}
}

func (c *Comparison) agree() bool {
	if c.Never[0] > .5 || c.Never[1] > .5 {
		return c.Never[0] > .5 && c.Never[1] > .5
	}
	m, s := c.Measured, c.Simulated
	return math.Abs(s.Value-m.Value) <= tolerance*m.Value || m.Cover > 0 && s.Value >= m.Low && s.Value <= m.High
}

// Disagree returns the rows that do not agree.
func (v *Validation) Disagree() (list []Comparison) {
	for _, r := range v.Rows {
		if !r.Agrees {
			list = append(list, r)
		}
	}
	return list
}

// WriteMarkdown writes the table. command is what made it.
func (v *Validation) WriteMarkdown(w io.Writer, command string) error {
	var b strings.Builder
	off := v.Disagree()
	e := v.Environment
	fmt.Fprintf(&b, "# Simulated and measured\n\nMade by `%s`; do not edit. Measured by `%s` on %s/%s, %d processors, %s, %s.\n\n",
		command, strings.Join(e.Command, " "), e.OS, e.Arch, e.CPUs, e.Go, e.Time.Format(time.DateOnly))
	fmt.Fprintf(&b, "%d of %d figures agree: the simulated median is within %.0f %% of the measured one, or within its interval.\n\n",
		len(v.Rows)-len(off), len(v.Rows), 100*tolerance)
	fmt.Fprintf(&b, "- Measured: the median of the valid runs and its interval (as in `holdfast bench report`).\n"+
		"- Simulated: the median of these runs, each the median of %d seeds, and what nine in ten of all are in.\n"+
		"- The requests are the same, and what chance holds for each attempt at each node; a seed is the luck of the clients.\n"+
		"- Fitted is one thing, what an attempt takes besides its service: it is taken from the warm-up, before anything happens.\n"+
		"- \"never\": in most runs it did not happen.\n\n", v.Seeds)
	scenario := ""
	for _, r := range v.Rows {
		if r.Scenario != scenario {
			scenario = r.Scenario
			fmt.Fprintf(&b, "\n## %s\n\n| stack | figure | runs | measured | simulated | difference | |\n|---|---|---|---|---|---|---|\n", scenario)
		}
		verdict := "agrees"
		if !r.Agrees {
			verdict = "**differs**"
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
