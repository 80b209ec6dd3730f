package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

//go:embed simulation.html.tmpl
var simulationText string

var simulationPage = template.Must(template.New("simulation").Parse(simulationText))

// WriteSimulation writes the page of a simulation: one file that needs nothing
// else. system is what was simulated, for who wants to run it again.
func WriteSimulation(w io.Writer, r *Results, system string) error {
	s := r.Summary
	d := struct {
		*Summary
		Style                         template.CSS
		When, Command, System, Seeded string
		Cover                         string
		Part                          part
	}{
		Summary: s, Style: template.CSS(pageStyle), // #nosec: it is ours
		When: s.Environment.Time.Format(time.RFC1123), Command: shellWords(s.Environment.Command),
		System: system, Seeded: strings.Trim(fmt.Sprint(s.Seeds), "[]"), Cover: coverText(s.groups()),
		Part: r.part(&s.Scenarios[0], s.groups()),
	}
	var b bytes.Buffer
	if err := simulationPage.Execute(&b, d); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// WriteSVG writes the timelines of a simulation as one picture.
func WriteSVG(w io.Writer, r *Results) error {
	timelines := r.part(&r.Summary.Scenarios[0], r.Summary.groups()).Timelines
	var inner strings.Builder
	height, y := 0.0, 0.0
	const gap, caption, perRow = 24.0, 18.0, 2
	width := timeWidth
	if len(timelines) > 1 {
		width = perRow*timeWidth + gap
	}
	for i, t := range timelines {
		x := float64(i%perRow) * (timeWidth + gap)
		high := svgHeight(string(t.SVG))
		if i%perRow == 0 && i > 0 {
			y += height + caption + gap
			height = 0
		}
		height = max(height, high)
		fmt.Fprintf(&inner, `<text x="%.0f" y="%.0f" class="name">%s</text>`, x+timeLeft, y+caption-4, template.HTMLEscapeString(t.Caption))
		fmt.Fprintf(&inner, `<svg x="%.0f" y="%.0f" width="%.0f" height="%.0f"%s`, x, y+caption, timeWidth, high, strings.TrimPrefix(string(t.SVG), "<svg"))
	}
	high := y + height + caption
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" class="chart"><style>%s</style>%s</svg>`+"\n",
		width, high, width, high, pageStyle, inner.String())
	return err
}

// svgHeight reads the height that a drawing's viewBox has.
func svgHeight(svg string) (height float64) {
	var width float64
	_, box, _ := strings.Cut(svg, `viewBox="0 0 `)
	_, _ = fmt.Sscanf(box, "%f %f", &width, &height) // we wrote it ourselves
	return height
}
