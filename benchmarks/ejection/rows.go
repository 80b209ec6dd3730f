package ejection

import (
	"context"
	"math"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
)

// Options of a run of the table.
type Options struct {
	Seeds    int    // runs of each row
	Seed     uint64 // of the first
	Workers  int    // runs at a time
	Settings resilience.Settings
	Rows     *regexp.Regexp // which; nil: all
}

func (o Options) wants(row string) bool { return o.Rows == nil || o.Rows.MatchString(row) }

// Detection is a row of the table of detections.
type Detection struct {
	Name           string
	Nodes, Ill     int
	P50, P99       float64 // calls to eject; +Inf: not in a run's time
	MsP50, MsP99   float64
	Missed         float64 // share of ill nodes that were never ejected
	FalseEjections int     // healthy nodes ejected
	Failed         float64 // share of calls that failed
	Want50, Want99 float64 // the design's figures; 0: none
}

// False is a row of the table of false ejections.
type False struct {
	Name         string  `json:"name"`
	Attempts     int     `json:"attempts"`
	Ejections    int     `json:"ejections"`
	PerMillion   float64 `json:"perMillion"` // ejections per million attempts
	Upper        float64 `json:"upper"`      // of its 95 % confidence interval
	Runs         int     `json:"runs"`
	RunsWithAny  float64 `json:"runsWithAny"`  // share of runs with any ejection
	RunsUpper    float64 `json:"runsUpper"`    // of its 95 % confidence interval
	Want         float64 `json:"want"`         // the design's figure: per million attempts, or …
	WantRuns     float64 `json:"wantRuns"`     // … share of runs
	PerBurst     bool    `json:"perBurst"`     // per 800 bursts, not per million attempts
	CountsByRuns bool    `json:"countsByRuns"` // judged by RunsWithAny
}

type detectRow struct {
	name       string
	nodes, ill int
	fault      fault
	span       time.Duration
	w50, w99   float64 // the design's figures; 0: it has none for this row
	rate       float64 // calls a second, per node; 0: RatePerNode
}

var detectRows = []detectRow{
	{"crash, N=5", 5, 1, fault{dead: true}, 12 * time.Second, 6, 10, 0},
	{"crash, N=2", 2, 1, fault{dead: true}, 12 * time.Second, 7, 12, 0},
	{"crash of 2 of 5", 5, 2, fault{dead: true}, 12 * time.Second, 6, 11, 0},
	{"answers 500 to all, N=5", 5, 1, fault{p: 1}, 12 * time.Second, 0, 0, 0},
	{"answers 500 to all, N=2", 2, 1, fault{p: 1}, 12 * time.Second, 0, 0, 0},
	{"30 % errors, N=5", 5, 1, fault{p: .3}, 12 * time.Second, 30, 78, 0},
	{"30 % errors on 2 of 5", 5, 2, fault{p: .3}, 12 * time.Second, 31, 79, 0},
	{"hang, N=5", 5, 1, fault{hang: forGood}, 12 * time.Second, 6, 10, 0},
	{"hang, N=5, 10 calls/s a node", 5, 1, fault{hang: forGood}, 30 * time.Second, 4, 6, 10},
	{"hang, N=2", 2, 1, fault{hang: forGood}, 12 * time.Second, 0, 0, 0},
	{"hang of 2 of 5", 5, 2, fault{hang: forGood}, 12 * time.Second, 0, 0, 0},
}

// detectRuns is how many times as many runs the rows with an ill node take: they
// are short, and the p99 of 400 runs is the fourth worst of them, which chance
// moves by a tenth.
const detectRuns = 3

// Detections runs the rows with an ill node.
func Detections(o Options) ([]Detection, error) {
	o.Seeds *= detectRuns
	out := []Detection{}
	for _, row := range detectRows {
		if !o.wants(row.name) {
			continue
		}
		worlds, err := each(o, row.nodes, row.rate, func(w *world) {
			w.fault = func(node, _ int, _ time.Duration) fault {
				if node < row.ill {
					return row.fault
				}
				return fault{p: background}
			}
			w.run(func() {
				w.load(row.span, func() bool { return !slices.Contains(w.ejected[:row.ill], 0) })
			})
		})
		if err != nil {
			return nil, err
		}
		d := Detection{Name: row.name, Nodes: row.nodes, Ill: row.ill, Want50: row.w50, Want99: row.w99}
		var calls, ms []float64
		missed, callsMade, failed := 0, 0, 0
		for _, w := range worlds {
			for i := range w.ejected {
				switch {
				case i >= row.ill:
					if w.ejected[i] > 0 {
						d.FalseEjections++
					}
				case w.ejected[i] == 0:
					missed++
					calls, ms = append(calls, math.Inf(1)), append(ms, math.Inf(1))
				default:
					calls = append(calls, float64(w.ejected[i]))
					ms = append(ms, float64(w.when[i])/1e6)
				}
			}
			callsMade, failed = callsMade+w.calls, failed+w.failed
		}
		d.P50, d.P99 = quantile(calls, .5), quantile(calls, .99)
		d.MsP50, d.MsP99 = quantile(ms, .5), quantile(ms, .99)
		d.Missed = float64(missed) / float64(len(calls))
		d.Failed = float64(failed) / float64(callsMade)
		out = append(out, d)
	}
	return out, nil
}

type falseRow struct {
	name     string
	nodes    int
	span     time.Duration
	fault    func(node, method int) fault
	burst    int // failures in a burst; 0: no bursts
	want     float64
	runs     bool    // judge by the share of runs with any
	wantRuns float64 // that share
}

