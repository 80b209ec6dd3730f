package tune

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/sim"
	"github.com/holdfast-go/holdfast/benchmarks/trace"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// acceptanceSeeds are those of the systems that the recommender is held
// against. None was looked at while it was built.
//
//go:embed acceptance.json
var acceptanceSeeds []byte

// Acceptance says how much of the experiment is run.
type Acceptance struct {
	Calls   float64       // healthy attempts of each client in each system, or a few more. Default 600 000
	Workers int           // runs at a time. Default: the processors
	Formula bool          // the thresholds are the formula's, not refined by simulation
	Systems []uint64      // seeds of the systems. Default: those of acceptance.json
	Done    func(Verdict) // if not nil, is told of each system as it is done
}

// inTurn is the recommended settings with nodes taken in turn.
const inTurn = "recommended, in turn"

// The goals.
const (
	heldGoal   = .95 // of the systems hold the promise of false ejections
	withinGoal = .95 // of the ejections, and of the systems, within the predicted p99
	tolerated  = 1e5 // healthy calls for each false ejection: so many can be simulated
	leastSeeds = 5   // runs
	judgedFrom = 3.  // false ejections that are allowed: with fewer the systems are judged together
)

// Verdict is what one system came to.
type Verdict struct {
	Seed     uint64                      `json:"seed"`
	What     string                      `json:"what"`
	Settings resilience.EjectionSettings `json:"settings"`
	Promised Number                      `json:"promisedP99"` // seconds
	Allowed  float64                     `json:"allowed"`     // false ejections in the healthy calls that were run
	Rows     []Row                       `json:"rows"`
	Held     bool                        `json:"held"`
	Within   bool                        `json:"within"`
	Beaten   string                      `json:"beatenBy,omitempty"`       // the same settings with nodes in turn, which all peers have: thresholds are compared, not the choice of nodes
	Behind   string                      `json:"beatenByChoice,omitempty"` // the settings with two random choices, with which the k-th call of a node comes at random
	Err      string                      `json:"error,omitempty"`          // there was no recommendation
	Refined  *Refined                    `json:"refined,omitempty"`        // how its thresholds were found
}

// generated is a system that nobody has described: the recommender sees what
// its clients record.
type generated struct {
	sys    sim.System
	pair   float64 // calls a second of a client at a node
	broken float64
	what   string
}

// generate draws a system. Rates, sizes, error levels, bursts, latencies, how
// unequal its nodes are and what counts as broken are all drawn.
func generate(seed uint64) generated {
	r := rand.New(rand.NewPCG(seed, 0x7475_6e65))
	between := func(low, high float64) float64 { return low * math.Pow(high/low, r.Float64()) } // evenly in the logarithm
	g := generated{pair: between(4, 80), broken: []float64{.2, .3, .5, .7, 1}[r.IntN(5)]}
	s := sim.System{
		Name: fmt.Sprint("generated ", seed), Nodes: 3 + r.IntN(10), Clients: 1 + r.IntN(5), Wire: -1,
		Service: sim.Service{Mean: time.Duration(between(2e6, 60e6)), CV: between(.2, 1.2)},
	}
	level := between(.001, .02)
	burst := 1.
	if r.IntN(2) == 0 {
		burst = between(3, 20)
	}
	for i := range 1 + r.IntN(4) {
		s.Methods = append(s.Methods, sim.Method{
			Name: fmt.Sprint("m", i), Share: between(.2, 1), Kind: retry.Safe, Errors: min(level*between(.4, 2.5)*burst, .5), Burst: burst,
			Slow: between(.7, 1.5),
		})
	}
	s.Rate = g.pair * float64(s.Nodes*s.Clients)
	g.sys = s.WithDefaults()
	if burst > 1 { // bursts need calls that are under way together
		g.what = fmt.Sprintf("bursts of %.0f, ", burst)
	}
	g.what = fmt.Sprintf("%d nodes, %d clients, %.0f calls/s a pair, %s%s failures, broken %s, %v",
		s.Nodes, s.Clients, g.pair, g.what, percent(round(level*burst, 2)), percent(g.broken), s.Service.Mean.Round(100*time.Microsecond))
	return g
}

// recordedCalls is how many attempts the recommender sees.
const recordedCalls = 60_000

// record is what the system's clients record.
func (g generated) record(seed uint64) (*trace.Set, error) { return recordOf(g.sys, seed) }

// Accept runs the experiment: each system is recorded, tuned from the record,
// and run with the recommended settings and the peers' defaults.
func Accept(ctx context.Context, a Acceptance) ([]Verdict, error) {
	orElse(&a.Calls, 600_000)
	orElse(&a.Workers, runtime.GOMAXPROCS(0))
	if a.Systems == nil {
		if err := json.NewDecoder(bytes.NewReader(acceptanceSeeds)).Decode(&a.Systems); err != nil {
			return nil, fmt.Errorf("acceptance.json: %w", err)
		}
	}
	list := make([]Verdict, 0, len(a.Systems))
	for _, seed := range a.Systems {
		v, err := accept(ctx, seed, a)
		if err != nil {
			return nil, fmt.Errorf("system %d: %w", seed, err)
		}
		if a.Done != nil {
			a.Done(v)
		}
		list = append(list, v)
	}
	return list, nil
}

