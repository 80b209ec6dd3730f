package tune

import (
	"encoding/json"
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
		x := &refinement{r: r, ctx: t.Context(), runs: Runs{Seed: 1, Workers: 1}, rate: leastRate}
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
