package tune

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sort"

	"github.com/holdfast-go/holdfast/benchmarks/sim"
	"github.com/holdfast-go/holdfast/benchmarks/trace"
	"github.com/holdfast-go/holdfast/resilience"
	recorded "github.com/holdfast-go/holdfast/resilience/trace"
)

// Refined is what the simulation made of the formula's thresholds.
type Refined struct {
	FalseAlarm float64 `json:"falseAlarm"` // by the formula
	Excess     float64 `json:"excess"`     // by the formula
	Rate       float64 `json:"rate"`       // false ejections a call for which the threshold was sought
	Healthy    float64 `json:"healthyCalls"`
	False      int     `json:"falseEjections"` // in them, with the settings
	Upper      float64 `json:"upper"`          // 95 % bound of the rate
	P50        Number  `json:"p50Seconds"`     // a broken node, in these runs
	P99        Number  `json:"p99Seconds"`
	Ratio      float64 `json:"ratio"`      // Upper / the formula's rate
	Reproduced bool    `json:"reproduced"` // failures come in clusters there as they do in the data
	Tried      int     `json:"tried"`      // settings
}

// What is simulated to find a threshold.
const (
	leastRate = 1e-5 // false ejections a call: fewer are not counted in reasonable time, and extrapolated to
	trials    = 12.  // such calls, in units of 1/rate
	spared    = 3    // false ejections in these, at most: a quarter of what is tolerated, with a 95 % bound of 0.65
	parts     = 8    // of the runs of a setting, between which it may be given up
	leastGain = .1   // of the formula's rate, where the rate is extrapolated to
	youth     = 256  // calls of a client at a node before one falls ill
)

// Refine replaces the thresholds by those with which a broken node is ejected
// soonest in simulated runs, of those whose false ejections keep the promise
// there. The formulae are exact for failures that are independent; where they
// come in bursts the formulae overrate some and underrate others, which is seen
// only by running them.
func (r *Recommendation) Refine(ctx context.Context, runs Runs) error {
	orElse(&runs.Seed, 1)
	orElse(&runs.Workers, runtime.GOMAXPROCS(0))
	calls := r.Facts.Rate * r.Wishes.Per.Seconds()
	asked := r.Wishes.FalseEjections / calls
	x := &refinement{r: r, ctx: ctx, runs: runs, asked: asked, rate: max(asked, leastRate)}
	if err := x.prepare(); err != nil {
		return err
	}
	formula := r.Settings.Ejection
	contrasts, err := x.contrasts()
	if err != nil {
		return err
	}
	var best *trial
	for _, excess := range contrasts {
		t, err := x.search(excess)
		if err != nil {
			return err
		}
		if t == nil {
			continue
		}
		x.settle(t)
		if best == nil || !t.slower {
			best = t
		}
		if !t.slower {
			break
		}
	}
	if best == nil {
		return nil // the formula's stay
	}
	e := &r.Settings.Ejection
	e.Excess, e.FalseAlarm = best.excess, best.alarm
	r.Refined = &Refined{
		FalseAlarm: formula.FalseAlarm, Excess: formula.Excess, Rate: x.rate,
		Healthy: best.row.Healthy, False: best.row.False, Upper: best.row.Upper / 1e6, P50: best.row.P50, P99: best.row.P99,
		Ratio: best.ratio, Reproduced: x.reproduced, Tried: x.tried,
	}
	r.explain(asked)
	r.promise()
	return nil
}

// explain says so beside the formulae.
func (r *Recommendation) explain(asked float64) {
	e, f := r.Settings.Ejection, r.Refined
	for i := range r.Steps {
		s := &r.Steps[i]
		switch s.Field {
		case "ejection.falseAlarm":
			s.Value = fmt.Sprintf("%.2g", e.FalseAlarm)
			s.Formula += "; and then the least of which a simulation has at most a quarter of what is tolerated"
			s.With += fmt.Sprintf("; by formula alone %.2g; simulated, %d settings: %d false in %.3g calls, 95 %% bound %.2g a call, tolerated %.2g",
				f.FalseAlarm, f.Tried, f.False, f.Healthy, f.Upper, f.Rate)
			if asked < .99*f.Rate {
				s.With += fmt.Sprintf("; from there to %.2g by the formula × %.2g", asked, f.Ratio)
			}
			if !f.Reproduced {
				s.With += "; failures come together in the data more than in any simulation, so no less than the formula's"
			}
		case "ejection.excess":
			s.Value = fmt.Sprint(e.Excess)
			if e.Excess != f.Excess {
				s.With += fmt.Sprintf("; by formula alone %.3g: in the simulation %.3g was quicker", f.Excess, e.Excess)
			}
		}
	}
}

