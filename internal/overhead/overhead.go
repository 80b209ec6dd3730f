// Package overhead measures what something costs beside the bare thing, on a
// machine that does other things too.
package overhead

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Way is a way of doing the same.
type Way struct {
	Name string
	Do   func(b *testing.B)
}

// P50 is a benchmark of the ways, of which the first is the bare one: it
// reports the medians, and by how many percent the others exceed it.
func P50(b *testing.B, ways ...Way) {
	b.Helper()
	took := Medians(b, 1, ways...)
	b.ReportMetric(took[0], ways[0].Name+"-p50-ns")
	for i, w := range ways[1:] {
		b.ReportMetric(took[i+1], w.Name+"-p50-ns")
		b.ReportMetric(100*(took[i+1]/took[0]-1), w.Name+"-overhead-%")
	}
}

// Telemetry is a benchmark of calls without it, with it, and of the same
// telemetry written by hand around nothing: it reports the first, and what
// the second adds as a part of the third, in percent.
func Telemetry(b *testing.B, off, on, bare Way) {
	b.Helper()
	took := Medians(b, 1000, off, on, bare)
	b.ReportMetric(took[0], "off-p50-ns")
	b.ReportMetric(took[2], "bare-p50-ns")
	b.ReportMetric(100*(took[1]-took[0])/took[2], "added-%-of-bare")
}

// Medians returns the median time of each of the ways, in ns. They take turns,
// of so many times each and in random order, so that what else the machine
// does hits all of them.
func Medians(b *testing.B, turn int, ways ...Way) []float64 {
	b.Helper()
	for _, w := range ways {
		w.Do(b) // what is made at first use
	}
	defer b.ReportMetric(0, "ns/op") // of a round: says nothing
	return medians(b.Loop, b, turn, ways...)
}

func medians(more func() bool, b *testing.B, turn int, ways ...Way) []float64 {
	took := make([][]time.Duration, len(ways))
	for more() {
		for _, i := range rand.Perm(len(ways)) {
			start := time.Now()
			for range turn {
				ways[i].Do(b)
			}
			took[i] = append(took[i], time.Since(start))
		}
	}
	list := make([]float64, len(ways))
	for i, all := range took {
		slices.Sort(all)
		list[i] = float64(all[len(all)/2]) / float64(turn)
	}
	return list
}