func accept(ctx context.Context, seed uint64, a Acceptance) (Verdict, error) {
	g := generate(seed)
	v := Verdict{Seed: seed, What: g.what}
	set, err := g.record(seed)
	if err != nil {
		return v, err
	}
	w := Wishes{FalseEjections: 1, Per: span(tolerated / g.sys.Rate), Broken: g.broken}
	r, err := Recommend(Measure(set, g.sys.Name), w, resilience.Settings{})
	if err != nil {
		v.Err = err.Error()
		return v, nil
	}
	if !a.Formula {
		if err := r.Refine(ctx, Runs{Workers: a.Workers}); err != nil {
			return v, err
		}
	}
	v.Refined = r.Refined
	v.Settings, v.Promised = r.Settings.Ejection, r.Promise.Time.P99
	s := g.sys
	fault := 2.5 * float64(v.Promised)
	s.Warm, s.Fault, s.Recover = span(2*warmCalls/g.pair), span(fault), time.Millisecond
	s.Timeout = max(s.Timeout, 4*r.Settings.AttemptTimeout)
	s.Faults = []sim.Fault{{At: s.Warm, Do: sim.Sicken, Nodes: []int{0}, Errors: g.broken}}
	clients := []sim.Client{{Stack: sim.Holdfast, Settings: r.Settings}, {Stack: sim.Holdfast, Settings: r.Settings}}
	clients[1].Settings.Strategy = "round-robin"
	for _, p := range fivePeers {
		clients = append(clients, sim.Client{Stack: p})
	}
	b := &batch{ctx: ctx, runs: Runs{Seed: seed << 20, Workers: a.Workers}}
	seeds := int(math.Ceil(a.Calls / (s.Rate * s.Total().Seconds())))
	e := b.add(s, clients, max(seeds, leastSeeds))
	if err := b.run(); err != nil {
		return v, err
	}
	for i, results := range e.byClient() {
		v.Rows = append(v.Rows, rowOf(clients[i].Stack, s, results, float64(v.Promised)))
	}
	v.Rows[0].Name, v.Rows[1].Name = recommended, inTurn
	own := v.Rows[0]
	v.Allowed = own.Healthy / tolerated
	v.Held = float64(own.False) <= v.Allowed
	v.Within = own.Within >= withinGoal
	if v.Allowed >= judgedFrom { // otherwise who had none has had luck
		v.Beaten, v.Behind = dominatedBy(v.Rows[1], v.Rows), dominatedBy(own, v.Rows)
	}
	return v, nil
}

// Judge says which goals the verdicts miss; none if they are all met.
func Judge(list []Verdict) (missed []string) {
	held, within, seen, ejected := 0, 0, 0, 0.
	judged, falses, allowed := true, 0, 0.
	for _, v := range list {
		if v.Err != "" {
			missed = append(missed, fmt.Sprintf("system %d: %s", v.Seed, v.Err))
			continue
		}
		if v.Held {
			held++
		}
		if v.Within {
			within++
		}
		judged = judged && v.Allowed >= judgedFrom
		falses, allowed = falses+v.Rows[0].False, allowed+v.Allowed
		seen, ejected = seen+v.Rows[0].Seen, ejected+v.Rows[0].Within*float64(v.Rows[0].Seen)
		if math.IsInf(float64(v.Promised), 0) || math.IsInf(float64(v.Rows[0].P99), 0) {
			missed = append(missed, fmt.Sprintf("system %d: no finite time to eject", v.Seed))
		}
		if v.Beaten != "" {
			missed = append(missed, fmt.Sprintf("system %d: dominated by the defaults of %s", v.Seed, v.Beaten))
		}
	}
	n := float64(len(list))
	switch {
	case !judged && float64(falses) > allowed:
		missed = append(missed, fmt.Sprintf("%d false ejections in all systems together, %.1f are allowed", falses, allowed))
	case judged && float64(held) < heldGoal*n:
		missed = append(missed, fmt.Sprintf("the promise of false ejections holds in %d of %d systems", held, len(list)))
	}
	if judged && float64(within) < withinGoal*n {
		missed = append(missed, fmt.Sprintf("a broken node is ejected within the predicted p99 in %d of %d systems", within, len(list)))
	}
	if ejected < withinGoal*float64(seen) {
		missed = append(missed, fmt.Sprintf("%.0f of %d ejections were within the predicted p99", ejected, seen))
	}
	return missed
}

// PrintVerdicts writes a line a system.
func PrintVerdicts(w io.Writer, list []Verdict) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "seed\tfalse (allowed)\tin calls\tp99 predicted / simulated\twithin\tp50 / in turn\tfastest peer: p50, false\tsystem")
	for _, v := range list {
		if v.Err != "" {
			fmt.Fprintf(t, "%d\t\t\t\t\t%s\t%s\n", v.Seed, v.Err, v.What)
			continue
		}
		own := v.Rows[0]
		peers := slices.Clone(v.Rows[2:])
		slices.SortStableFunc(peers, func(a, b Row) int {
			return cmp.Or(cmp.Compare(a.P50, b.P50), cmp.Compare(a.False, b.False))
		})
		peer, behind := "none", ""
		if v.Behind != "" {
			behind = "; " + v.Behind + " is ahead of two choices"
		}
		if !math.IsInf(float64(peers[0].P50), 0) {
			peer = fmt.Sprintf("%s %s, %d", peers[0].Name, seconds(peers[0].P50), peers[0].False)
		}
		fmt.Fprintf(t, "%d\t%d (%.1f)\t%.3g\t%s / %s\t%s\t%s / %s\t%s%s\t%s\n", v.Seed, own.False, v.Allowed, own.Healthy,
			seconds(v.Promised), seconds(own.P99), percent(round(own.Within, 4)), seconds(own.P50), seconds(v.Rows[1].P50), peer, behind, v.What)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, `
A peer's defaults dominate if they are at least as good in false ejections and
in the median time to eject (nodes in turn, as all peers take them), and one of
the differences is more than chance explains at 95 %: of the counts by the
binomial test given their sum, of the medians by their standard errors.`)
	return err
}
