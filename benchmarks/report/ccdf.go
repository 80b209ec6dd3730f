package report

import (
	"fmt"
	"html/template"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// legendLine is a line's entry in the legend.
type legendLine struct {
	Stack string
	Class string
	Tail  string
}

// colours of the lines; stacks beyond them get the same ones, dashed.
const colours = 7

// Where things are in the chart of the latencies.
const (
	ccdfWidth  = 640.0
	ccdfHeight = 300.0
	ccdfLeft   = 56.0
	ccdfRight  = 630.0
	ccdfTop    = 12.0
	ccdfBottom = 262.0
)

// ccdf draws which share of the requests took longer, a line a stack: all
// valid runs together.
func (r *Results) ccdf(charts []*chartData, s *Summary) (template.HTML, []legendLine) {
	low, high, most := int64(0), int64(1), int64(1)
	for _, d := range charts {
		if h := d.latency; h != nil && h.TotalCount() > 0 {
			if low == 0 || h.Min() < low {
				low = h.Min()
			}
			high, most = max(high, h.Max()), max(most, h.TotalCount())
		}
	}
	if low == 0 {
		return "", nil
	}
	w := &drawing{}
	x := decades(float64(low)/1000, float64(high)/1000, ccdfLeft, ccdfRight)
	y := decades(1/float64(most), 1, ccdfBottom, ccdfTop)
	for _, t := range y.ticks() {
		w.add(`<path class="grid" d="M%.1f %.1fH%.1f"/>`, ccdfLeft, y.at(t), ccdfRight)
		w.text(ccdfLeft-4, y.at(t)+3.5, "end", number(t*100)+" %")
	}
	for _, t := range x.ticks() {
		w.add(`<path class="grid" d="M%.1f %.1fV%.1f"/>`, x.at(t), ccdfTop, ccdfBottom)
		w.text(min(x.at(t), ccdfRight-8), ccdfBottom+15, "mid", number(t))
	}
	w.text((ccdfLeft+ccdfRight)/2, ccdfBottom+32, "mid", "latency in ms")
	var lines []legendLine
	for _, d := range charts {
		h := d.latency
		if h == nil || h.TotalCount() == 0 {
			continue
		}
		i := max(0, stackIndex(s, d.stack))
		class := fmt.Sprintf("s%d", i%colours)
		if i >= colours {
			class += " dashed"
		}
		steps := slower(h)
		w.line(class, len(steps), func(i int) (float64, float64) { return x.at(steps[i].ms), y.at(steps[i].share) })
		lines = append(lines, legendLine{d.stack, class, fmt.Sprintf("1 %% take longer than %s ms", number(float64(h.ValueAtPercentile(99))/1000))})
	}
	return w.svg(ccdfWidth, ccdfHeight, "ccdf", "Share of the requests that took longer, by stack, in the fault phase and 2 s after it"), lines
}

type step struct{ ms, share float64 }

// slower returns for latencies that occurred which share took at least so
// long.
func slower(h *hdrhistogram.Histogram) (list []step) {
	total := float64(h.TotalCount())
	left := total
	for _, bar := range h.Distribution() {
		if bar.Count > 0 {
			list = append(list, step{float64(bar.From) / 1000, left / total})
			left -= float64(bar.Count)
		}
	}
	return list
}
