package selector

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
)

// poolOf returns a pool of nodes of these weights.
func poolOf(weights ...int) pool {
	nodes := make([]*node, len(weights))
	for i, w := range weights {
		nodes[i] = &node{}
		nodes[i].pub.Store(&Node{ID: fmt.Sprint(i), Weight: w})
	}
	return newPool(nodes)
}

func draw(s Strategy, p pool, seed uint64, n int) []int {
	counts := make([]int, len(p.nodes))
	v := View{pool: &p, clk: clock.NewVirtual(seed)}
	for range n {
		counts[s.Choose(v)]++
	}
	return counts
}

// fits reports by Pearson's chi-square test whether counts come from a
// distribution in proportion to weights; a right one is refused once in 10⁴
// seeds (E. B. Wilson and M. M. Hilferty's approximation, 1931).
func fits(counts, weights []int) (chi2, most float64, ok bool) {
	total, n := 0, 0
	for i, w := range weights {
		total, n = total+w, n+counts[i]
	}
	for i, w := range weights {
		want := float64(n) * float64(w) / float64(total)
		chi2 += (float64(counts[i]) - want) * (float64(counts[i]) - want) / want
	}
	df := float64(len(weights) - 1)
	z := 2 / (9 * df)
	most = df * math.Pow(1-z+3.72*math.Sqrt(z), 3)
	return chi2, most, chi2 <= most
}

func TestDistributions(t *testing.T) {
	uneven := make([]int, 50)
	for i := range uneven {
		uneven[i] = 1 + i*i%37
	}
	even := slices.Repeat([]int{1}, 50)
	tests := []struct {
		name    string
		s       Strategy
		weights []int
		want    []int // nil: as the weights
	}{
		{"random of equals", Random{}, even, nil},
		{"random whatever the weights", Random{}, uneven, even},
		{"random of two", Random{}, []int{1, 1}, nil},
		{"weighted of equals", Weighted{}, even, nil},
		{"weighted of equals above one", Weighted{}, []int{7, 7, 7}, []int{1, 1, 1}},
		{"weighted", Weighted{}, uneven, nil},
		{"weighted of two", Weighted{}, []int{1, 2}, nil},
		{"weighted of far apart", Weighted{}, []int{1, 1000, 10, 100}, nil},
		{"two idle equals", TwoChoices{}, even, nil},
		{"two of two", TwoChoices{}, []int{3, 3}, []int{1, 1}},
		{"one of one", TwoChoices{}, []int{3}, nil},
		{"two by weight, idle", TwoChoices{}, []int{1, 1, 1, 1, 4}, nil},
		{"two by weight, idle, many", TwoChoices{}, uneven, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want == nil {
				tt.want = tt.weights
			}
			for seed := range uint64(3) {
				counts := draw(tt.s, poolOf(tt.weights...), seed, 100_000)
				if len(counts) == 1 {
					continue
				}
				if chi2, most, ok := fits(counts, tt.want); !ok {
					t.Errorf("seed %d: χ² is %.1f, want at most %.1f; counts %v", seed, chi2, most, counts)
				}
				if chi2, most, ok := fits(counts, slices.Concat([]int{2 * slices.Max(tt.want)}, tt.want[1:])); ok {
					t.Errorf("seed %d: a wrong distribution passes too (χ² %.1f, most %.1f)", seed, chi2, most)
				}
			}
		})
	}
}

// What is drawn for a retry has no table, and the same distribution.
func TestWeightsHoldForRetries(t *testing.T) {
	for _, s := range []Strategy{Weighted{}, TwoChoices{}} {
		weights := []int{5, 1, 3, 1, 2}
		p := poolOf(weights...)
		counts := draw(s, pool{nodes: p.nodes[1:], mean: p.mean}, 1, 100_000)
		if chi2, most, ok := fits(counts, weights[1:]); !ok {
			t.Errorf("%T: χ² is %.1f, want at most %.1f; counts %v", s, chi2, most, counts)
		}
	}

	// Through Pick: after the heaviest was tried.
	nodes := named(4)
	for i, w := range []int{10, 1, 2, 3} {
		nodes[i].Weight = w
	}
	r := newRig(t, Config{Strategy: Weighted{}}, nodes...)
	heaviest := r.sel.Nodes()[0].Node
	picks := r.run(20_000, Call{Tried: []*Node{heaviest}}, well)
	counts := []int{picks["b"], picks["c"], picks["d"]}
	if chi2, most, ok := fits(counts, []int{1, 2, 3}); !ok || picks["a"] > 0 {
		t.Errorf("χ² is %.1f, want at most %.1f; picks %v", chi2, most, picks)
	}
}