// refinement is Refine at work.
type refinement struct {
	r          *Recommendation
	ctx        context.Context
	runs       Runs
	asked      float64 // false ejections a call that are tolerated
	rate       float64 // and that are looked for: enough to be counted
	world      sim.System
	reproduced bool
	tried      int
}

// trial is a setting that was run.
type trial struct {
	excess float64
	at     int // of alarms
	row    Row

	alarm  float64 // what follows for the data
	ratio  float64 // the bound of the false ejections over the formula's
	slower bool    // than the formula's threshold
}

// predicted is the formula's false ejections a call.
func (x *refinement) predicted(excess, alarm float64) float64 {
	f, s := x.r.Facts, x.r.Settings
	s.Ejection.Excess, s.Ejection.FalseAlarm = excess, alarm
	return f.falseEjections(Wishes{Per: 1e9}, s.Ejection, f.Worst.High+f.cutBy(s)) / f.Rate
}

// start is the threshold at which the formula promises a third of a rate.
func (x *refinement) start(excess, rate float64) int {
	return sort.Search(len(alarms)-1, func(i int) bool { return x.predicted(excess, alarms[i]) <= rate/margin })
}

// contrasts are those to try, the quicker one first: the formula's, and all
// that broken is above normal.
func (x *refinement) contrasts() ([]float64, error) {
	e := x.r.Settings.Ejection
	all := round(max(min((x.r.Wishes.Broken-e.Baseline)/(1-e.Baseline), .9), .01), 3)
	if all == e.Excess {
		return []float64{all}, nil
	}
	own, err := x.pace(e.Excess)
	if err != nil {
		return nil, err
	}
	its, err := x.pace(all)
	if its < own {
		return []float64{all, e.Excess}, err
	}
	return []float64{e.Excess, all}, err
}

// pace is the mean, in the logarithm, of the median time to eject and its p99,
// with the threshold with which the formula promises what is asked.
func (x *refinement) pace(excess float64) (float64, error) {
	list, err := x.run(excess, x.start(excess, x.asked), 0)
	row := rowOf("", x.world, list, 0)
	return math.Sqrt(float64(row.P50 * row.P99)), err
}

// search finds the lowest threshold that keeps the promise; nil: none does.
func (x *refinement) search(excess float64) (*trial, error) {
	start := x.start(excess, x.rate)
	var found *trial
	low, high := -1, len(alarms) // the highest that does not, the lowest that does
	if !x.reproduced {
		low = start - 1
	}
	for at := start; low+1 < high && low+1 < len(alarms); {
		t, err := x.try(excess, at)
		if err != nil {
			return nil, err
		}
		if t != nil {
			found, high = t, at
		} else {
			low = at
		}
		if high == len(alarms) {
			at = min(low+2, len(alarms)-1)
		} else {
			at = (low + high) / 2
		}
	}
	return found, nil
}

// settle takes what was found to what is asked: where that is less than can be
// counted, the rest is the formula's, times what it was found to err by. Less
// than the formula's threshold has to keep the promise with room, that one has
// to keep it.
func (x *refinement) settle(t *trial) {
	own, at := x.start(t.excess, x.asked), t.at
	t.ratio = t.row.Upper / 1e6 / x.predicted(t.excess, alarms[at])
	if x.asked < .99*x.rate {
		t.ratio = max(t.ratio, leastGain)
		for ; at < len(alarms)-1; at++ {
			p := t.ratio * x.predicted(t.excess, alarms[at])
			if p <= poissonUpper(spared)/trials*x.asked || at >= own && p <= x.asked {
				break
			}
		}
	}
	t.alarm, t.slower = alarms[at], at > own
}

