package tune

import (
	"cmp"
	"math"
	"slices"

	"github.com/holdfast-go/holdfast/resilience"
)

// Point is a setting in the plane of the two prices.
type Point struct {
	Name       string  `json:"name,omitempty"`
	FalseAlarm float64 `json:"falseAlarm"`
	Excess     float64 `json:"excess"`
	P99        Number  `json:"p99Seconds"`
	False      Number  `json:"falseEjections"` // in Wishes.Per
}

// Sensitive is what becomes of the promise when something is otherwise.
type Sensitive struct {
	What  string `json:"what"`
	P99   Number `json:"p99Seconds"`
	False Number `json:"falseEjections"`
}

var (
	frontAlarms   = []float64{1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e12, 1e14}
	frontExcesses = []float64{.1, .2, 1. / 3, .5, .7, .9}
)

// front is the settings that no other beats in both prices, by the formulae:
// in order of the time to eject. All have the recommended baseline.
func (r *Recommendation) front() (list []Point) {
	var all []Point
	for _, a := range frontAlarms {
		for _, x := range append([]float64{r.Settings.Ejection.Excess}, frontExcesses...) {
			s := r.Settings
			s.Ejection.FalseAlarm, s.Ejection.Excess = a, x
			if p := r.predict(r.Facts, r.Wishes, s); !math.IsInf(float64(p.Time.P99), 0) {
				all = append(all, Point{FalseAlarm: a, Excess: round(x, 3), P99: p.Time.P99, False: p.False})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Point) int {
		return cmp.Or(cmp.Compare(a.P99, b.P99), cmp.Compare(a.False, b.False))
	})
	best := Number(math.Inf(1))
	for _, p := range all {
		if p.False < best {
			list, best = append(list, p), p.False
		}
	}
	return list
}

func point(name string, p Promise) Point {
	e := p.Settings.Ejection
	orElse(&e.FalseAlarm, 1e6)
	orElse(&e.Excess, 1./3)
	return Point{Name: name, FalseAlarm: e.FalseAlarm, Excess: round(e.Excess, 3), P99: p.Time.P99, False: p.False}
}

// sensitivity is what the promise becomes when a setting, or what was
// measured, is otherwise.
func (r *Recommendation) sensitivity() (list []Sensitive) {
	add := func(what string, change func(f *Facts, w *Wishes, s *resilience.Settings)) {
		f, w, s := *r.Facts, r.Wishes, r.Settings
		change(&f, &w, &s)
		p := r.predict(&f, w, s)
		list = append(list, Sensitive{What: what, P99: p.Time.P99, False: p.False})
	}
	add("as recommended", func(*Facts, *Wishes, *resilience.Settings) {})
	add("falseAlarm × 10", func(_ *Facts, _ *Wishes, s *resilience.Settings) { s.Ejection.FalseAlarm *= 10 })
	add("falseAlarm ÷ 10", func(_ *Facts, _ *Wishes, s *resilience.Settings) { s.Ejection.FalseAlarm /= 10 })
	add("baseline × 2", func(_ *Facts, _ *Wishes, s *resilience.Settings) { s.Ejection.Baseline *= 2 })
	add("excess × 1.5", func(_ *Facts, _ *Wishes, s *resilience.Settings) { s.Ejection.Excess = min(.9, 1.5*s.Ejection.Excess) })
	add("excess ÷ 1.5", func(_ *Facts, _ *Wishes, s *resilience.Settings) { s.Ejection.Excess /= 1.5 })
	add("healthy nodes fail twice as often", func(f *Facts, _ *Wishes, _ *resilience.Settings) {
		f.Normal.Value, f.Worst.High = 2*f.Normal.Value, 2*f.Worst.High
	})
	add("half the traffic", func(f *Facts, _ *Wishes, _ *resilience.Settings) { f.PairRate, f.Rate = f.PairRate/2, f.Rate/2 })
	add("at the median client's traffic", func(f *Facts, _ *Wishes, _ *resilience.Settings) { f.PairRate = f.PairMedian })
	add("failures twice as dispersed", func(f *Facts, _ *Wishes, _ *resilience.Settings) { f.Dispersion *= 2 })
	if q := r.Wishes.Broken; q < .95 {
		add("the node fails all calls", func(_ *Facts, w *Wishes, _ *resilience.Settings) { w.Broken = 1 })
		add("the node fails a fifth less than broken", func(_ *Facts, w *Wishes, _ *resilience.Settings) { w.Broken *= .8 })
	}
	return list
}
