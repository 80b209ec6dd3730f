package report

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

//go:embed report.html.tmpl
var pageText string

//go:embed report.css
var pageStyle string

var page = template.Must(template.New("report").Parse(pageText))

// pageData is what the template shows.
type pageData struct {
	*Summary
	Style       template.CSS
	When        string
	Command     string
	Valid       int
	Invalid     []*Run
	Cover       string
	Matrices    []matrix // of the metrics that matter most
	More        []matrix
	Effects     []effect
	Parts       []part
	LoadRuns    []loadRun
	Assumptions []legend
}

// part is a scenario.
type part struct {
	Scenario
	Plan      string // JSON
	Keys      []string
	Figures   []figureRow
	Timelines []timeline
	CCDF      template.HTML
	Lines     []legendLine
	Missing   string // why there are no charts
}

type figureRow struct {
	Stack string
	Runs  string
	Cells []cellData
}

type loadRun struct {
	*Run
	Lag string
}

type timeline struct {
	Stack, Caption string
	SVG            template.HTML
}

// WriteHTML writes the report: one file that needs nothing else.
func WriteHTML(w io.Writer, r *Results) error {
	s := r.Summary
	groups := s.groups()
	d := &pageData{
		Summary: s, Style: template.CSS(pageStyle), // #nosec: it is ours
		When: s.Environment.Time.Format(time.RFC1123), Command: shellWords(s.Environment.Command),
		Assumptions: levels,
	}
	for i := range s.Runs {
		run := &s.Runs[i]
		if run.Valid {
			d.Valid++
		} else {
			d.Invalid = append(d.Invalid, run)
		}
		d.LoadRuns = append(d.LoadRuns, loadRun{run, fmt.Sprintf("%s / %s / %s ms", number(run.Load.LagP50Ms), number(run.Load.LagP99Ms), number(run.Load.LagMaxMs))})
	}
	d.Cover = coverText(groups)
	d.Matrices, d.More = matrices(s, groups)
	d.Effects = effects(groups)
	for i := range s.Scenarios {
		d.Parts = append(d.Parts, r.part(&s.Scenarios[i], groups))
	}
	var b bytes.Buffer
	if err := page.Execute(&b, d); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (r *Results) part(sc *Scenario, groups []*group) part {
	plan, _ := json.MarshalIndent(sc.Plan, "", "  ") // it was read from JSON
	p := part{Scenario: *sc, Plan: string(plan), Keys: harness.MetricKeys}
	var charts []*chartData
	for _, g := range groups {
		if g.Scenario != sc.Name {
			continue
		}
		row := figureRow{Stack: g.Stack, Runs: g.runs()}
		for _, key := range harness.MetricKeys {
			row.Cells = append(row.Cells, g.cell(key))
		}
		p.Figures = append(p.Figures, row)
		charts = append(charts, r.chart(g, sc.Plan))
	}
	p.Timelines = timelines(charts)
	p.CCDF, p.Lines = r.ccdf(charts, r.Summary)
	if len(p.Timelines) == 0 {
		p.Missing = "There is no valid run of which a course was written."
	}
	return p
}

// runs says how many there are.
func (g *group) runs() string {
	text := fmt.Sprint(len(g.Valid))
	if n := len(g.Invalid); n > 0 {
		text += fmt.Sprintf(" (%d not valid)", n)
	}
	return text
}

// coverText says what the intervals cover, by the number of runs.
func coverText(groups []*group) string {
	var list []string
	seen := map[int]bool{}
	for _, g := range groups {
		n := len(g.Valid)
		if n == 0 || seen[n] {
			continue
		}
		seen[n] = true
		i := MedianOf(make([]float64, n))
		if i.Cover == 0 {
			list = append(list, "none of one run")
		} else {
			list = append(list, fmt.Sprintf("%.1f %% of %d runs", 100*i.Cover, n))
		}
	}
	return strings.Join(list, ", ")
}

// shellWords is a command line that a shell reads as these words.
func shellWords(words []string) string {
	list := make([]string, len(words))
	for i, w := range words {
		if w == "" || strings.ContainsAny(w, " \t\n'\"\\$`*?[](){}<>|&;#~!") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		list[i] = w
	}
	return strings.Join(list, " ")
}

// effect is a row of the table of effects.
type effect struct {
	Scenario, Stack, Runs                string
	Requests                             int
	Failed, Duplicated, Ghosts, Lost     string
	FailedLevel, DuplicatedLevel, LostIs string
}

// effects sums up what was carried out and what callers were told.
func effects(groups []*group) (list []effect) {
	for _, g := range groups {
		e := effect{Scenario: g.Scenario, Stack: g.Stack, Runs: g.runs()}
		var failed, duplicated, ghosts, lost int
		for _, r := range g.Valid {
			e.Requests += r.Metrics.Requests
			failed += r.Metrics.Failed
			duplicated += r.Metrics.Duplicated
			ghosts += r.Metrics.Ghosts
			lost += r.Metrics.Lost
		}
		e.Failed, e.Duplicated, e.Ghosts, e.Lost = fmt.Sprint(failed), fmt.Sprint(duplicated), fmt.Sprint(ghosts), fmt.Sprint(lost)
		e.FailedLevel, e.DuplicatedLevel, e.LostIs = g.cell("failed").Level, g.cell("duplicated").Level, g.cell("lost").Level
		if len(g.Valid) == 0 {
			e.Failed, e.Duplicated, e.Ghosts, e.Lost = "–", "–", "–", "–"
		}
		list = append(list, e)
	}
	return list
}
