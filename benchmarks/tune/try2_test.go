package tune

import (
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
)

func TestTry2(t *testing.T) {
	for _, seed := range []uint64{10, 15, 22, 23, 39, 31, 40, 13, 16, 21} {
		g := generate(seed)
		set, err := g.record(seed)
		if err != nil {
			t.Fatal(err)
		}
		f := Measure(set, "x")
		w := Wishes{FalseEjections: 1, Per: span(tolerated / g.sys.Rate), Broken: g.broken}
		r, err := Recommend(f, w, resilience.Settings{})
		if err != nil {
			t.Log(seed, err)
			continue
		}
		e := r.Settings.Ejection
		t.Logf("%d: %s\n\tA %.3g excess %v base %v burst %v; calls %.3v false %.3v | phi %.2f burstmean %.2f bursty %v worst %.4f normal %.4f share %.2f incidents %d pair %.1f/%.1f timeout %v", seed, g.what, e.FalseAlarm, e.Excess, e.Baseline, e.Burst, r.Promise.Calls, r.Promise.False, f.Dispersion, f.BurstMean, f.Bursty, f.Worst.High, f.Normal.Value, f.typicalShare(), len(f.Incidents), f.PairRate, f.PairMedian, r.Settings.AttemptTimeout)
	}
}
