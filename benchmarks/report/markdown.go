package report

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// judged are the stacks that WriteMarkdown holds against their bounds and the
// others: this project's own, over HTTP.
var judged = []string{"holdfast", "holdfast-keyed"}

// WriteMarkdown writes what was run, a table of medians of each of the
// foremost metrics, and how holdfast stands. dir is where the results are, for
// the command that makes it again.
func WriteMarkdown(w io.Writer, s *Summary, dir string) error {
	m := &markdown{Summary: s, groups: s.groups()}
	m.head(dir)
	m.table("failed", "Failed requests"+m.requests())
	m.table("duplicated", "Effects carried out more than once")
	m.table("p99Ms", "p99 in the fault phase and two seconds after it, ms; failures count with their time")
	m.line("## How holdfast stands\n")
	m.line("Of the bound: whether each figure that has a bound is within %v × of it. First: no stack has a smaller median. Level: some have,", goal)
	m.line("but the intervals of the runs overlap; they are those of the sign test: from the smallest to the largest of five runs, which covers the")
	m.line("median with 93.8 %% (two: 50 %%). Behind: they do not.")
	for _, name := range judged {
		if slices.ContainsFunc(s.Stacks, func(st Stack) bool { return st.Name == name }) {
			m.stands(name)
		}
	}
	_, err := w.Write(m.Bytes())
	return err
}

// goal is how far from its bound a figure may be.
const goal = 1.25

type markdown struct {
	bytes.Buffer
	*Summary
	groups []*group
}

func (m *markdown) line(format string, args ...any) { fmt.Fprintf(m, format+"\n", args...) }

// head says what was run, where, and what is missing.
func (m *markdown) head(dir string) {
	e := m.Environment
	m.line("# What users saw while things broke\n")
	pace := "full pace"
	if m.Quick {
		pace = "`-quick`, which has shorter phases and less load"
	}
	m.line("%d scenarios with %d stacks and %s: %s. On %s/%s with %d CPUs (kernel %s, %s), %s%s.\n", len(m.Scenarios), len(m.Stacks), m.seeds(), pace,
		e.OS, e.Arch, e.CPUs, orDash(e.Kernel), e.Go, e.Time.Format("2 January 2006"), m.took())
	m.line("```sh\nholdfast %s", strings.Join(e.Command[min(1, len(e.Command)):], " "))
	m.line("holdfast bench report %s                  # report.html: intervals, timelines, and how each stack is configured", dir)
	m.line("holdfast bench report %s -markdown FILE   # this\n```\n", dir)
	m.missing()
	m.line("Each field is the median of the valid runs; – where there is none. In parentheses: the median of the bound, what no client could have done better")
	m.line("in those runs.\n")
}

func (m *markdown) seeds() string {
	if len(m.Seeds) == 1 {
		return "one seed"
	}
	return fmt.Sprintf("%d seeds", len(m.Seeds))
}

