package report

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// Verdict is what a comparison shows.
type Verdict string

// The verdicts.
const (
	Better  Verdict = "better"
	Worse   Verdict = "worse"
	NoneYet Verdict = "no difference shown"
	TooFew  Verdict = "too few runs"
)

// Comparison is two folders of results, metric by metric.
type Comparison struct {
	SchemaVersion int      `json:"schemaVersion"` // 1
	Method        string   `json:"method"`        // how intervals and verdicts are found
	Notes         []string `json:"notes"`         // what is in one folder only, and other things to know
	Rows          []Row    `json:"rows"`

	fresh  *Summary
	groups []*comparedGroup
}

// Row is one metric of a scenario with a stack. Smaller is better.
type Row struct {
	Scenario   string    `json:"scenario"`
	Stack      string    `json:"stack"`
	Metric     string    `json:"metric"`
	OldRuns    int       `json:"oldRuns"` // valid ones that have the metric
	NewRuns    int       `json:"newRuns"`
	Old        *float64  `json:"old"` // medians; null: there is none
	New        *float64  `json:"new"`
	Ratio      *Interval `json:"ratio"`      // new / old; null where an old figure is 0
	Difference *Interval `json:"difference"` // new − old
	Verdict    Verdict   `json:"verdict"`
}

const compareMethod = "ratio and difference: Hodges-Lehmann estimates with the interval of the exact Mann-Whitney test, which covers at least 99 % " +
	"and needs five valid runs on each side; better and worse: the interval of the difference is all on one side of 0, smaller being better. " +
	"Of a hundred rows in which nothing has changed, one is expected to show a difference by chance. Runs that are not valid are left out."

// comparedGroup is the rows of a scenario with a stack.
type comparedGroup struct {
	scenario, stack string
	rows            []Row
}

func (g *comparedGroup) value(w word, about string) (float64, error) {
	n := 0
	for _, r := range g.rows {
		switch {
		case w == wordOld && r.Metric == about && r.Old != nil:
			return *r.Old, nil
		case w == wordWorse && r.Verdict == Worse, w == wordBetter && r.Verdict == Better:
			n++
		}
	}
	if w == wordOld {
		return 0, noValue(wordOld)
	}
	return float64(n), nil
}

func (c *Comparison) group(scenario, stack string) *comparedGroup {
	for _, g := range c.groups {
		if g.scenario == scenario && g.stack == stack {
			return g
		}
	}
	return nil
}

// Compare compares what is in both. It fails if a scenario is another in one
// than in the other, since its figures cannot be compared.
func Compare(old, fresh *Summary) (*Comparison, error) {
	c := &Comparison{SchemaVersion: 1, Method: compareMethod, Notes: []string{}, Rows: []Row{}, fresh: fresh}
	if err := c.plans(old, fresh); err != nil {
		return nil, err
	}
	c.environment(old.Environment, fresh.Environment)
	before := old.groups()
	for _, g := range before {
		if find(fresh.groups(), g) == nil {
			c.note("%s/%s: only in the old results", g.Scenario, g.Stack)
		}
	}
	for _, g := range fresh.groups() {
		was := find(before, g)
		if was == nil {
			c.note("%s/%s: only in the new results", g.Scenario, g.Stack)
			continue
		}
		if a, b := len(was.Invalid), len(g.Invalid); a+b > 0 {
			c.note("%s/%s: not valid and left out: %d of %d old runs, %d of %d new ones", g.Scenario, g.Stack, a, a+len(was.Valid), b, b+len(g.Valid))
		}
		cg := &comparedGroup{scenario: g.Scenario, stack: g.Stack}
		for _, key := range harness.MetricKeys {
			if key == "requests" { // the load, not what came of it
				continue
			}
			if row, ok := compare(was, g, key); ok {
				cg.rows = append(cg.rows, row)
			}
		}
		c.groups = append(c.groups, cg)
		c.Rows = append(c.Rows, cg.rows...)
	}
	if len(c.groups) == 0 {
		return nil, fmt.Errorf("no scenario and stack is in both")
	}
	return c, nil
}

func find(list []*group, like *group) *group {
	for _, g := range list {
		if g.Scenario == like.Scenario && g.Stack == like.Stack {
			return g
		}
	}
	return nil
}

func (c *Comparison) note(format string, args ...any) {
	c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
}

// plans checks that what was done is the same.
func (c *Comparison) plans(old, fresh *Summary) error {
	for _, a := range old.Scenarios {
		for _, b := range fresh.Scenarios {
			if a.Name != b.Name {
				continue
			}
			x, errX := json.Marshal(a.Plan)
			y, errY := json.Marshal(b.Plan)
			if errX != nil || errY != nil || string(x) != string(y) {
				return fmt.Errorf("%s is not the same in both (quick %v and %v): their plans differ, and figures of different loads cannot be compared", a.Name, old.Quick, fresh.Quick)
			}
		}
	}
	for _, a := range old.Stacks {
		for _, b := range fresh.Stacks {
			if a.Name == b.Name && a.Config != b.Config {
				c.note("%s: its configuration has changed", a.Name)
			}
		}
	}
	return nil
}

// environment tells what may be the reason instead.
func (c *Comparison) environment(a, b Environment) {
	for _, x := range []struct{ what, old, fresh string }{
		{"system", a.OS + "/" + a.Arch, b.OS + "/" + b.Arch},
		{"kernel", a.Kernel, b.Kernel},
		{"processors", fmt.Sprint(a.CPUs), fmt.Sprint(b.CPUs)},
		{"Go", a.Go, b.Go},
	} {
		if x.old != x.fresh {
			c.note("the %s differs: %s, then %s", x.what, x.old, x.fresh)
		}
	}
}

// compare compares a metric; it is false if neither has it.
func compare(old, fresh *group, key string) (Row, bool) {
	a, b := old.values(key), fresh.values(key)
	row := Row{Scenario: fresh.Scenario, Stack: fresh.Stack, Metric: key, OldRuns: len(a), NewRuns: len(b), Verdict: TooFew}
	if len(a)+len(b) == 0 {
		return row, false
	}
	if len(a) > 0 {
		v := MedianOf(a).Value
		row.Old = &v
	}
	if len(b) > 0 {
		v := MedianOf(b).Value
		row.New = &v
	}
	if len(a) == 0 || len(b) == 0 {
		return row, true
	}
	d := between(a, b, func(fresh, old float64) float64 { return fresh - old })
	row.Difference = &d
	if slices.Min(a) > 0 {
		r := between(a, b, func(fresh, old float64) float64 { return fresh / old })
		row.Ratio = &r
	}
	switch {
	case d.Cover == 0:
	case d.High < 0:
		row.Verdict = Better
	case d.Low > 0:
		row.Verdict = Worse
	default:
		row.Verdict = NoneYet
	}
	return row, true
}