// run makes one part of the runs of a setting.
func (x *refinement) run(excess float64, at, part int) ([]*sim.Result, error) {
	s, runs := x.r.Settings, x.runs
	s.Ejection.Excess, s.Ejection.FalseAlarm = excess, alarms[at]
	seeds := trials / x.rate / parts / (x.world.Rate * x.world.Total().Seconds())
	each := max(int(math.Ceil(seeds)), 1)
	runs.Seed += uint64(part * each)
	b := &batch{ctx: x.ctx, runs: runs}
	j := b.add(x.world, []sim.Client{{Stack: sim.Holdfast, Settings: s}}, each)
	if err := b.run(); err != nil {
		return nil, err
	}
	return j.byClient()[0], nil
}

// try runs a setting; nil: it does not keep the promise.
func (x *refinement) try(excess float64, at int) (*trial, error) {
	x.tried++
	var all []*sim.Result
	for part := range parts {
		list, err := x.run(excess, at, part)
		if err != nil {
			return nil, err
		}
		if all = append(all, list...); rowOf("", x.world, all, 0).False > spared {
			return nil, nil
		}
	}
	row := rowOf(recommended, x.world, all, 0)
	if row.Upper/1e6 > x.rate || math.IsInf(float64(row.P99), 0) {
		return nil, nil
	}
	return &trial{excess: excess, at: at, row: row}, nil
}

// prepare makes the world: a record of it measures as the data do, in how often
// healthy nodes fail (the 95 % bound of it) and in how failures come together. A
// node that differs for sure differs there as well.
func (x *refinement) prepare() error {
	f := x.r.Facts
	s := f.system(Predict(f, x.r.Wishes, x.r.Settings), x.r.Wishes)
	s.Warm = span(youth / f.PairRate)
	s.Faults[0].At = s.Warm
	perPair := s.Total().Seconds() * f.PairRate
	s.Clients = int(min(max(runCalls/perPair/float64(s.Nodes), 1), float64(f.Clients)))
	s.Rate = f.PairRate * float64(s.Clients*s.Nodes)
	i, clustered, err := 0, f.variance() > 1.02, error(nil)
	got := f
	if clustered {
		i = sort.Search(len(bursts)-1, func(i int) bool {
			if err == nil {
				got, err = x.fit(s, bursts[i], true)
			}
			return got.variance() >= .95*f.variance()
		})
	}
	if err == nil {
		got, err = x.fit(s, bursts[i], clustered)
	}
	// Two variances that are measured differ by so much by chance.
	chance := z95 * math.Hypot(f.varianceError(), got.varianceError())
	x.reproduced = got.variance() >= f.variance()-chance
	if more := f.Worst.High - f.Normal.High; more > 0 && f.Worst.Node != "" {
		x.world.Faults = append(x.world.Faults, sim.Fault{
			For: x.world.Total(), Do: sim.Sicken, Nodes: []int{1}, Errors: more, Innocent: true,
		})
	}
	return err
}

// bursts are how many failures there are in one, of which a client at a node
// meets those that fall into its calls.
var bursts = []float64{1, 1.25, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48}

// fit makes x.world of s, with bursts of so many failures, and returns what is
// measured there.
func (x *refinement) fit(s sim.System, burst float64, measured bool) (*Facts, error) {
	f := x.r.Facts
	got := f
	s.Methods = slices.Clone(s.Methods)
	scale := 1.
	for range 2 {
		for i, m := range f.methods() {
			p := f.Normal.High * scale
			if f.Normal.Value > 0 {
				p *= m.Rate / f.Normal.Value
			}
			s.Methods[i].Errors, s.Methods[i].Burst = min(p*burst/(1+p*(burst-1)), .5), burst
		}
		x.world = s
		if !measured {
			break
		}
		set, err := recordOf(s, x.runs.Seed)
		if err != nil {
			return f, err
		}
		got = Measure(set, "")
		if got.Normal.Value <= 0 {
			break
		}
		scale *= f.Normal.High / got.Normal.Value
	}
	return got, nil
}

// recordOf runs a system, healthy, with default settings, and returns what its
// clients recorded.
func recordOf(s sim.System, seed uint64) (*trace.Set, error) {
	s.Faults = nil
	s.Warm, s.Fault, s.Recover = span(recordedCalls/s.Rate), 1e6, 1e6
	var list []recorded.Record
	_, err := sim.Watch(s, seed, func(client int) resilience.Observer {
		name := fmt.Sprint("client-", client)
		return resilience.ObserverFunc(func(e resilience.Event) {
			if x, ok := recorded.Of(e); ok {
				x.Client = name
				list = append(list, x)
			}
		})
	})
	return trace.Of(list), err
}
