package report

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// WriteText prints a table a scenario: a row a run, figure and bound.
func WriteText(w io.Writer, s *Summary) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, sc := range s.Scenarios {
		fmt.Fprintf(t, "\n%s: %s\n", sc.Name, sc.What)
		fmt.Fprint(t, "stack\tseed\t")
		for _, key := range harness.MetricKeys {
			fmt.Fprint(t, key, "\t")
		}
		fmt.Fprintln(t)
		for _, r := range s.Runs {
			if r.Scenario != sc.Name {
				continue
			}
			fmt.Fprintf(t, "%s\t%d\t", r.Stack, r.Seed)
			if !r.Valid {
				fmt.Fprintln(t, "invalid\t"+strings.Repeat("\t", len(harness.MetricKeys)-1))
				continue
			}
			for _, key := range harness.MetricKeys {
				fmt.Fprint(t, cell(r, key), "\t")
			}
			fmt.Fprintln(t)
		}
	}
	return t.Flush()
}

// cell is a figure and, where there is one, its bound.
func cell(r Run, key string) string {
	v, ok := r.Metrics.Value(key)
	text := "–"
	if ok {
		text = number(v)
	}
	if b, ok := r.Bounds[key]; ok {
		text += "/" + number(b)
	}
	return text
}

func number(x float64) string {
	if math.Abs(x) >= 1000 && math.Abs(x) < 1e15 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 4, 64)
}
