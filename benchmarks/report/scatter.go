package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// Style is the style sheet of the reports.
func Style() template.CSS { return template.CSS(pageStyle) } // #nosec: it is ours

// Mark is a point of a [Scatter]. Names are drawn beside it.
type Mark struct {
	Name string
	X, Y float64
	Dot  int // its colour, from 0; at the same time its form
}

// Scatter draws a line through some points, and marks, on two logarithmic
// scales. What is not finite and above 0 is left out. It is empty if nothing is
// left.
func Scatter(label, xName, yName string, line, marks []Mark) template.HTML {
	drawable := func(list []Mark) (out []Mark) {
		for _, m := range list {
			if m.X > 0 && m.Y > 0 && !math.IsInf(m.X, 0) && !math.IsInf(m.Y, 0) {
				out = append(out, m)
			}
		}
		return out
	}
	line, marks = drawable(line), drawable(marks)
	all := append(append([]Mark(nil), line...), marks...)
	if len(all) == 0 {
		return ""
	}
	lowX, highX, lowY, highY := all[0].X, all[0].X, all[0].Y, all[0].Y
	for _, m := range all {
		lowX, highX, lowY, highY = min(lowX, m.X), max(highX, m.X), min(lowY, m.Y), max(highY, m.Y)
	}
	w := &drawing{}
	const left, right = ccdfLeft + 10, ccdfRight - 60 // names stand to the right of marks
	x, y := decades(lowX, highX, left, right), decades(lowY, highY, ccdfBottom, ccdfTop)
	for i, t := range y.ticks() {
		if every := len(y.ticks())/8 + 1; i%every == 0 {
			w.add(`<path class="grid" d="M%.1f %.1fH%.1f"/>`, left, y.at(t), right)
			w.text(left-4, y.at(t)+3.5, "end", power(t))
		}
	}
	for _, t := range x.ticks() {
		w.add(`<path class="grid" d="M%.1f %.1fV%.1f"/>`, x.at(t), ccdfTop, ccdfBottom)
		w.text(x.at(t), ccdfBottom+15, "mid", number(t))
	}
	w.text((left+right)/2, ccdfBottom+32, "mid", xName)
	w.text(left+4, ccdfTop+10, "name", yName)
	w.line("s5", len(line), func(i int) (float64, float64) { return x.at(line[i].X), y.at(line[i].Y) })
	for _, m := range line {
		w.add(`<circle class="s5" cx="%.1f" cy="%.1f" r="2"/>`, x.at(m.X), y.at(m.Y))
	}
	for _, m := range marks {
		w.add(`<path class="series s%d" d="%s"/>`, m.Dot%colours, form(m.Dot, x.at(m.X), y.at(m.Y)))
		w.text(x.at(m.X)+9, y.at(m.Y)+4, "name", m.Name)
	}
	return w.svg(ccdfWidth, ccdfHeight, "ccdf", label)
}

// power writes a power of ten that may be very small.
func power(x float64) string {
	if x >= .01 && x < 1e5 {
		return number(x)
	}
	return "10" + strings.Map(func(r rune) rune {
		if r == '-' {
			return '⁻'
		}
		return []rune("⁰¹²³⁴⁵⁶⁷⁸⁹")[r-'0']
	}, fmt.Sprint(int(math.Round(math.Log10(x)))))
}

// form is the outline of a mark: colour alone tells nothing to some.
func form(i int, x, y float64) string {
	switch i % 4 {
	case 0:
		return fmt.Sprintf("M%.1f %.1fl6 6-6 6-6-6Z", x, y-6)
	case 1:
		return fmt.Sprintf("M%.1f %.1fh10v10h-10Z", x-5, y-5)
	case 2:
		return fmt.Sprintf("M%.1f %.1fl6 11h-12Z", x, y-6)
	}
	return fmt.Sprintf("M%.1f %.1fl10 10M%.1f %.1fl-10 10", x-5, y-5, x+5, y-5)
}
