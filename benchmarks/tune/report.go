package tune

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Report is all there is to say.
type Report struct {
	SchemaVersion int    `json:"schemaVersion"`
	Sentence      string `json:"sentence"`
	*Recommendation
	Front       []Point     `json:"front"`
	Sensitivity []Sensitive `json:"sensitivity"`
	Check       *Check      `json:"check,omitempty"` // nil: it was not simulated
	YAML        string      `json:"yaml"`
	Go          string      `json:"go"`
}

// NewReport sums up a recommendation, and its check if there was one.
func NewReport(r *Recommendation, c *Check) (*Report, error) {
	text, err := YAML(r.Settings)
	if err != nil {
		return nil, err
	}
	out := &Report{
		SchemaVersion: 1, Recommendation: r, Front: r.front(), Sensitivity: r.sensitivity(), Check: c,
		YAML: text, Go: Go(r.Settings),
	}
	out.Sentence = out.sentence()
	return out, nil
}

// sentence is the one that is read.
func (r *Report) sentence() string {
	var b strings.Builder
	fmt.Fprintf(&b, "A node that fails %s of its calls is out after %s calls of a client, in %s (99 of 100 times within %s); a healthy one goes at most %s times in %s",
		percent(r.Wishes.Broken), amount(r.Promise.Calls.Mean), seconds(r.Promise.Time.Mean), seconds(r.Promise.Time.P99),
		amount(r.Promise.False), spell(r.Wishes.Per))
	if n := r.Present.Time.P99; r.Present.Impossible != "" {
		fmt.Fprintf(&b, "; with the present settings the first never goes (%s)", r.Present.Impossible)
	} else {
		fmt.Fprintf(&b, "; with the present settings within %s, and %s times", seconds(n), amount(r.Present.False))
	}
	if r.Check != nil && len(r.Check.Rows) > 0 {
		row := r.Check.Rows[0]
		fmt.Fprintf(&b, "; in %d simulated runs it was out within %s 99 of 100 times, and %d healthy ones went in %.0f calls",
			r.Check.Seeds, seconds(row.P99), row.False, row.Healthy)
	}
	return b.String() + "."
}

