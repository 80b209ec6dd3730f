package tune

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"

	"github.com/holdfast-go/holdfast/benchmarks/report"
)

//go:embed report.html.tmpl
var pageText string

var page = template.Must(template.New("tune").Parse(pageText))

// grid is a table.
type grid struct {
	Caption string
	Wide    bool // its cells are text
	Head    []string
	Rows    [][]string
}

func (g *grid) add(cells ...string) { g.Rows = append(g.Rows, cells) }

type pageData struct {
	*Report
	Style                                           template.CSS
	BrokenText, PerText                             string
	Normal, Why                                     grid
	IncidentTable, LimitTable                       *grid
	Simulated, Alarms, FrontTable, SensitivityTable grid
	Chart                                           template.HTML
}

// WriteHTML writes the report: one file that needs nothing else.
func WriteHTML(w io.Writer, r *Report) error {
	d := &pageData{Report: r, Style: report.Style(), BrokenText: percent(r.Wishes.Broken), PerText: spell(r.Wishes.Per)}
	d.normal()
	d.Why = grid{Wide: true, Caption: "Each number, and where it comes from", Head: []string{"setting", "value", "formula", "in numbers"}}
	for _, s := range r.Steps {
		d.Why.add(s.Field, s.Value, s.Formula, s.With)
	}
	if r.Check != nil {
		d.checked(r.Check)
	}
	d.choices()
	var b bytes.Buffer
	if err := page.Execute(&b, d); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (d *pageData) normal() {
	f := d.Facts
	n := &d.Normal
	*n = grid{Caption: "Taken from the data", Head: []string{"what", "value"}}
	if f.Given {
		n.add("source", f.Source+", a description")
	} else {
		n.add("source", fmt.Sprintf("%s: %.0f attempts in %s", f.Source, f.Calls, spell(f.Span)))
	}
	n.add("clients, nodes", fmt.Sprintf("%d, %d", f.Clients, f.Nodes))
	n.add("calls a second", fmt.Sprintf("%.4g; of a client at a node %.3g (a tenth has less), median %.3g", f.Rate, f.PairRate, f.PairMedian))
	n.add("failures of healthy nodes", f.Normal.measured())
	n.add("of a healthy node, at most (95 %)", fmt.Sprintf("%s (%s)", percent(f.Worst.High), f.Worst.Node))
	n.add("failures in a burst", fmt.Sprintf("%.2f within %s", f.BurstMean, spell(f.Burst)))
	n.add("dispersion of the rest", fmt.Sprintf("%.2f%s", f.Dispersion, f.clusters()))
	n.add("latency", fmt.Sprintf("p50 %s, p99 %s, p99.9 %s", spell(f.Latency.P50), spell(f.Latency.P99), spell(f.Latency.P999)))
	if len(f.Incidents) > 0 {
		g := &grid{Caption: fmt.Sprintf("Incidents, left out (%s of the calls)", percent(f.Masked)), Head: []string{"from", "for", "node", "failed"}}
		for i, in := range f.Incidents {
			if i == 100 {
				g.add(fmt.Sprintf("… %d more", len(f.Incidents)-i))
				break
			}
			node := in.Node
			if node == "" {
				node = "all"
			}
			g.add(in.From.Format("2006-01-02 15:04:05.000"), spell(in.For), node, percent(in.Rate))
		}
		d.IncidentTable = g
	}
}

func (d *pageData) checked(c *Check) {
	s := &d.Simulated
	*s = grid{Caption: "Predicted / simulated", Head: []string{"setting", "time to eject, p50", "p99", "ejected", "false ejections per 10⁶ calls (95 % bound)", "calls failed", "p99 latency"}}
	for _, row := range c.Rows {
		s.add(row.Name, d.predicted(row, func(p Promise) string { return seconds(p.Time.P50) })+seconds(row.P50),
			d.predicted(row, func(p Promise) string { return seconds(p.Time.P99) })+seconds(row.P99),
			fmt.Sprintf("%d of %d", row.Ejected, row.Seen),
			d.predicted(row, func(p Promise) string { return "≤ " + amount(d.perMillion(p)) })+fmt.Sprintf("%.3g (%.3g)", row.Million, row.Upper),
			percent(row.Failed), fmt.Sprintf("%.4g ms", row.LatencyMs))
	}
	a := &d.Alarms
	*a = grid{Caption: "The promise, where false ejections are frequent enough to count", Head: []string{"falseAlarm", "promised at most", "simulated", "healthy calls"}}
	for _, x := range c.FalseAlarms {
		a.add(fmt.Sprintf("%.3g", x.FalseAlarm), fmt.Sprintf("%.4g", x.Most), fmt.Sprint(x.False), fmt.Sprintf("%.3g", x.Healthy))
	}
	if len(c.Limits) > 0 {
		d.LimitTable = &grid{Wide: true, Caption: "Measured: where what is assumed is not so", Head: []string{"if", "then"}}
		for _, l := range c.Limits {
			d.LimitTable.add(l.What, l.Result)
		}
	}
}

func (d *pageData) choices() {
	marks := []report.Mark{}
	var line []report.Mark
	d.FrontTable = grid{Caption: "Settings that no other beats in both", Head: []string{"falseAlarm", "excess", "time to eject, p99", "false ejections in " + d.PerText, ""}}
	for i, p := range append([]Point{point(recommended, d.Promise), point(present, d.Present)}, d.Front...) {
		m := report.Mark{Name: p.Name, X: float64(p.P99), Y: float64(p.False), Dot: i}
		if p.Name != "" {
			marks = append(marks, m)
		} else {
			line = append(line, m)
		}
		d.FrontTable.add(fmt.Sprintf("%.3g", p.FalseAlarm), fmt.Sprintf("%.3g", p.Excess), seconds(p.P99), amount(p.False), p.Name)
	}
	if d.Check != nil {
		calls := d.Facts.Rate * d.Wishes.Per.Seconds() / 1e6
		for i, row := range d.Check.Rows[min(2, len(d.Check.Rows)):] {
			marks = append(marks, report.Mark{Name: row.Name, X: float64(row.P99), Y: row.Million * calls, Dot: i + 2})
		}
	}
	d.Chart = report.Scatter("Time to eject and false ejections of possible settings", "time to eject, p99, in seconds", "false ejections in "+d.PerText, line, marks)
	d.SensitivityTable = grid{Caption: "If something is otherwise", Head: []string{"what", "time to eject, p99", "false ejections in " + d.PerText}}
	for _, s := range d.Sensitivity {
		d.SensitivityTable.add(s.What, seconds(s.P99), amount(s.False))
	}
}
