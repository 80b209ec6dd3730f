package report

import (
	"bufio"
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteText prints a table, and below it how to read it.
func (c *Comparison) WriteText(out io.Writer) error {
	w := bufio.NewWriter(out)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, g := range c.groups {
		fmt.Fprintf(t, "%s/%s\told\tnew\truns\tnew/old\tnew − old\t\n", g.scenario, g.stack)
		for _, r := range g.rows {
			fmt.Fprintf(t, "  %s\t%s\t%s\t%d, %d\t%s\t%s\t%s\n", r.Metric, optional(r.Old), optional(r.New), r.OldRuns, r.NewRuns,
				r.Ratio.text(), r.Difference.text(), r.Verdict)
		}
		fmt.Fprintln(t, "\t\t\t\t\t\t")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, n := range c.Notes {
		fmt.Fprintln(w, "note:", n)
	}
	n := map[Verdict]int{}
	for _, r := range c.Rows {
		n[r.Verdict]++
	}
	fmt.Fprintf(w, "%d rows: %d better, %d worse, %d with no difference shown, %d with too few runs\n", len(c.Rows), n[Better], n[Worse], n[NoneYet], n[TooFew])
	fmt.Fprintln(w, c.Method)
	return w.Flush()
}

func optional(x *float64) string {
	if x == nil {
		return "–"
	}
	return number(*x)
}

// text is the estimate and, where there are runs enough for one, its interval.
func (i *Interval) text() string {
	switch {
	case i == nil:
		return "–"
	case i.Cover == 0:
		return number(i.Value)
	}
	return fmt.Sprintf("%s [%s, %s]", number(i.Value), number(i.Low), number(i.High))
}