// Print writes it for people.
func (r *Report) Print(w io.Writer) error {
	fmt.Fprintf(w, "%s\n\nYAML:\n\n%s\nGo:\n\n%s\n\n", wrap(r.Sentence, 100), indented(r.YAML), indented(r.Go))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	r.facts(t)
	fmt.Fprintln(t, "\nWhy:")
	for _, s := range r.Steps {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", s.Field, s.Value, s.Formula)
		if s.With != "" {
			fmt.Fprintf(t, "\t\t  %s\n", s.With)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	r.table(t)
	fmt.Fprintf(t, "\nTime to eject (p99) and false ejections in %s, at best, by formula:\n", spell(r.Wishes.Per))
	fmt.Fprintln(t, "  falseAlarm\texcess\tp99\tfalse")
	for _, p := range append([]Point{point(recommended, r.Promise), point(present, r.Present)}, thinned(r.Front, 10)...) {
		fmt.Fprintf(t, "  %.3g\t%.3g\t%s\t%s\t%s\n", p.FalseAlarm, p.Excess, seconds(p.P99), amount(p.False), p.Name)
	}
	fmt.Fprintln(t, "\nIf something is otherwise:\tp99\tfalse")
	for _, s := range r.Sensitivity {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", s.What, seconds(s.P99), amount(s.False))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nWhat this cannot tell:")
	for _, u := range r.Unknown {
		fmt.Fprintf(w, "  - %s\n", strings.ReplaceAll(wrap(u, 96), "\n", "\n    "))
	}
	if r.Check != nil {
		fmt.Fprintln(w, "\nWhat was measured of its limits:")
		for _, l := range r.Check.Limits {
			fmt.Fprintf(w, "  - %s\n", strings.ReplaceAll(wrap(l.What+": "+l.Result+".", 96), "\n", "\n    "))
		}
	}
	return nil
}

// thinned leaves out all but n or so, evenly.
func thinned(list []Point, n int) (out []Point) {
	every := (len(list) + n - 1) / n
	for i := 0; i < len(list); i += max(every, 1) {
		out = append(out, list[i])
	}
	return out
}

// clusters says what follows failures.
func (f *Facts) clusters() string {
	if len(f.Follow) == 0 {
		return ""
	}
	return fmt.Sprintf("; of the %d calls after a failure up to %s fail", len(f.Follow), percent(slices.Max(f.Follow)))
}

func (r *Report) facts(w io.Writer) {
	f := r.Facts
	fmt.Fprintf(w, "What is normal:\n")
	if !f.Given {
		fmt.Fprintf(w, "  data\t%s: %.0f attempts in %s; clients: %d, nodes: %d\n", f.Source, f.Calls, spell(f.Span), f.Clients, f.Nodes)
	} else {
		fmt.Fprintf(w, "  data\t%s, a description: %d clients, %d nodes\n", f.Source, f.Clients, f.Nodes)
	}
	fmt.Fprintf(w, "  traffic\t%.3g a second; of a client at a node %.3g (a tenth has less), median %.3g\n", f.Rate, f.PairRate, f.PairMedian)
	fmt.Fprintf(w, "  failures\t%s; a node at most %s (95 %%, %s)\n", f.Normal.measured(), percent(f.Worst.High), f.Worst.Node)
	fmt.Fprintf(w, "  bursts\t%.2f failures in one, dispersion %.2f%s\n", f.BurstMean, f.Dispersion, f.clusters())
	fmt.Fprintf(w, "  latency\tp50 %s, p99 %s, p99.9 %s\n", spell(f.Latency.P50), spell(f.Latency.P99), spell(f.Latency.P999))
	for i, in := range f.Incidents {
		if i == 5 {
			fmt.Fprintf(w, "  \t… %d more\n", len(f.Incidents)-i)
			break
		}
		node := in.Node
		if node == "" {
			node = "all nodes"
		}
		fmt.Fprintf(w, "  left out\t%s at %s for %s: %s failed\n", node, in.From.Format("2006-01-02 15:04:05"), spell(in.For), percent(in.Rate))
	}
}

// table is predicted beside simulated.
func (r *Report) table(t *tabwriter.Writer) {
	c := r.Check
	if c == nil {
		fmt.Fprintf(t, "\nPredicted, not simulated (-seeds 0):\tcalls p50\tp99\ttime p50\tp99\tfalse in %s\n", spell(r.Wishes.Per))
		for _, p := range []struct {
			name string
			Promise
		}{{recommended, r.Promise}, {present, r.Present}} {
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\n", p.name, amount(p.Calls.P50), amount(p.Calls.P99), seconds(p.Time.P50), seconds(p.Time.P99), amount(p.False))
		}
		return
	}
	fmt.Fprintf(t, "\nPredicted / simulated, %d seeds from %d, %d calls; a node fails %s:\n", c.Seeds, c.Seed, c.Calls, percent(r.Wishes.Broken))
	fmt.Fprintln(t, "  setting\ttime to eject p50\tp99\tejected\tfalse per 10⁶ calls\tcalls failed\tp99 latency")
	for _, row := range c.Rows {
		fmt.Fprintf(t, "  %s\t%s\t%s\t%d of %d\t%s\t%s\t%.4g ms\n", row.Name, r.predicted(row, func(p Promise) string { return seconds(p.Time.P50) })+seconds(row.P50),
			r.predicted(row, func(p Promise) string { return seconds(p.Time.P99) })+seconds(row.P99), row.Ejected, row.Seen,
			r.predicted(row, func(p Promise) string { return "≤ " + amount(r.perMillion(p)) })+fmt.Sprintf("%.3g (≤ %.3g)", row.Million, row.Upper),
			percent(row.Failed), row.LatencyMs)
	}
	if row := c.Rows[0]; row.DominatedBy != "" {
		fmt.Fprintf(t, "  In these runs %s is at least as good as the recommended setting in both: if it stays so\n  with more -seeds, its rule may suit this traffic better, and we want to hear of it\n", row.DominatedBy)
	}
	if len(c.FalseAlarms) > 0 {
		fmt.Fprintln(t, "\nThe promise, where false ejections are frequent enough to count:")
		fmt.Fprintln(t, "  falseAlarm\tpromised at most\tsimulated\thealthy calls")
		for _, a := range c.FalseAlarms {
			fmt.Fprintf(t, "  %.3g\t%.4g\t%d\t%.3g\n", a.FalseAlarm, a.Most, a.False, a.Healthy)
		}
	}
}

// predicted is what a promise says of a row, for those that have one.
func (r *Report) predicted(row Row, text func(Promise) string) string {
	switch row.Name {
	case recommended:
		return text(r.Promise) + " / "
	case present:
		return text(r.Present) + " / "
	}
	return ""
}

// perMillion is a promise's false ejections per million calls.
func (r *Report) perMillion(p Promise) Number {
	return p.False / Number(r.Facts.Rate*r.Wishes.Per.Seconds()) * 1e6
}

func indented(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n  ")
}

// wrap breaks lines at blanks.
func wrap(s string, width int) string {
	var b strings.Builder
	n := 0
	for i, word := range strings.Fields(s) {
		switch size := len([]rune(word)); {
		case i > 0 && n+1+size > width:
			b.WriteByte('\n')
			n = size
		case i > 0:
			b.WriteByte(' ')
			n += 1 + size
		default:
			n = size
		}
		b.WriteString(word)
	}
	return b.String()
}
