package gobreaker

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	sony "github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
)

// Nearest returns the CUSUM rule nearest to the settings: on a thing that is
// dead it opens after exactly as many calls, and it sees partial failure,
// which failures in a row are blind to. Where the settings go by a share of
// failures, that is what counts as broken. [Compare] shows the two side by
// side. The error is that of [Native] for ReadyToTrip.
func Nearest(st sony.Settings) (breaker.CUSUM, error) {
	s, err := readyShape(st.ReadyToTrip)
	if err != nil {
		return breaker.CUSUM{}, err
	}
	r := breaker.CUSUM{Baseline: 0.01, Broken: 0.5}
	if s.share > 0 {
		r.Broken = min(s.share, 0.99)
	}
	// Each failure adds ln(Broken/Baseline), and half a failure less than
	// straight of them is the threshold, which has an end: a rule that wants
	// many in a row takes more of them for normal.
	most := math.Log(1e17) / (float64(s.straight) - 0.5)
	r.Baseline = max(min(r.Baseline, r.Broken/5), r.Broken*math.Exp(-most))
	r.FalseAlarm = math.Exp((float64(s.straight) - 0.5) * math.Log(r.Broken/r.Baseline))
	return r, nil
}

// The simulation behind Compare.
const (
	compareRuns = 101
	compareMost = 20_000 // calls in a run
)

// Compare prints the nearest CUSUM and how many calls pass, in the middle of
// 101 simulated runs, until either opens: at several error rates, independent
// failures, and without Interval, which only makes the settings forget.
func Compare(w io.Writer, st sony.Settings) error {
	nearest, err := Nearest(st)
	if err != nil {
		return err
	}
	native, _, err := Native(Config{Settings: st})
	if err != nil {
		return err
	}
	ready := st.ReadyToTrip
	if ready == nil {
		ready = moreThanFive
	}
	rows := [][]string{{""}, {"as set"}, {"nearest"}}
	for _, rate := range []float64{1, 0.5, 0.3, 0.1, 0.01} {
		rows[0] = append(rows[0], fmt.Sprintf("%g%%", 100*rate))
		rows[1] = append(rows[1], median(rate, func() func(bool) bool { return asSet(ready) }))
		rows[2] = append(rows[2], median(rate, func() func(bool) bool { return byCUSUM(nearest) }))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "as set:  %v\nnearest: breaker.CUSUM{Baseline: %.3g, Broken: %.3g, FalseAlarm: %.3g}\n\n", native.Rule, nearest.Baseline, nearest.Broken, nearest.FalseAlarm)
	b.WriteString("calls until it opens, at an error rate of\n")
	for _, row := range rows {
		fmt.Fprintf(&b, "%-8s", row[0])
		for _, cell := range row[1:] {
			fmt.Fprintf(&b, "%8s", cell)
		}
		b.WriteByte('\n')
	}
	_, err = io.WriteString(w, b.String())
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

// asSet counts as gobreaker does, for a caller that makes one call at a time.
func asSet(ready func(sony.Counts) bool) func(failed bool) bool {
	var c sony.Counts
	return func(failed bool) bool {
		c.Requests++
		if !failed {
			c.TotalSuccesses++
			c.ConsecutiveSuccesses++
			c.ConsecutiveFailures = 0
			return false
		}
		c.TotalFailures++
		c.ConsecutiveFailures++
		c.ConsecutiveSuccesses = 0
		return ready(c)
	}
}

func byCUSUM(rule breaker.CUSUM) func(failed bool) bool {
	b, err := breaker.New("", breaker.Config{Rule: rule})
	if err != nil { // Nearest makes none that New refuses
		panic(err)
	}
	return func(failed bool) bool {
		result := breaker.Success
		if failed {
			result = breaker.Failure
		}
		p, _, _ := b.TryAcquire(time.Time{})
		p.Done(breaker.Report{Result: result})
		return b.State() == breaker.Open
	}
}
