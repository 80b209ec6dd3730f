package sim

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// WriteText prints the system, a table with a column a client, and a plot of
// the first run of each client. The results are those of the clients in turn,
// each with the same number of seeds.
func WriteText(out io.Writer, s System, results [][]*Result) error {
	s = s.WithDefaults()
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "%s%d clients, %d nodes, %s calls/s, service %v, timeout %v; %v, then faults for %v, then %v; in virtual time\n\n",
		title(s.Name), s.Clients, s.Nodes, number(s.Rate), s.Service.Mean, s.Timeout, s.Warm, s.Fault, s.Recover)
	writeMetrics(w, results)
	for _, list := range results {
		if len(list) > 0 {
			writePlot(w, list[0])
		}
	}
	return w.Flush()
}

func title(name string) string {
	if name == "" {
		return ""
	}
	return name + ": "
}

// The widths of the table.
const (
	labelWidth = 18
	cellWidth  = 15
)

// writeMetrics prints a row a metric: the median of the seeds.
func writeMetrics(w io.Writer, results [][]*Result) {
	label := "one seed"
	if n := len(results[0]); n > 1 {
		label = fmt.Sprintf("median of %d", n)
	}
	fmt.Fprintf(w, "%-*s", labelWidth, label)
	for _, list := range results {
		fmt.Fprint(w, pad(list[0].Client, cellWidth))
	}
	fmt.Fprintln(w)
	for _, key := range harness.MetricKeys {
		fmt.Fprintf(w, "%-*s", labelWidth, key)
		for _, list := range results {
			fmt.Fprint(w, pad(middle(list, key), cellWidth))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
}

// middle is the median; "–" if it did not happen in most.
func middle(list []*Result, key string) string {
	var have []*float64
	for _, r := range list {
		var x *float64
		if v, ok := r.Value(key); ok {
			x = &v
		}
		have = append(have, x)
	}
	if m := median(have); m != nil {
		return number(*m)
	}
	return "–"
}

func number(x float64) string {
	if math.Abs(x) >= 1000 && math.Abs(x) < 1e15 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 4, 64)
}

// The plot.
const (
	plotWidth = 96
	plotNodes = 6
)

// writePlot draws a run: a column is a slice of time, a bar's height the share
// of the highest in the same row, or group of rows.
func writePlot(w io.Writer, r *Result) {
	c := &r.Course
	n := len(c.Good)
	per := (n + plotWidth - 1) / plotWidth // slices a column
	fmt.Fprintf(w, "%s, seed %d: a column is %v\n", r.Client, r.Seed, time.Duration(float64(per)*c.SliceMs*float64(time.Millisecond)))
	fmt.Fprintf(w, "  %-12s %s\n", "", marks(c, per))
	line := func(label string, columns []float64, high float64, tail string) {
		fmt.Fprintf(w, "  %-12s %s %s\n", label, bars(columns, high), tail)
	}
	good, failed := columns(n, per, func(i int) float64 { return float64(c.Good[i]) }), columns(n, per, func(i int) float64 { return float64(c.Failed[i]) })
	high := max(slices.Max(good), slices.Max(failed))
	line("succeeded", good, high, fmt.Sprint(r.Requests-r.Failed))
	line("failed", failed, high, fmt.Sprint(r.Failed))
	tail := make([]float64, (n+per-1)/per) // on a scale of its own: the logarithm above the least
	least, most := math.Inf(1), 0.0
	for i, x := range c.P99Ms {
		if x != nil && *x > 0 {
			least, most = min(least, *x), max(most, *x)
			tail[i/per] = max(tail[i/per], *x)
		}
	}
	if most > 0 {
		for i, x := range tail {
			if x > 0 {
				tail[i] = 1 + math.Log(x/least)
			}
		}
		line("p99, log", tail, 1+math.Log(most/least), fmt.Sprintf("%s to %s ms", number(least), number(most)))
	}
	nodes := plotted(c)
	high = 0
	attempts := map[string][]float64{}
	for _, node := range nodes {
		attempts[node] = columns(n, per, func(i int) float64 { return float64(c.Attempts[node][i]) })
		high = max(high, slices.Max(attempts[node]))
	}
	for _, node := range nodes {
		line(node, attempts[node], high, "attempts")
		if out := columns(n, per, func(i int) float64 { return c.Out[node][i] / float64(per) }); slices.Max(out) > 0 {
			line("", out, 1, "ejected, share of the clients")
		}
	}
	if others := len(c.Attempts) - len(nodes); others > 0 {
		fmt.Fprintf(w, "  and %d more nodes\n", others)
	}
	fmt.Fprintln(w)
}

// columns sums up slices.
func columns(n, per int, value func(i int) float64) []float64 {
	list := make([]float64, (n+per-1)/per)
	for i := range n {
		list[i/per] += value(i)
	}
	return list
}

// plotted are the nodes to show: those that somebody ejected first.
func plotted(c *harness.Course) []string {
	list := make([]string, 0, len(c.Attempts))
	for node := range c.Attempts {
		list = append(list, node)
	}
	slices.SortFunc(list, func(a, b string) int { return nodeIndex(a) - nodeIndex(b) })
	slices.SortStableFunc(list, func(a, b string) int {
		return -int(1e6 * (slices.Max(c.Out[a]) - slices.Max(c.Out[b])))
	})
	list = list[:min(len(list), plotNodes)]
	slices.SortFunc(list, func(a, b string) int { return nodeIndex(a) - nodeIndex(b) })
	return list
}

// marks is the line above the rows that says when the faults are.
func marks(c *harness.Course, per int) string {
	line := []rune(strings.Repeat(" ", plotWidth+20))
	put := func(at float64, text string) { copy(line[min(int(at/c.SliceMs)/per, plotWidth):], []rune(text)) }
	put(c.WarmMs, "▼ faults")
	put(c.FaultMs, "▲ over")
	return strings.TrimRight(string(line), " ")
}

// bars draws a number a column. What is not nothing is seen.
func bars(columns []float64, high float64) string {
	levels := []rune("▁▂▃▄▅▆▇█")
	line := make([]rune, len(columns))
	for i, x := range columns {
		line[i] = '·'
		if x > 0 {
			line[i] = levels[min(int(x/high*float64(len(levels))), len(levels)-1)]
		}
	}
	return string(line)
}

// pad fills s to width columns, on the left.
func pad(s string, width int) string {
	return strings.Repeat(" ", max(1, width-utf8.RuneCountInString(s))) + s
}
