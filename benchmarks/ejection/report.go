package ejection

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
)

// Report is both tables.
type Report struct {
	SchemaVersion int         `json:"schemaVersion"`
	Seeds         int         `json:"seeds"`
	Seed          uint64      `json:"seed"`
	Detections    []Detection `json:"detections"`
	Falses        []False     `json:"falseEjections"`
}

// Run makes both tables. That no row matches o.Rows is an error.
func Run(o Options) (*Report, error) {
	detections, err := Detections(o)
	if err != nil {
		return nil, err
	}
	falses, err := Falses(o)
	if err != nil {
		return nil, err
	}
	if len(detections)+len(falses) == 0 {
		return nil, fmt.Errorf("rows %q: want a regular expression that matches a row's name, such as %q", o.Rows, detectRows[0].name)
	}
	return &Report{SchemaVersion: 1, Seeds: o.Seeds, Seed: o.Seed, Detections: detections, Falses: falses}, nil
}

// MarshalJSON leaves out what is infinite: a node that was never ejected.
func (d Detection) MarshalJSON() ([]byte, error) {
	number := func(x float64) *float64 {
		if math.IsInf(x, 0) {
			return nil
		}
		return &x
	}
	return json.Marshal(map[string]any{
		"name": d.Name, "nodes": d.Nodes, "ill": d.Ill, "callsP50": number(d.P50), "callsP99": number(d.P99),
		"msP50": number(d.MsP50), "msP99": number(d.MsP99), "missed": d.Missed, "falseEjections": d.FalseEjections,
		"failed": d.Failed, "designP50": d.Want50, "designP99": d.Want99,
	})
}

// Print writes the tables for people.
func (r Report) Print(w io.Writer) error {
	var b bytes.Buffer
	r.print(&b)
	_, err := w.Write(b.Bytes())
	return err
}

func (r Report) print(w io.Writer) {
	fmt.Fprintf(w, "%d seeds from %d, %g calls/s a node, %v service time, %v attempt timeout, default settings, through Client.Do\n\n",
		r.Seeds, r.Seed, RatePerNode, Service, Timeout)
	fmt.Fprintf(w, "%-42s %13s %13s %15s %7s %6s %8s\n", fmt.Sprintf("calls to eject (p50/p99), %d x the seeds", detectRuns), "measured", "design", "ms", "missed", "false", "failed")
	for _, d := range r.Detections {
		fmt.Fprintf(w, "%-42s %13s %13s %15s %6.1f%% %6d %7.3f%%\n", d.Name, pair(d.P50, d.P99), pair(d.Want50, d.Want99),
			pair(d.MsP50, d.MsP99), 100*d.Missed, d.FalseEjections, 100*d.Failed)
	}
	fmt.Fprintf(w, "\n%-42s %13s %13s %13s\n", "false ejections", "measured", "95 % below", "design")
	for _, f := range r.Falses {
		switch {
		case f.CountsByRuns:
			fmt.Fprintf(w, "%-42s %12.1f%% %12.1f%% %12.1f%%  of runs\n", f.Name, 100*f.RunsWithAny, 100*f.RunsUpper, 100*f.WantRuns)
		case f.PerBurst:
			fmt.Fprintf(w, "%-42s %13.0f %13.1f %13.0f  per 800 bursts\n", f.Name, f.PerMillion, f.Upper, f.Want)
		default:
			fmt.Fprintf(w, "%-42s %13.2f %13.2f %13.1f  per 10⁶ attempts (%.1f·10⁶)\n", f.Name, f.PerMillion, f.Upper, f.Want, float64(f.Attempts)/1e6)
		}
	}
}

func pair(a, b float64) string {
	if a == 0 && b == 0 {
		return "–"
	}
	one := func(x float64) string {
		if math.IsInf(x, 0) {
			return "∞"
		}
		return fmt.Sprintf("%.0f", x)
	}
	return one(a) + "/" + one(b)
}

// slack is how far from the design's figures a detection may be.
const slack = 1.25

// Missed lists the rows that miss their goal.
func (r Report) Missed() []string {
	var missed []string
	for _, d := range r.Detections {
		if d.Want50 > 0 && (d.P50 > slack*d.Want50 || d.P99 > slack*d.Want99) {
			missed = append(missed, fmt.Sprintf("%s: %s calls to eject, want within %g × of %s", d.Name, pair(d.P50, d.P99), slack, pair(d.Want50, d.Want99)))
		}
	}
	for _, f := range r.Falses {
		got, scale, want, unit := f.Ejections, float64(f.Attempts)/1e6, f.Want, "ejections"
		switch {
		case f.CountsByRuns:
			got, scale, want, unit = int(math.Round(f.RunsWithAny*float64(f.Runs))), float64(f.Runs)/100, 100*f.WantRuns, "runs with ejections"
		case f.PerBurst:
			scale = float64(f.Runs*burstsPerRun) / 800
		}
		if most := poissonMost(max(want, rounding) * scale); got > most {
			missed = append(missed, fmt.Sprintf("%s: %d %s, want at most %d", f.Name, got, unit, most))
		}
	}
	return missed
}

// rounding is what a 0 in the design's table, which has one decimal, may be.
const rounding = .05

// poissonMost is the most events that chance explains of a Poisson mean. A
// dozen rows are tested at once, so that each may err once in 12/2.5 % = 480
// runs (Bonferroni).
func poissonMost(mean float64) int {
	p := math.Exp(-mean)
	k, sum := 0, p
	for sum < 1-.025/12 {
		k++
		p *= mean / float64(k)
		sum += p
	}
	return k
}
