package tune

import (
	"context"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/sim"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// Runs says how much is simulated.
type Runs struct {
	Seeds   int    // runs of each setting. Default 200
	Seed    uint64 // of the first. Default 1
	Workers int    // runs at a time. Default: the processors
	Present resilience.Settings

	Progress func(done, all int) // if not nil, hears how it stands; on any goroutine
}

// Check is what the simulation says.
type Check struct {
	Seeds       int        `json:"seeds"`
	Seed        uint64     `json:"seed"`
	System      sim.System `json:"system"` // what was run
	Calls       int        `json:"calls"`
	Rows        []Row      `json:"rows"` // the recommended settings, the present ones, the peers' defaults
	FalseAlarms []Sparse   `json:"falseAlarms"`
	Limits      []Limit    `json:"limits"`
}

// extra is the share of the seeds that all but the main table takes.
const extra = 5

// Row is what one setting comes to.
type Row struct {
	Name      string  `json:"name"`
	False     int     `json:"falseEjections"`
	Healthy   float64 `json:"healthyCalls"`         // attempts at healthy nodes
	Million   float64 `json:"falsePerMillion"`      // of these
	Upper     float64 `json:"falsePerMillionUpper"` // its 95 % bound
	Seen      int     `json:"seen"`                 // a client whose node was ill
	Ejected   int     `json:"ejected"`              // of these, it ejected it
	P50       Number  `json:"p50Seconds"`
	P99       Number  `json:"p99Seconds"`
	P50Error  float64 `json:"p50ErrorSeconds"` // standard error of the median
	Within    float64 `json:"within"`          // share that ejected it within the promise's p99
	Failed    float64 `json:"failed"`          // share of the calls
	LatencyMs float64 `json:"p99Ms"`           // of calls in the fault, the median of the runs

	DominatedBy string `json:"dominatedBy,omitempty"`
}

// Sparse is false alarms where they are frequent enough to be counted: with
// thresholds lower than the recommended one.
type Sparse struct {
	FalseAlarm float64 `json:"falseAlarm"`
	Healthy    float64 `json:"healthyCalls"`
	False      int     `json:"falseEjections"`
	Most       float64 `json:"most"` // that the formula promises, on average
}

// Limit is how far the recommendation carries where what it assumes is not
// so.
type Limit struct {
	What   string `json:"what"`
	Result string `json:"result"`
}

// Names of rows.
const (
	recommended = "recommended"
	present     = "present"
)

// fivePeers are the breakers that the recommendation is held against, with
// their defaults.
var fivePeers = []string{"gobreaker", "hystrix", "failsafe", "circuit", "go-resiliency"}

// Bounds of what is simulated: more says no more.
const (
	runCalls   = 6000 // of a run
	mostNodes  = 30
	warmCalls  = 64  // of a client at a node, before anything happens
	faultCalls = 600 // at most
)

// system makes a world of the facts: as many nodes, fewer clients, each with
// the traffic of the slowest tenth, and no queues: nothing is known of them.
func (f *Facts) system(p Promise, w Wishes) sim.System {
	s := sim.System{
		Name: f.Source, Nodes: min(f.Nodes, mostNodes), Wire: -1,
		Service: sim.Service{Sample: f.Latency.Sample, Mean: max(f.Latency.P50, 1)},
		Timeout: max(2*time.Second, 4*p.Settings.AttemptTimeout, 4*f.Latency.P999),
	}
	for _, m := range f.methods() {
		s.Methods = append(s.Methods, sim.Method{
			Name: m.Name, Share: m.Share, Kind: retry.Safe, Errors: min(m.Rate*f.BurstMean, 1), Burst: max(1, f.BurstMean),
		})
	}
	fault := 2 * float64(p.Time.P99)
	if math.IsInf(fault, 0) || fault*f.PairRate > faultCalls {
		fault = faultCalls / f.PairRate
	}
	s.Warm = span(warmCalls / f.PairRate)
	s.Fault, s.Recover = span(max(fault, 10*f.Latency.P99.Seconds())), time.Millisecond
	perPair := s.Total().Seconds() * f.PairRate
	s.Clients = int(min(max(runCalls/perPair/float64(s.Nodes), 1), float64(f.Clients)))
	s.Rate = f.PairRate * float64(s.Clients*s.Nodes)
	s.Faults = []sim.Fault{{At: s.Warm, Do: sim.Sicken, Nodes: []int{0}, Errors: w.Broken}}
	return s
}

func span(seconds float64) time.Duration {
	return max(time.Duration(min(seconds, 1e8)*float64(time.Second)), time.Millisecond)
}

// maxMethods is how many methods are told apart; the rest is one more.
const maxMethods = 8

func (f *Facts) methods() []Method {
	list := slices.Clone(f.Methods)
	if len(list) <= maxMethods {
		return list
	}
	rest := Method{Name: "(others)"}
	for _, m := range list[maxMethods:] {
		rest.Rate += m.Rate * m.Share
		rest.Share += m.Share
	}
	rest.Rate /= max(rest.Share, 1e-12)
	return append(list[:maxMethods:maxMethods], rest)
}

// Check runs the recommendation.
func (r *Recommendation) Check(ctx context.Context, runs Runs) (*Check, error) {
	orElse(&runs.Seeds, 200)
	orElse(&runs.Seed, 1)
	orElse(&runs.Workers, runtime.GOMAXPROCS(0))
	s := r.Facts.system(r.Promise, r.Wishes)
	c := &Check{Seeds: runs.Seeds, Seed: runs.Seed, System: s}
	clients := []sim.Client{{Stack: sim.Holdfast, Settings: r.Settings}, {Stack: sim.Holdfast, Settings: runs.Present}}
	for _, p := range fivePeers {
		clients = append(clients, sim.Client{Stack: p})
	}
	b := &batch{ctx: ctx, runs: runs}
	main := b.add(s, clients, runs.Seeds)
	alarms := r.planAlarms(b, s)
	limits := r.planLimits(b, s)
	if err := b.run(); err != nil {
		return nil, err
	}
	for i, list := range main.byClient() {
		row := rowOf(clients[i].Stack, s, list, float64(r.Promise.Time.P99))
		c.Rows = append(c.Rows, row)
	}
	c.Rows[0].Name, c.Rows[1].Name = recommended, present
	for i := range c.Rows {
		c.Rows[i].DominatedBy = dominatedBy(c.Rows[i], c.Rows)
	}
	c.FalseAlarms, c.Limits = alarms(), limits()
	c.Calls = int(b.calls.Load())
	return c, nil
}

// dominatedBy is a peer that is at least as good in both, and better in one for
// sure (95 %): false ejections, and the time to eject, which is the median as
// everywhere in the benchmarks. A setting that does not eject is not better for
// having no false ejections.
func dominatedBy(row Row, all []Row) string {
	for _, o := range all {
		if o.Name == row.Name || !slices.Contains(fivePeers, o.Name) || math.IsInf(float64(o.P50), 0) {
			continue
		}
		if o.Million <= row.Million && o.P50 <= row.P50 && (fewer(o, row) || quicker(o, row)) {
			return o.Name
		}
	}
	return ""
}

// z975 is of the normal distribution, two-sided 95 %.
const z975 = 1.96

// quicker reports whether the medians differ by more than chance explains.
func quicker(a, b Row) bool {
	return float64(b.P50-a.P50) > z975*math.Hypot(a.P50Error, b.P50Error)
}

// fewer reports whether a has fewer false ejections in its calls than chance
// explains: given their sum, those of a are binomial if the rates are the same.
func fewer(a, b Row) bool {
	n, share := a.False+b.False, a.Healthy/max(a.Healthy+b.Healthy, 1)
	p, term := 0., math.Pow(1-share, float64(n))
	for k := 0; k <= a.False; k++ {
		p += term
		term *= float64(n-k) / float64(k+1) * share / (1 - share)
	}
	return a.Million < b.Million && p < .025
}

// medianError is the standard error of a median: half of what lies between the
// order statistics that are one standard deviation of a rank off.
func medianError(list []float64) float64 {
	n := float64(len(list))
	if n == 0 {
		return 0
	}
	by := .5 / math.Sqrt(n)
	low, high := share(list, max(.5-by, 0)), share(list, min(.5+by, 1))
	if math.IsInf(high, 0) {
		return 0
	}
	return (high - low) / 2
}

// rowOf sums up runs of a system whose node 0 is ill from Warm to the end.
func rowOf(name string, s sim.System, list []*sim.Result, promised float64) Row {
	row := Row{Name: name}
	var times, latencies []float64
	requests, failed, attempts, within := 0, 0, 0, 0
	for _, r := range list {
		row.False += r.FalseEjections
		requests, failed, attempts = requests+r.Requests, failed+r.Failed, attempts+r.Attempts
		latencies = append(latencies, r.P99Ms)
		for _, t := range r.TimesToEjectMs {
			row.Seen++
			if t == nil {
				times = append(times, math.Inf(1))
				continue
			}
			row.Ejected++
			times = append(times, *t/1000)
			if *t/1000 <= promised {
				within++
			}
		}
	}
	well := 1.
	if len(s.Faults) > 0 {
		ill := s.Total() - s.Faults[0].At
		well = 1 - ill.Seconds()/s.Total().Seconds()/float64(s.Nodes)
	}
	row.Healthy = float64(attempts) * well
	row.Million = float64(row.False) / max(row.Healthy, 1) * 1e6
	row.Upper = poissonUpper(row.False) / max(row.Healthy, 1) * 1e6
	row.P50, row.P99 = Number(share(times, .5)), Number(share(times, .99))
	row.P50Error = medianError(times)
	row.Within = float64(within) / float64(max(row.Seen, 1))
	row.Failed = float64(failed) / float64(max(requests, 1))
	row.LatencyMs = share(latencies, .5)
	return row
}

// share is the quantile, +Inf of none.
func share(list []float64, q float64) float64 {
	if len(list) == 0 {
		return math.Inf(1)
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return list[max(int(math.Ceil(q*float64(len(list))))-1, 0)]
}

// poissonUpper is the one-sided 95 % bound of a mean of which k were seen
// (Wilson and Hilferty's approximation; exact for none).
func poissonUpper(k int) float64 {
	if k == 0 {
		return -math.Log(.05)
	}
	n := float64(k + 1)
	return n * math.Pow(1-1/(9*n)+z95/(3*math.Sqrt(n)), 3)
}

// batch is runs that are made together.
type batch struct {
	ctx   context.Context
	runs  Runs
	jobs  []job
	calls atomic.Int64
}

type job struct {
	of   *experiment
	seed int
}

// experiment is a system with several clients, over some seeds.
type experiment struct {
	s       sim.System
	clients []sim.Client
	results [][]*sim.Result // by seed
}

func (b *batch) add(s sim.System, clients []sim.Client, seeds int) *experiment {
	j := &experiment{s: s, clients: clients, results: make([][]*sim.Result, seeds)}
	for i := range seeds {
		b.jobs = append(b.jobs, job{j, i})
	}
	return j
}

func (j *experiment) byClient() [][]*sim.Result {
	out := make([][]*sim.Result, len(j.clients))
	for _, list := range j.results {
		for i, r := range list {
			out[i] = append(out[i], r)
		}
	}
	return out
}

// run makes the runs. The results do not depend on who made them.
func (b *batch) run() error {
	var next, done atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, len(b.jobs))
	for range max(b.runs.Workers, 1) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(b.jobs) || b.ctx.Err() != nil {
					return
				}
				j := b.jobs[i]
				list, err := sim.Compare(j.of.s, j.of.clients, b.runs.Seed+uint64(j.seed))
				j.of.results[j.seed], errs[i] = list, err
				for _, r := range list {
					b.calls.Add(int64(r.Requests))
					r.Course, r.Latency = harness.Course{}, nil // most of it, and nobody asks
				}
				if d := done.Add(1); b.runs.Progress != nil {
					b.runs.Progress(int(d), len(b.jobs))
				}
			}
		})
	}
	wg.Wait()
	if err := b.ctx.Err(); err != nil {
		return context.Cause(b.ctx)
	}
	i := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	if i >= 0 {
		return errs[i]
	}
	return nil
}
