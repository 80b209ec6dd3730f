package tune

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
)

// The thresholds that the simulation finds keep the promise there, are no
// slower than the formula's where that has room, and are the same whoever runs
// it; and the report says how they came about.
func TestRefine(t *testing.T) {
	if testing.Short() {
		t.Skip("some millions of simulated calls")
	}
	s := described()
	s.Rate = 400
	refined := func(workers int) *Recommendation {
		f := Describe(s, "x")
		r := recommend(t, f, Wishes{FalseEjections: 1, Per: span(5e3 / f.Rate), Broken: 1})
		formula := r.Promise
		if err := r.Refine(t.Context(), Runs{Workers: workers}); err != nil {
			t.Fatal(err)
		}
		if r.Refined == nil || r.Refined.False > spared || r.Refined.Upper > r.Refined.Rate || r.Refined.Healthy < trials/r.Refined.Rate/2 {
			t.Fatalf("%+v", r.Refined)
		}
		if r.Settings.Ejection.FalseAlarm > 10*formula.Settings.Ejection.FalseAlarm || r.Promise.Time.P99 > 1.3*formula.Time.P99 {
			t.Errorf("p99 %v with %+v, %v by formula", r.Promise.Time.P99, r.Settings.Ejection, formula.Time.P99)
		}
		return r
	}
	one, two := refined(1), refined(2)
	a, _ := json.Marshal(one.Refined)
	b, _ := json.Marshal(two.Refined)
	if string(a) != string(b) || one.Settings.Ejection != two.Settings.Ejection {
		t.Errorf("the same seeds came to\n%s\nand\n%s", a, b)
	}
	said := false
	for _, s := range one.Steps {
		said = said || s.Field == "ejection.falseAlarm" && strings.Contains(s.With, "by formula alone")
	}
	if !said {
		t.Errorf("nothing is said of the simulation: %+v", one.Steps)
	}
}

// Where failures come together in the data as they do in no simulation, the
// formula's threshold is not lowered; where they can be made to, they are.
func TestRefineReproduces(t *testing.T) {
	for _, row := range []struct {
		follow     float64
		reproduced bool
	}{{0, true}, {.3, true}, {.3, false}} {
		f := Describe(described(), "x")
		if row.follow > 0 {
			f.Follow = []float64{row.follow}
		}
		if !row.reproduced { // no burst of the simulation lasts
			f.Dispersion = 40
		}
		r := &Recommendation{Facts: f, Wishes: Wishes{Broken: .5}.withDefaults(), Settings: resilience.Settings{AttemptTimeout: time.Second}}
		x := &refinement{r: r, ctx: t.Context(), runs: Runs{Seed: 1, Workers: 1}, asked: leastRate, rate: leastRate}
		if err := x.prepare(); err != nil {
			t.Fatal(err)
		}
		if x.reproduced != row.reproduced {
			t.Errorf("%+v: %v, with %+v", row, x.reproduced, x.world.Methods)
		}
		if b := x.world.Methods[0].Burst; row.follow == 0 && b != 1 || row.follow > 0 && b <= 1 {
			t.Errorf("%+v: bursts of %v", row, b)
		}
	}
}

// Where less is asked than can be counted, the formula's threshold stays as
// long as it keeps the promise with what the formula was found to err by; a
// lower one has to keep it with room.
func TestRefineSettles(t *testing.T) {
	f := Describe(described(), "x")
	r := recommend(t, f, Wishes{Broken: 1}.withDefaults())
	asked := 1 / (f.Rate * week.Seconds())
	x := &refinement{r: r, asked: asked, rate: leastRate}
	excess := r.Settings.Ejection.Excess
	own, at := x.start(excess, asked), x.start(excess, leastRate)
	if alarms[own] != r.Settings.Ejection.FalseAlarm || at >= own {
		t.Fatalf("%v at %v, %v at %v; the formula has %+v", own, asked, at, leastRate, r.Settings.Ejection)
	}
	room := poissonUpper(spared) / trials * asked
	keeps := asked / x.predicted(excess, alarms[own]) // times the formula's rate that its threshold keeps the promise with
	for _, times := range []float64{.01, .5, .7 * keeps, .99 * keeps, 1.01 * keeps, 100 * keeps} {
		s := &trial{excess: excess, at: at, row: Row{Upper: times * x.predicted(excess, alarms[at]) * 1e6}}
		x.settle(s)
		i := slices.Index(alarms, s.alarm)
		if s.slower != (times > keeps) || s.slower != (i > own) {
			t.Errorf("× %.3g: %v, slower %v; the formula has %v, which stands × %.3g", times, s.alarm, s.slower, alarms[own], keeps)
		}
		if p := s.ratio * x.predicted(excess, s.alarm); p > asked || p > room && i < own {
			t.Errorf("× %.3g: %v has %.3g false ejections a call, %.3g are asked", times, s.alarm, p, asked)
		}
	}
}