func (m *markdown) took() string {
	if m.TookMs == 0 {
		return ""
	}
	return fmt.Sprintf("; it took %.0f minutes", math.Ceil(m.TookMs/60_000))
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// missing says which runs have no figures.
func (m *markdown) missing() {
	all := len(m.Scenarios) * len(m.Stacks) * len(m.Seeds)
	if n := len(m.Runs); n < all {
		m.line("Of %d runs %d have not been made: it was interrupted.\n", all, all-n)
	}
	var where []string
	for _, g := range m.groups {
		if n := len(g.Invalid); n > 0 {
			where = append(where, fmt.Sprintf("%s/%s %d", g.Scenario, g.Stack, n))
		}
	}
	if m.Invalid() == 0 {
		m.line("All %d runs are valid.\n", len(m.Runs))
	} else {
		m.line("%d of %d runs are invalid, since the machine could not keep up with them, and have no figures: %s.\n",
			m.Invalid(), len(m.Runs), strings.Join(where, ", "))
	}
	for _, x := range m.Missing {
		m.line("Not here: %s: %s.\n", x.Name, x.Why)
	}
}

// requests is how many a run has.
func (m *markdown) requests() string {
	low, high := math.MaxInt, 0
	for _, g := range m.groups {
		for _, r := range g.Valid {
			low, high = min(low, r.Metrics.Requests), max(high, r.Metrics.Requests)
		}
	}
	if high == 0 {
		return ""
	}
	return fmt.Sprintf(", of %d to %d a run", low, high)
}

func (m *markdown) group(scenario, stack string) *group {
	if g := find(m.groups, &group{Scenario: scenario, Stack: stack}); g != nil {
		return g
	}
	return &group{Scenario: scenario, Stack: stack}
}

func (m *markdown) table(key, title string) {
	m.line("## %s\n", title)
	row, rule := "|", "|---"
	for _, st := range m.Stacks {
		row += " | " + st.Name
		rule += "|--:"
	}
	m.line("%s |\n%s|", row, rule)
	for _, sc := range m.Scenarios {
		row := "| " + sc.Name
		for _, st := range m.Stacks {
			g := m.group(sc.Name, st.Name)
			cell := "–"
			if values := g.values(key); len(values) > 0 {
				cell = brief(MedianOf(values).Value)
				if bound, ok := g.bound(key); ok && key != "duplicated" && slices.Contains(judged, st.Name) {
					cell += " (" + brief(bound) + ")"
				}
			}
			row += " | " + cell
		}
		m.line("%s |", row)
	}
	m.line("")
}

// brief is a figure for a table: what is less than a unit of it would be noise.
func brief(x float64) string {
	if math.Abs(x) >= 10 && x != math.Trunc(2*x)/2 {
		return fmt.Sprintf("%.0f", x)
	}
	return number(math.Round(10*x) / 10)
}

// bound is the median of the valid runs' bounds.
func (g *group) bound(key string) (float64, bool) {
	var bounds []float64
	for _, r := range g.Valid {
		if b, ok := r.Bounds[key]; ok {
			bounds = append(bounds, b)
		}
	}
	return MedianOf(bounds).Value, len(bounds) > 0
}

// stands compares a stack with its bounds and with the others.
func (m *markdown) stands(stack string) {
	var rows, misses []string
	near, bounded, ahead, compared := 0, 0, 0, 0
	for _, sc := range m.Scenarios {
		g := m.group(sc.Name, stack)
		if len(g.Valid) == 0 {
			rows = append(rows, fmt.Sprintf("| %s | – | – | – | – |", sc.Name))
			misses = append(misses, fmt.Sprintf("`%s`: no valid run", sc.Name))
			continue
		}
		far, n := g.far()
		bounded += n
		near += n - len(far)
		row := fmt.Sprintf("| %s | ", sc.Name)
		switch {
		case n == 0:
			row += "–"
		case len(far) == 0:
			row += "yes"
		default:
			row += fmt.Sprintf("%d of %d", n-len(far), n)
		}
		for _, key := range foremost {
			how, before := m.standing(g, key)
			row += " | " + how
			compared++
			if len(before) == 0 {
				ahead++
			} else {
				far = append(far, fmt.Sprintf("%s %s is behind %s", key, brief(MedianOf(g.values(key)).Value), strings.Join(before, ", ")))
			}
		}
		rows = append(rows, row+" |")
		if len(far) > 0 {
			misses = append(misses, fmt.Sprintf("`%s`: %s", sc.Name, strings.Join(far, "; ")))
		}
	}
	m.line("\n### %s\n", stack)
	m.line("%d of %d figures with a bound are within %v × of it; first or level in %d of %d comparisons.\n", near, bounded, goal, ahead, compared)
	m.line("| | of the bound | failed | duplicated | p99 |\n|---|---|---|---|---|\n%s", strings.Join(rows, "\n"))
	if len(misses) == 0 {
		m.line("\nNothing is missed.")
		return
	}
	m.line("\nMissed:\n")
	for _, text := range misses {
		m.line("- %s", text)
	}
}

// far lists the metrics that are not within the goal of their bound, of so
// many that have one.
func (g *group) far() (list []string, bounded int) {
	for _, key := range harness.MetricKeys {
		bound, ok := g.bound(key)
		if !ok {
			continue
		}
		bounded++
		values := g.values(key)
		if len(values) == 0 {
			list = append(list, fmt.Sprintf("%s did not happen, the bound is %s", key, brief(bound)))
			continue
		}
		value := MedianOf(values).Value
		if value <= goal*bound || value <= bound {
			continue
		}
		text := fmt.Sprintf("%s %s, the bound is %s", key, brief(value), brief(bound))
		if bound > 0 {
			text += fmt.Sprintf(" (%.3g ×)", value/bound)
		}
		list = append(list, text)
	}
	return list, bounded
}

// price is what another stack paid for fewer failures, in what it carried out
// more than once, or for answering sooner, in failures.
func (m *markdown) price(g *group, other, key string) string {
	paid, ok := map[string]string{"failed": "duplicated", "p99Ms": "failed"}[key]
	if !ok {
		return ""
	}
	mine, theirs := MedianOf(g.values(paid)).Value, MedianOf(m.group(g.Scenario, other).values(paid)).Value
	if theirs <= mine {
		return ""
	}
	return fmt.Sprintf(" (with %s %s)", brief(theirs), paid)
}

// standing is how a stack's metric is beside the others', and who is better
// beyond the intervals.
func (m *markdown) standing(g *group, key string) (how string, before []string) {
	mine := MedianOf(g.values(key))
	how = "first"
	for _, st := range m.Stacks {
		values := m.group(g.Scenario, st.Name).values(key)
		if st.Name == g.Stack || len(values) == 0 {
			continue
		}
		other := MedianOf(values)
		if other.Value < mine.Value && how == "first" {
			how = "level"
		}
		if mine.Cover > 0 && other.Cover > 0 && other.High < mine.Low {
			how = "behind"
			before = append(before, fmt.Sprintf("%s %s%s", st.Name, brief(other.Value), m.price(g, st.Name, key)))
		}
	}
	return how, before
}
