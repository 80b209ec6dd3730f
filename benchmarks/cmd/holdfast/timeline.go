package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// maxRows is how many instances a timeline shows one by one.
const maxRows = 5

// writeTimeline draws a stack's run: a column is a slice of time, a bar's
// height the share of the highest in the same group.
func writeTimeline(w io.Writer, s *harness.StackReport) {
	t := s.Timeline
	fmt.Fprintf(w, "%s: failures, and attempts on each node, per %.0f ms\n", s.Name, t.BucketMs)
	fmt.Fprintf(w, "  %-10s %s\n", "", marks(t, s.Victim))
	highest := slices.Max(append(slices.Clone(t.Failed), 1))
	row(w, "failed", t.Failed, highest)
	nodes, others := rows(t.Attempts, s.Victim)
	highest = 1
	for _, n := range nodes {
		highest = max(highest, slices.Max(append(slices.Clone(t.Attempts[n]), 0)))
	}
	for _, n := range nodes {
		row(w, n, t.Attempts[n], highest)
	}
	if others > 0 {
		fmt.Fprintf(w, "  and %d more instances\n", others)
	}
	fmt.Fprintln(w)
}

// rows chooses the instances to show: the victim is one of them.
func rows(attempts map[string][]int, victim string) (nodes []string, others int) {
	all := slices.Sorted(maps.Keys(attempts))
	slices.SortStableFunc(all, func(a, b string) int { return len(a) - len(b) }) // hello-2 before hello-10
	if len(all) <= maxRows {
		return all, 0
	}
	all = slices.DeleteFunc(all, func(n string) bool { return n == victim })
	return append(all[:maxRows-1:maxRows-1], victim), len(all) - maxRows + 1
}

// marks is the line above the rows that says when the fault was.
func marks(t harness.Timeline, victim string) string {
	line := []rune(strings.Repeat(" ", len(t.Failed)+40))
	put := func(atMs float64, text string) {
		if at := int(atMs / t.BucketMs); at >= 0 && at < len(t.Failed) {
			copy(line[at:], []rune(text+strings.Repeat(" ", len(line)))) // over what was there
		}
	}
	put(t.DownMs, "▼ "+victim+" down")
	put(t.BackMs, "▲ back")
	return strings.TrimRight(string(line), " ")
}

func row(w io.Writer, label string, counts []int, highest int) {
	fmt.Fprintf(w, "  %-10s %s %d\n", label, bars(counts, highest), sum(counts))
}

// bars draws a count a column. What is not nothing is seen.
func bars(counts []int, highest int) string {
	levels := []rune("▁▂▃▄▅▆▇█")
	line := make([]rune, len(counts))
	for i, n := range counts {
		line[i] = '·'
		if n > 0 {
			line[i] = levels[min((n*len(levels)-1)/max(highest, 1), len(levels)-1)]
		}
	}
	return string(line)
}

func sum(counts []int) (total int) {
	for _, n := range counts {
		total += n
	}
	return total
}

// pad fills s to width columns, on the left.
func pad(s string, width int) string {
	return strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s))) + s
}