// The table gives each node its share exactly, not only within noise.
func TestAliasIsExact(t *testing.T) {
	for _, weights := range [][]int{
		{1, 2}, {1, 1_000_000}, {3, 3, 3, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9}, {999_999, 1, 500_000, 7, 7, 7}, {2, 1, 1, 1, 1, 1, 1},
	} {
		p := poolOf(weights...)
		total, got := 0, make([]float64, len(weights))
		for i, c := range p.alias.columns {
			got[i] += float64(c.keep)
			got[c.other] += 1 - float64(c.keep)
			total += weights[i]
		}
		for i, w := range weights {
			share, want := got[i]/float64(len(weights)), float64(w)/float64(total)
			if math.Abs(share-want) > 1e-7 {
				t.Errorf("weights %v: node %d has %.9f of the calls, want %.9f", weights, i, share, want)
			}
		}
	}
	if p := poolOf(4, 4, 4); p.alias != nil || p.mean != 0 {
		t.Error("equal weights have a table, want none")
	}
	if p := newPool(nil); p.alias != nil || len(p.nodes) != 0 {
		t.Error("no nodes have a table")
	}
}

func TestTwoChoicesTakesTheShorterWait(t *testing.T) {
	const ms = float32(time.Millisecond)
	latency := func(n *node, ns float32) { n.latency.Store(uint64(math.Float32bits(ns)) << 32) }
	tests := []struct {
		name    string
		set     func(a, b *node)
		weights []int
		want    int // index of who gets all calls
	}{
		{"fewer in flight", func(a, b *node) { a.load.Store(3); b.load.Store(2) }, []int{1, 1}, 1},
		{"quicker", func(a, b *node) { latency(a, 10*ms); latency(b, 11*ms) }, []int{1, 1}, 0},
		{"quicker, but busier", func(a, b *node) { latency(a, 10*ms); latency(b, 25*ms); a.load.Store(2) }, []int{1, 1}, 1},
		{"quicker, and not busy enough", func(a, b *node) { latency(a, 10*ms); latency(b, 25*ms); a.load.Store(1) }, []int{1, 1}, 0},
		{"one latency unknown: in flight only", func(a, b *node) { latency(a, 1000*ms); b.load.Store(1) }, []int{1, 1}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := poolOf(tt.weights...)
			tt.set(p.nodes[0], p.nodes[1])
			if counts := draw(TwoChoices{}, p, 1, 1000); counts[tt.want] != 1000 {
				t.Errorf("got counts %v, want all at %d", counts, tt.want)
			}
		})
	}
}

// Where nothing ever ends, in-flight counts follow the weights closely: that
// is what the second look is for.
func TestTwoChoicesBalances(t *testing.T) {
	weights := slices.Concat(slices.Repeat([]int{1}, 50), slices.Repeat([]int{3}, 50))
	worst := func(s Strategy) (most float64) {
		p := poolOf(weights...)
		v := View{pool: &p, clk: clock.NewVirtual(1)}
		for range 20_000 { // 100 for each unit of weight
			p.nodes[s.Choose(v)].load.Add(1)
		}
		for i, n := range p.nodes {
			most = max(most, math.Abs(float64(n.inFlight())/float64(weights[i])-100))
		}
		return most
	}
	two, one := worst(TwoChoices{}), worst(Weighted{})
	if two > 10 || one < 15 {
		t.Errorf("the worst node is off by %.1f calls with two choices and %.1f with one, want at most 10 and at least 15", two, one)
	}
}

