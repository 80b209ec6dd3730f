package report

import (
	"fmt"
	"math"
	"slices"
)

// Where things are in a timeline.
const (
	timeWidth  = 420.0
	timeLeft   = 52.0
	timeRight  = 412.0
	panelGap   = 26.0
	rateHeight = 84.0
	tryHeight  = 48.0
	tailHeight = 72.0
)

// shared are the scales that the timelines of a scenario share, so that they
// can be compared by eye.
type shared struct {
	rate, attempts float64 // highest
	low, high      float64 // p99
}

// timelines draws a chart a stack.
func timelines(charts []*chartData) (list []timeline) {
	s := shared{low: math.Inf(1), high: 1}
	for _, d := range charts {
		for i := range d.good {
			s.rate = max(s.rate, d.good[i], d.failed[i])
			s.attempts = max(s.attempts, d.attempts[i])
			if !math.IsNaN(d.p99[i]) && d.p99[i] > 0 {
				s.low, s.high = min(s.low, d.p99[i]), max(s.high, d.p99[i])
			}
		}
	}
	if math.IsInf(s.low, 1) {
		s.low = 1
	}
	for _, d := range charts {
		if d.runs == 0 {
			continue
		}
		caption := fmt.Sprintf("%s: median of %d valid runs", d.stack, d.runs)
		if d.runs == 1 {
			caption = d.stack + ": one valid run"
		}
		list = append(list, timeline{d.stack, caption, d.timeline(s).svg(timeWidth, d.height(), "time", d.summary())})
	}
	return list
}

// summary is what a reader hears who does not see the chart.
func (d *chartData) summary() string {
	from, to := int(d.c.WarmMs/d.c.SliceMs), int(d.c.FaultMs/d.c.SliceMs)
	lowest, failed, tail := math.Inf(1), 0.0, 0.0
	for i := from; i < to && i < len(d.good); i++ {
		lowest, failed = min(lowest, d.good[i]), max(failed, d.failed[i])
		if !math.IsNaN(d.p99[i]) {
			tail = max(tail, d.p99[i])
		}
	}
	if math.IsInf(lowest, 1) {
		lowest = 0
	}
	return fmt.Sprintf("%s over time. In the fault phase at least %s requests a second succeed, at most %s fail, and p99 is at most %s ms.",
		d.stack, number(lowest), number(failed), number(tail))
}

func (d *chartData) rowHeight() float64 {
	if len(d.nodes) > 12 {
		return max(3, 120/float64(len(d.nodes)))
	}
	return 11
}

func (d *chartData) height() float64 {
	return 16 + rateHeight + panelGap + tryHeight + panelGap + tailHeight + panelGap + float64(len(d.nodes))*d.rowHeight() + 24
}

func (d *chartData) timeline(s shared) *drawing {
	w := &drawing{}
	x := scale{high: d.c.TotalMs, from: timeLeft, to: timeRight}
	n := len(d.good)
	mid := func(i int) float64 { return x.at((float64(i) + .5) * d.c.SliceMs) }
	bottom := d.height() - 24
	w.add(`<rect class="fault" x="%.1f" y="16" width="%.1f" height="%.1f"/>`, x.at(d.c.WarmMs), x.at(d.c.FaultMs)-x.at(d.c.WarmMs), bottom-16)
	w.text(x.at(d.c.WarmMs)+3, 25, "note", "fault")

	y := upTo(s.rate, 16+rateHeight, 16)
	w.panel("requests/s", y, 16)
	w.area("failedarea", y.from, n, func(i int) (float64, float64) { return mid(i), y.at(d.failed[i]) })
	w.line("failed", n, func(i int) (float64, float64) { return mid(i), y.at(d.failed[i]) })
	w.line("good", n, func(i int) (float64, float64) { return mid(i), y.at(d.good[i]) })

	top := y.from + panelGap
	y = upTo(s.attempts, top+tryHeight, top)
	w.panel("attempts/s", y, top)
	w.line("attempts", n, func(i int) (float64, float64) { return mid(i), y.at(d.attempts[i]) })

	top = y.from + panelGap
	y = decades(s.low, s.high, top+tailHeight, top)
	w.panel("p99, ms", y, top)
	w.line("p99", n, func(i int) (float64, float64) { return mid(i), y.at(d.p99[i]) })

	d.states(w, x, y.from+panelGap)
	for _, t := range x.ticks() {
		w.add(`<path class="tick" d="M%.1f %.1fv4"/>`, x.at(t), bottom)
		w.text(x.at(t), bottom+15, "mid", number(t/1000)+" s")
	}
	return w
}

// panel draws the frame of one.
func (d *drawing) panel(name string, y scale, top float64) {
	d.text(timeLeft, top-5, "name", name)
	for _, t := range y.ticks() {
		d.add(`<path class="grid" d="M%.1f %.1fH%.1f"/>`, timeLeft, y.at(t), timeRight)
		d.text(timeLeft-4, y.at(t)+3.5, "end", number(t))
	}
}

// states draws a row a node: when something was wrong with it, and by what
// share of the clients it was ejected.
func (d *chartData) states(w *drawing, x scale, top float64) {
	w.text(timeLeft, top-5, "name", "nodes: ill, ejected")
	h := d.rowHeight()
	for row, node := range d.nodes {
		y := top + float64(row)*h
		w.add(`<rect class="node" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, timeLeft, y+.5, timeRight-timeLeft, h-1)
		if h >= 9 {
			w.text(timeLeft-4, y+h-2, "end", node)
		}
		for _, s := range d.sick {
			if s.Node == node {
				from, to := x.at(float64(s.From.Milliseconds())), x.at(float64(s.To.Milliseconds()))
				w.add(`<rect class="ill" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, from, y+.5, max(0, to-from), h-1)
			}
		}
		out := d.out[node]
		for i := 0; i < len(out); {
			j := i
			for j < len(out) && math.Abs(out[j]-out[i]) < 1e-9 {
				j++
			}
			if out[i] > 1e-9 {
				from, to := x.at(float64(i)*d.c.SliceMs), x.at(float64(j)*d.c.SliceMs)
				w.add(`<rect class="out" x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill-opacity="%.2f"/>`,
					from, y+h*.3, to-from, h*.4, 0.25+0.75*min(1, out[i]))
			}
			i = j
		}
	}
	if d.rowHeight() < 9 && len(d.nodes) > 0 {
		w.text(timeLeft-4, top+8, "end", d.nodes[0])
		w.text(timeLeft-4, top+h*float64(len(d.nodes)), "end", d.nodes[len(d.nodes)-1])
	}
}

// stackIndex is where a stack stands among all, which sets its colour.
func stackIndex(s *Summary, name string) int {
	return slices.IndexFunc(s.Stacks, func(x Stack) bool { return x.Name == name })
}
