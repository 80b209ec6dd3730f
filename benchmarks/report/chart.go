package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// chartData is what the charts of a scenario with a stack are drawn from.
type chartData struct {
	stack    string
	runs     int    // valid ones that have a course
	c        Course // the medians over these; Good, Failed and Attempts are in total below
	good     []float64
	failed   []float64
	attempts []float64
	p99      []float64 // NaN: none
	out      map[string][]float64
	sick     []harness.Sick
	nodes    []string
	latency  *hdrhistogram.Histogram // nil: none
}

// chart gathers the valid runs' courses and histograms.
func (r *Results) chart(g *group, plan harness.Plan) *chartData {
	d := &chartData{stack: g.Stack, out: map[string][]float64{}}
	var list []*Course
	for _, run := range g.Valid {
		for i := range r.Courses {
			if c := &r.Courses[i]; c.Scenario == g.Scenario && c.Stack == g.Stack && c.Seed == run.Seed {
				list = append(list, c)
			}
		}
		if h := r.Histograms[Tag(g.Scenario, g.Stack, run.Seed, window)]; h != nil {
			if d.latency == nil {
				d.latency = hdrhistogram.New(h.LowestTrackableValue(), h.HighestTrackableValue(), int(h.SignificantFigures()))
			}
			d.latency.Merge(h)
		}
	}
	if d.runs = len(list); d.runs == 0 {
		return d
	}
	d.c = *list[0]
	n := len(d.c.Good)
	for _, c := range list {
		n = min(n, len(c.Good))
	}
	perSecond := 1000 / d.c.SliceMs
	for i := range n {
		d.good = append(d.good, perSecond*middle(list, func(c *Course) float64 { return float64(c.Good[i]) }))
		d.failed = append(d.failed, perSecond*middle(list, func(c *Course) float64 { return float64(c.Failed[i]) }))
		d.attempts = append(d.attempts, perSecond*middle(list, func(c *Course) (sum float64) {
			for _, row := range c.Attempts {
				sum += float64(row[i])
			}
			return sum
		}))
		d.p99 = append(d.p99, middle(list, func(c *Course) float64 {
			if c.P99Ms[i] == nil {
				return math.NaN()
			}
			return *c.P99Ms[i]
		}))
	}
	for node := range d.c.Attempts {
		d.nodes = append(d.nodes, node)
		d.out[node] = make([]float64, n)
		for i := range n {
			for _, c := range list {
				if row := c.Out[node]; i < len(row) {
					d.out[node][i] += row[i] / float64(len(list))
				}
			}
		}
	}
	slices.SortFunc(d.nodes, func(a, b string) int { // hello-2 before hello-10
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	asPlanned := harness.Run{Plan: plan}
	for _, s := range plan.Steps {
		asPlanned.Steps = append(asPlanned.Steps, harness.Done{Step: s, Begin: s.At, End: s.At})
	}
	d.sick = asPlanned.Sickness()
	return d
}

// middle is the median of what the courses have; NaN if none has anything.
func middle(list []*Course, value func(*Course) float64) float64 {
	var have []float64
	for _, c := range list {
		if x := value(c); !math.IsNaN(x) {
			have = append(have, x)
		}
	}
	if len(have) == 0 {
		return math.NaN()
	}
	slices.Sort(have)
	return median(have)
}

// scale maps values to places in a drawing.
type scale struct {
	low, high float64 // values
	from, to  float64 // places
	log       bool
}

func (s scale) at(x float64) float64 {
	low, high := s.low, s.high
	if s.log {
		x, low, high = math.Log10(max(x, s.low)), math.Log10(low), math.Log10(high)
	}
	return s.from + (x-low)/(high-low)*(s.to-s.from)
}

// ticks are round values: powers of ten, or some 3 to 5 of equal distance.
func (s scale) ticks() (list []float64) {
	if s.log {
		for x := s.low; x <= s.high*1.001; x *= 10 {
			list = append(list, x)
		}
		return list
	}
	step := math.Pow(10, math.Floor(math.Log10((s.high-s.low)/3)))
	for _, m := range []float64{1, 2, 5, 10} {
		if (s.high-s.low)/(step*m) <= 5 {
			step *= m
			break
		}
	}
	for x := s.low; x <= s.high+step/1e6; x += step {
		list = append(list, x)
	}
	return list
}

// upTo is a linear scale from 0 to a little above high.
func upTo(high, from, to float64) scale { return scale{high: max(high*1.05, 1), from: from, to: to} }

// decades is a logarithmic scale of whole decades.
func decades(low, high, from, to float64) scale {
	low = math.Pow(10, math.Floor(math.Log10(low)))
	return scale{low: low, high: max(low*10, math.Pow(10, math.Ceil(math.Log10(high)))), from: from, to: to, log: true}
}

// drawing is an SVG in the making.
type drawing struct{ strings.Builder }

func (d *drawing) add(format string, args ...any) { fmt.Fprintf(d, format, args...) }

func (d *drawing) text(x, y float64, class, text string) {
	d.add(`<text x="%.1f" y="%.1f" class="%s">%s</text>`, x, y, class, template.HTMLEscapeString(text))
}

// line draws values, with gaps where there are none. A value alone is a dot.
func (d *drawing) line(class string, n int, at func(i int) (x, y float64)) {
	var p strings.Builder
	drawn, begin := 0, true
	for i := range n {
		x, y := at(i)
		if math.IsNaN(y) {
			begin = true
			continue
		}
		if begin {
			fmt.Fprintf(&p, "M%.1f %.1fh.1", x, y)
		} else {
			fmt.Fprintf(&p, "L%.1f %.1f", x, y)
		}
		drawn, begin = drawn+1, false
	}
	if drawn > 0 {
		d.add(`<path class="series %s" d="%s"/>`, class, p.String())
	}
}

// area fills what is between the values and the base.
func (d *drawing) area(class string, base float64, n int, at func(i int) (x, y float64)) {
	var p strings.Builder
	last := 0.0
	for i := range n {
		x, y := at(i)
		if i == 0 {
			fmt.Fprintf(&p, "M%.1f %.1f", x, base)
		}
		fmt.Fprintf(&p, "L%.1f %.1f", x, y)
		last = x
	}
	d.add(`<path class="%s" d="%sL%.1f %.1fZ"/>`, class, p.String(), last, base)
}

// svg closes the drawing.
func (d *drawing) svg(width, height float64, class, label string) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg class="chart %s" viewBox="0 0 %.0f %.0f" role="img" aria-label="%s"><title>%s</title>%s</svg>`, // #nosec: all text in it is escaped
		class, width, height, template.HTMLEscapeString(label), template.HTMLEscapeString(label), d.String()))
}