func TestRoundRobinIsFair(t *testing.T) {
	r := newRig(t, Config{Strategy: &RoundRobin{}}, named(7)...)
	for round := range 20 {
		seen := r.run(7, Call{}, well)
		if len(seen) != 7 {
			t.Fatalf("round %d: got %v, want each node once", round, seen)
		}
	}
	r.run(200, Call{}, down("c"))
	wantIDs(t, "ejected", r.ejected(), "c")
	if seen := r.run(6, Call{Tried: []*Node{{ID: "x"}}}, well); len(seen) != 6 || seen["c"] > 0 {
		t.Errorf("without c: got %v, want each of the others once", seen)
	}
}

// user is a strategy whose mind is the test's.
type user func(View) int

func (u user) Choose(v View) int { return u(v) }

func TestAUsersStrategyTalksNonsense(t *testing.T) {
	for _, answer := range []int{-1, 5, math.MaxInt, math.MinInt} {
		r := newRig(t, Config{Strategy: user(func(View) int { return answer })}, named(5)...)
		picks := r.run(5000, Call{}, well)
		counts := []int{picks["a"], picks["b"], picks["c"], picks["d"], picks["e"]}
		if chi2, most, ok := fits(counts, []int{1, 1, 1, 1, 1}); !ok {
			t.Errorf("answer %d: χ² is %.1f, want at most %.1f: a uniform choice; picks %v", answer, chi2, most, picks)
		}
	}
}

func TestAUsersStrategyPanics(t *testing.T) {
	panics := true
	r := newRig(t, Config{Strategy: user(func(View) int {
		if panics {
			panic("strategy")
		}
		return 0
	})}, named(3)...)
	for _, c := range []Call{{}, {Tried: []*Node{{ID: "a", Addr: "a:1"}}}} {
		func() {
			defer func() {
				if got := recover(); got != "strategy" {
					t.Errorf("recovered %v, want the strategy's own panic", got)
				}
			}()
			_, _ = r.sel.Pick(c)
		}()
	}
	panics = false
	r.run(10, Call{}, well)
	for _, s := range r.sel.Nodes() {
		if s.InFlight != 0 {
			t.Errorf("%s: %d in flight, want 0", s.Node, s.InFlight)
		}
	}
}

func TestAUsersStrategySees(t *testing.T) {
	var seen []string
	r := newRig(t, Config{Strategy: user(func(v View) int {
		seen = nil
		for i := range v.Len() {
			seen = append(seen, fmt.Sprint(v.Node(i), v.InFlight(i), v.Latency(i)))
		}
		return v.Len() - 1
	})}, named(3)...)
	p := r.pick(Call{})
	wantIDs(t, "idle", seen, "a 0 0s", "b 0 0s", "c 0 0s")
	start := r.clk.Now()
	r.pass(20 * time.Millisecond)
	q := r.pick(Call{Tried: []*Node{p.Node()}})
	wantIDs(t, "c was tried", seen, "a 0 0s", "b 0 0s")
	p.Done(Report{Result: breaker.Success, Start: start, Elapsed: 20 * time.Millisecond})
	r.pick(Call{})
	wantIDs(t, "c has answered, b has not", seen, "a 0 0s", "b 1 0s", "c 0 20ms")
	q.Done(Report{})
}

func TestViewDraws(t *testing.T) {
	p := poolOf(1, 1, 1, 1)
	v := View{pool: &p, clk: clock.NewVirtual(1)}
	counts := make([]int, 4)
	for range 30_000 {
		counts[v.other(2)]++
	}
	if counts[2] != 0 {
		t.Errorf("other(2) returned 2 %d times", counts[2])
	}
	if chi2, most, ok := fits(slices.Delete(counts, 2, 3), []int{1, 1, 1}); !ok {
		t.Errorf("χ² is %.1f, want at most %.1f", chi2, most)
	}
	single := poolOf(1)
	if one := (View{pool: &single, clk: v.clk}); one.other(0) != 0 || one.Uniform() != 0 || one.ByWeight() != 0 {
		t.Error("of one node, want that one")
	}
}
