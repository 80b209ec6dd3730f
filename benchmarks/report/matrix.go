package report

import (
	"fmt"
	"slices"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// matrix is a metric of all scenarios with all stacks.
type matrix struct {
	Key    string
	Stacks []string
	Rows   []matrixRow
}

type matrixRow struct {
	Scenario string
	Cells    []cellData
}

// cellData is a metric over the runs of a scenario with a stack.
type cellData struct {
	Value    string // median
	Interval string
	Bound    string // median; empty: there is none
	Far      string // how far from the bound, in words
	Level    string // a class of the style sheet: see levels
}

// legend explains a level.
type legend struct{ Level, What string }

// The levels. A figure is level if it is within 1.25 of the bound.
const (
	atBound  = "l0"
	nearIt   = "l1"
	far      = "l2"
	farthest = "l3"
	noBound  = "none"
	invalid  = "invalid"
	noRun    = "norun"
)

var levels = []legend{
	{atBound, "within 1.25 × of the bound"},
	{nearIt, "within 2 ×"},
	{far, "within 5 ×; where the bound is 0, at most one in a thousand requests"},
	{farthest, "more"},
	{noBound, "no bound is known"},
	{invalid, "no valid run: the load could not be kept up"},
}

// foremost are the metrics whose matrices come first.
var foremost = []string{"failed", "duplicated", "p99Ms"}

// matrices are those of the metrics that have a bound somewhere.
func matrices(s *Summary, groups []*group) (first, more []matrix) {
	keys := slices.Clone(foremost)
	for _, key := range harness.MetricKeys {
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		if !slices.ContainsFunc(groups, func(g *group) bool { return g.cell(key).Bound != "" }) && !slices.Contains(foremost, key) {
			continue
		}
		m := matrix{Key: key}
		for _, st := range s.Stacks {
			m.Stacks = append(m.Stacks, st.Name)
		}
		for _, sc := range s.Scenarios {
			row := matrixRow{Scenario: sc.Name}
			for _, st := range s.Stacks {
				g := find(groups, &group{Scenario: sc.Name, Stack: st.Name})
				if g == nil {
					row.Cells = append(row.Cells, cellData{Value: "not run", Level: noRun})
					continue
				}
				row.Cells = append(row.Cells, g.cell(key))
			}
			m.Rows = append(m.Rows, row)
		}
		if slices.Contains(foremost, key) {
			first = append(first, m)
		} else {
			more = append(more, m)
		}
	}
	return first, more
}

// cell sums up a metric. Runs that are not valid do not enter.
func (g *group) cell(key string) cellData {
	if len(g.Valid) == 0 {
		return cellData{Value: "invalid", Level: invalid}
	}
	values := g.values(key)
	if len(values) == 0 {
		return cellData{Value: "–", Level: noBound}
	}
	i := MedianOf(values)
	c := cellData{Value: number(i.Value), Level: noBound}
	if i.Cover > 0 {
		c.Interval = fmt.Sprintf("%s…%s", number(i.Low), number(i.High))
	}
	if n := len(g.Valid) - len(values); n > 0 {
		c.Interval += fmt.Sprintf(" none in %d", n)
	}
	var bounds, requests []float64
	for _, r := range g.Valid {
		requests = append(requests, float64(r.Metrics.Requests))
		if b, ok := r.Bounds[key]; ok {
			bounds = append(bounds, b)
		}
	}
	if len(bounds) > 0 {
		b := MedianOf(bounds).Value
		c.Bound = number(b)
		c.Level, c.Far = distance(i.Value, b, MedianOf(requests).Value)
	}
	return c
}

// distance says how far a figure is from its bound.
func distance(value, bound, requests float64) (level, words string) {
	if bound <= 0 {
		switch {
		case value <= bound:
			return atBound, "at the bound"
		case value-bound <= requests/1000:
			return far, number(value-bound) + " above"
		}
		return farthest, number(value-bound) + " above"
	}
	ratio := value / bound
	words = fmt.Sprintf("%.3g ×", ratio)
	switch {
	case ratio <= 1.25:
		return atBound, words
	case ratio <= 2:
		return nearIt, words
	case ratio <= 5:
		return far, words
	}
	return farthest, words
}
