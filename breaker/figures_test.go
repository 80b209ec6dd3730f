package breaker

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// runs feeds calls that fail at rate p to fresh records, healthy successes
// first, until the rule opens, and returns the mean number of calls and its
// standard error.
func runs(rule Rule, healthy int, p float64, n int, seed uint64) (mean, se float64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	j := rule.judge()
	var sum, squares float64
	for range n {
		var rec record
		for range healthy {
			j.note(&rec, false, epoch)
		}
		calls := 1.0
		for !j.note(&rec, rng.Float64() < p, epoch) {
			calls++
		}
		sum += calls
		squares += calls * calls
	}
	mean = sum / float64(n)
	return mean, math.Sqrt((squares/float64(n) - mean*mean) / float64(n))
}

// The table "calls until ejection at a node error rate of" of the field notes.
// Its CUSUM row is that of a threshold of 19.1 nats, one false alarm in 2·10⁸
// calls; with the default of one in 10⁶ (13.8 nats) it is quicker, and the
// four straight failures that the notes speak of are enough.
func TestCallsUntilOpening(t *testing.T) {
	for _, row := range []struct {
		rule    Rule
		healthy int
		want    [3]float64 // at 100 %, 50 % and 30 %; 0: never
	}{
		{CUSUM{FalseAlarm: 2e8}, 0, [3]float64{5, 12.6, 27}},
		{CUSUM{}, 0, [3]float64{4, 9.1, 19.3}},
		{Consecutive{N: 5}, 0, [3]float64{5, 62, 586}},
		{Count{Size: 20, MinCalls: 20}, 20, [3]float64{10, 24, 146}},
		{Count{Size: 100, MinCalls: 100}, 100, [3]float64{50, 121, 0}},
	} {
		for i, p := range []float64{1, 0.5, 0.3} {
			want := row.want[i]
			if want == 0 {
				continue
			}
			t.Run(fmt.Sprintf("%v/%v", row.rule, p), func(t *testing.T) {
				n := 40_000
				if want > 100 {
					n = 4_000
				}
				got, se := runs(row.rule, row.healthy, p, n, uint64(i))
				rounding := 0.5
				if want != math.Round(want) {
					rounding = 0.05
				}
				t.Logf("%.2f ± %.2f calls", got, se)
				if math.Abs(got-want) > 4*se+rounding {
					t.Errorf("%.2f ± %.2f calls until it opens, want %v", got, se, want)
				}
			})
		}
	}
}

// The promise of CUSUM: at the baseline error rate at least FalseAlarm calls
// pass, on average, between two false openings. Measured it is several times
// as many; far more would mean that the threshold is not what it says.
func TestFalseAlarmPromise(t *testing.T) {
	for _, rule := range []CUSUM{
		{FalseAlarm: 1000},
		{FalseAlarm: 10_000},
		{Baseline: 0.05, Broken: 0.3, FalseAlarm: 2000},
	} {
		t.Run(rule.String(), func(t *testing.T) {
			n := 400
			if raceEnabled {
				n = 100
			}
			mean, se := runs(rule, 0, rule.filled().Baseline, n, 7)
			ratio := mean / rule.FalseAlarm
			t.Logf("%.0f ± %.0f calls between false openings, %.1f × the promise", mean, se, ratio)
			if mean-4*se < rule.FalseAlarm {
				t.Errorf("%.0f ± %.0f calls between false openings, want more than %v", mean, se, rule.FalseAlarm)
			}
			if ratio > 100 {
				t.Errorf("%.0f × the promise: too sluggish to be right", ratio)
			}
		})
	}
}
