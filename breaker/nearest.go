package breaker

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// NearestCUSUM returns the CUSUM rule nearest to one that opens, on a thing
// that is dead, after so many calls, 1 or more, and takes a share of failures
// for broken; 0: a half. It opens on a dead thing after exactly as many, and
// sees partial failure too. The engines for gobreaker's and hystrix's settings
// say what they come to by it, and [CompareCUSUM] shows the two side by side.
func NearestCUSUM(calls int, share float64) CUSUM {
	r := CUSUM{Baseline: 0.01, Broken: 0.5}
	if share > 0 {
		r.Broken = min(share, 0.99)
	}
	// Each failure adds ln(Broken/Baseline), and half a failure less than
	// straight of them is the threshold, which has an end: a rule that wants
	// many in a row takes more of them for normal.
	straight := float64(calls) - 0.5
	most := math.Log(1e17) / straight
	r.Baseline = max(min(r.Baseline, r.Broken/5), r.Broken*math.Exp(-most))
	r.FalseAlarm = math.Exp(straight * math.Log(r.Broken/r.Baseline))
	return r
}

// The simulation behind CompareCUSUM.
const (
	compareRuns = 101
	compareMost = 20_000 // calls in a run
)

// CompareCUSUM prints how many calls pass, in the middle of 101 simulated
// runs, until each opens: what is set, in its own words, and the CUSUM near it.
// The failures are independent, at several error rates, and no time passes.
// opens makes a new breaker of what is set, which takes the results of calls
// and says when it opens.
func CompareCUSUM(w io.Writer, set string, opens func() (opens func(failed bool) bool), nearest CUSUM) error {
	rows := [][]string{{""}, {"as set"}, {"nearest"}}
	for _, rate := range []float64{1, 0.5, 0.3, 0.1, 0.01} {
		rows[0] = append(rows[0], fmt.Sprintf("%g%%", 100*rate))
		rows[1] = append(rows[1], median(rate, opens))
		rows[2] = append(rows[2], median(rate, nearest.opens))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "as set:  %v\nnearest: breaker.CUSUM{Baseline: %.3g, Broken: %.3g, FalseAlarm: %.3g}\n\n", set, nearest.Baseline, nearest.Broken, nearest.FalseAlarm)
	b.WriteString("calls until it opens, at an error rate of\n")
	for _, row := range rows {
		fmt.Fprintf(&b, "%-8s", row[0])
		for _, cell := range row[1:] {
			fmt.Fprintf(&b, "%8s", cell)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// median is the middle of how many calls it takes to open.
func median(rate float64, breaker func() (opens func(failed bool) bool)) string {
	rng := clock.NewVirtual(uint64(1000 * rate))
	runs := make([]int, compareRuns)
	for i := range runs {
		opens := breaker()
		for runs[i] = 1; runs[i] <= compareMost && !opens(clock.Float64(rng) < rate); runs[i]++ {
		}
	}
	slices.Sort(runs)
	if m := runs[compareRuns/2]; m <= compareMost {
		return fmt.Sprint(m)
	}
	return fmt.Sprintf(">%d", compareMost)
}

func (r CUSUM) opens() func(failed bool) bool {
	j, rec := r.judge(), &record{}
	return func(failed bool) bool { return j.note(rec, failed, time.Time{}) }
}