func all(p float64) func(int, int) fault { return func(int, int) fault { return fault{p: p} } }

var falseRows = []falseRow{
	{name: "all nodes at 0.1 %", nodes: 5, span: 20 * time.Second, fault: all(.001)},
	{name: "all nodes at 1 %", nodes: 5, span: 20 * time.Second, fault: all(.01)},
	{name: "all at 10 %", nodes: 5, span: 20 * time.Second, fault: all(.1), want: .1},
	{name: "all at 30 %", nodes: 5, span: 20 * time.Second, fault: all(.3)},
	{name: "all at 50 %", nodes: 5, span: 20 * time.Second, fault: all(.5)},
	{name: "one method (15 % of calls) always fails", nodes: 5, span: 20 * time.Second, fault: func(_, m int) fault {
		if m == len(methods)-1 {
			return fault{p: 1}
		}
		return fault{p: background}
	}},
	{name: "unequal nodes 0.2–4 %", nodes: 5, span: 20 * time.Second, fault: func(n, _ int) fault {
		return fault{p: []float64{.002, .005, .01, .02, .04}[n]}
	}},
	{name: "whole fleet starts at 10 %", nodes: 5, span: 4 * time.Second, fault: all(.1), runs: true, wantRuns: .004},
	{name: "whole fleet starts at 30 %", nodes: 5, span: 4 * time.Second, fault: all(.3), runs: true},
	{name: "whole fleet starts at 100 %", nodes: 5, span: 4 * time.Second, fault: all(1), runs: true},
	{name: "one node pauses for 300 ms", nodes: 5, span: 4 * time.Second, fault: func(n, _ int) fault {
		if n == 0 {
			return fault{p: background, hang: 300 * time.Millisecond}
		}
		return fault{p: background}
	}, runs: true, wantRuns: .01},
	{name: "all nodes pause for 300 ms", nodes: 5, span: 4 * time.Second, fault: func(int, int) fault {
		return fault{p: background, hang: 300 * time.Millisecond}
	}, runs: true, wantRuns: .01},
	{name: "bursts of 20 failures within 1 ms", nodes: 5, burst: 20, fault: all(background)},
	{name: "bursts of 200 failures within 1 ms", nodes: 5, burst: 200, fault: all(background)},
}

// burstsPerRun: 200 seeds make 800 bursts.
const burstsPerRun = 4

// Falses runs the rows in which no node is worse than the others.
func Falses(o Options) ([]False, error) {
	out := []False{}
	for _, row := range falseRows {
		if !o.wants(row.name) {
			continue
		}
		worlds, err := each(o, row.nodes, 0, func(w *world) {
			w.fault = func(node, method int, _ time.Duration) fault { return row.fault(node, method) }
			w.run(func() {
				if row.burst == 0 {
					w.load(row.span, nil)
					return
				}
				span := burstsPerRun * time.Second
				w.clk.Go(func() { w.load(span, nil) })
				_ = w.clk.Sleep(context.Background(), warmUp)
				for i := range burstsPerRun {
					w.burst(i%row.nodes, row.burst)
					_ = w.clk.Sleep(context.Background(), 800*time.Millisecond)
				}
			})
		})
		if err != nil {
			return nil, err
		}
		f := False{Name: row.name, Runs: len(worlds), Want: row.want, WantRuns: row.wantRuns, CountsByRuns: row.runs, PerBurst: row.burst > 0}
		with := 0
		for _, w := range worlds {
			f.Attempts += w.total
			f.Ejections += w.events
			if w.events > 0 {
				with++
			}
		}
		scale := 1e6 / float64(f.Attempts)
		if f.PerBurst {
			scale = 800 / float64(f.Runs*burstsPerRun)
		}
		f.PerMillion = float64(f.Ejections) * scale
		f.Upper = poissonUpper(f.Ejections) * scale
		f.RunsWithAny = float64(with) / float64(f.Runs)
		f.RunsUpper = poissonUpper(with) / float64(f.Runs)
		out = append(out, f)
	}
	return out, nil
}

// each runs one world per seed, o.Workers at a time, and returns them in the
// order of their seeds.
func each(o Options, nodes int, rate float64, run func(*world)) ([]*world, error) {
	worlds, errs := make([]*world, o.Seeds), make([]error, o.Seeds)
	next := make(chan int)
	var wg sync.WaitGroup
	for range max(o.Workers, 1) {
		wg.Go(func() {
			for i := range next {
				w, err := newWorld(nodes, rate, o.Seed+uint64(i), o.Settings)
				if err != nil {
					errs[i] = err
					continue
				}
				run(w)
				worlds[i] = w
			}
		})
	}
	for i := range o.Seeds {
		next <- i
	}
	close(next)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return worlds, nil
}

// quantile is the smallest value with at least a share of q at or below it.
func quantile(x []float64, q float64) float64 {
	slices.Sort(x)
	i := int(math.Ceil(q*float64(len(x)))) - 1
	return x[max(i, 0)]
}

// poissonUpper is the upper end of the two-sided 95 % interval of a Poisson
// mean after k events (Wilson and Hilferty's approximation of the χ² quantile,
// exact for k = 0).
func poissonUpper(k int) float64 {
	if k == 0 {
		return -math.Log(.025)
	}
	n := float64(k + 1)
	return n * math.Pow(1-1/(9*n)+1.96/(3*math.Sqrt(n)), 3)
}
