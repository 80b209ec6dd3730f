package sim

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/retry"
)

// randomSystem is any system that is small.
func randomSystem(rng *rand.Rand) System {
	s := System{
		Nodes: 1 + rng.IntN(6), Clients: 1 + rng.IntN(5), Rate: 20 + 400*rng.Float64(),
		Warm: time.Second, Fault: 3 * time.Second, Recover: 2 * time.Second,
		Timeout: []time.Duration{100 * time.Millisecond, time.Second, 2 * time.Second}[rng.IntN(3)],
		Service: Service{Mean: time.Duration(1+rng.IntN(60)) * time.Millisecond, CV: 2 * rng.Float64()},
		Client:  Client{Stack: append(Peers(), Holdfast, Holdfast, Holdfast)[rng.IntN(len(Peers())+3)]},
		Methods: []Method{
			{Name: "read", Kind: retry.Safe, Errors: .1 * rng.Float64(), Burst: float64(1 + rng.IntN(4))},
			{Name: "pay", Kind: []retry.Idempotency{retry.NonIdempotent, retry.Keyed, retry.Idempotent}[rng.IntN(3)]},
		},
	}
	if rng.IntN(2) == 0 {
		s.Service.Workers, s.Service.Queue = 1+rng.IntN(4), rng.IntN(10)
	}
	if rng.IntN(3) == 0 {
		s.Surges = []Surge{{From: time.Second, To: 3 * time.Second, Times: 4 * rng.Float64()}}
	}
	for range rng.IntN(8) {
		f := Fault{
			At: time.Duration(rng.IntN(5500)) * time.Millisecond, For: time.Duration(rng.IntN(2500)) * time.Millisecond,
			Do: []Deed{Kill, Drain, Refuse, Stop, Cut, Sicken, Sicken, Sicken}[rng.IntN(8)], Nodes: []int{rng.IntN(s.Nodes)},
		}
		switch f.Do {
		case Cut:
			f.Share = rng.Float64()
		case Sicken:
			f.Slow, f.Errors, f.Lose, f.Silent, f.Capacity = float64(rng.IntN(2)*(1+rng.IntN(20))), rng.Float64()*float64(rng.IntN(2)), rng.Float64()*float64(rng.IntN(2)), rng.IntN(2) == 0, rng.Float64()
			f.Die = []harness.Point{"", "", "", harness.BeforeEffect, harness.AfterEffect, harness.AfterAnswer}[rng.IntN(6)]
		}
		s.Faults = append(s.Faults, f)
	}
	return s
}

// Whatever happens to the nodes, however it overlaps: every call ends once,
// nothing is left at the nodes, workers are neither lost nor made, keyed calls
// have one effect, and nobody waits for ever.
func TestRandomSystems(t *testing.T) {
	n := 600
	if testing.Short() {
		n = 60
	}
	deeds := map[Deed]int{}
	for seed := range n {
		rng := rand.New(rand.NewPCG(uint64(seed), 2))
		s := randomSystem(rng).WithDefaults()
		if err := s.Validate(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, f := range s.Faults {
			deeds[f.Do]++
		}
		w, err := newWorld(s, uint64(seed), nil)
		if err != nil {
			t.Fatal(err)
		}
		x := &twice{t: t, seed: seed, ended: map[uint64]bool{}}
		w.m.tell = x
		parked := -1
		w.clk.AfterFunc(24*time.Hour, func() { parked = w.clk.Parked() })
		r, err := w.run()
		if err != nil {
			t.Fatal(err)
		}
		good, failed := 0, 0
		for i := range r.Course.Good {
			good, failed = good+r.Course.Good[i], failed+r.Course.Failed[i]
		}
		if good+failed != r.Requests || failed != r.Failed || len(x.ended) != r.Requests {
			t.Errorf("seed %d: %d succeeded and %d failed (%d) of %d requests; %d ended", seed, good, failed, r.Failed, r.Requests, len(x.ended))
		}
		if r.Lost > 0 || parked != 0 {
			t.Errorf("seed %d: %d lost, %d wait for ever", seed, r.Lost, parked)
		}
		if s.Methods[1].Kind == retry.Keyed && r.Duplicated > 0 {
			t.Errorf("seed %d: %d keyed calls were carried out twice", seed, r.Duplicated)
		}
		if (s.Client.Stack == Holdfast || s.Client.Stack == "bare") && s.Methods[1].Kind == retry.NonIdempotent && r.Duplicated > 0 {
			t.Errorf("seed %d: %s repeated %d calls that must not be", seed, s.Client.Stack, r.Duplicated)
		}
		x.left(w)
	}
	for _, d := range []Deed{Kill, Drain, Refuse, Stop, Cut, Sicken} {
		if deeds[d] == 0 {
			t.Errorf("%s never happened", d)
		}
	}
}

// twice is told of calls.
type twice struct {
	t     *testing.T
	seed  int
	ended map[uint64]bool
	count int
}

func (x *twice) begun(j *job) {
	x.count++
	if n := j.node; n.down > 0 || n.workers > 0 && n.busy > max(n.workers, n.w.sys.Service.Workers) {
		x.t.Errorf("seed %d: a node that is down, or has %d of %d workers busy, begins", x.seed, n.busy, n.workers)
	}
}
func (x *twice) unbegun(*job)  { x.count-- }
func (x *twice) applied(*call) {}
func (x *twice) done(c *call) {
	if x.ended[c.id] {
		x.t.Errorf("seed %d: call %d ended twice", x.seed, c.id)
	}
	x.ended[c.id] = true
}
func (x *twice) node(harness.EntryKind, int, int) {}

// left looks for what is left after a run.
func (x *twice) left(w *world) {
	if x.count != w.m.r.Attempts {
		x.t.Errorf("seed %d: %d attempts begun, %d counted", x.seed, x.count, w.m.r.Attempts)
	}
	for i := range w.nodes {
		n := &w.nodes[i]
		// What reached a frozen node that is never resumed stays there.
		states := map[string]int{}
		for j := n.jobs.first; j != nil; j = j.next {
			if n.stopped == 0 || !j.given {
				states[fmt.Sprintf("state %d, fate %d, given up: %v", j.state, j.fate, j.given)]++
			}
		}
		if len(states) > 0 || n.dialers != 0 || n.stopped == 0 && (n.busy != 0 || len(n.waiting) != 0) {
			x.t.Errorf("seed %d: node %d: left: %v, %d dialers, %d busy, %d waiting (down %d, stopped %d)", x.seed, i, states, n.dialers, n.busy, len(n.waiting), n.down, n.stopped)
		}
	}
}

// 10 000 clients of 200 nodes fit in less than 2 GiB: what one of 50 clients
// takes for a node, when it has called them all by all methods.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("needs many calls")
	}
	const clients, nodes = 50, 200
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	w, err := newWorld(System{Clients: clients, Nodes: nodes, Rate: 50_000, Warm: time.Second, Fault: time.Second, Recover: time.Second}.WithDefaults(), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.script()
	w.arrive = w.arrival
	w.next()
	w.clk.Wait() // as run does, and it is kept
	w.m.window, w.m.warm, w.m.latencies = nil, nil, nil
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := float64(after.HeapAlloc-before.HeapAlloc) / (clients * nodes)
	t.Logf("%.0f bytes a client and node", per)
	if total := per * 10_000 * 200 / (1 << 30); total > 1.4 { // and the garbage besides
		t.Errorf("%.0f bytes a client and node: %.2f GiB for 10 000 × 200", per, total)
	}
	runtime.KeepAlive(w)
	w.close()
}

func FuzzRead(f *testing.F) {
	f.Add(systemYAML)
	f.Add("nodes: 3\nfaults: [{do: cut, nodes: [1], clients: 0.3, for: 1s}]")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Read(strings.NewReader(text))
		if err == nil && s.Validate() != nil {
			t.Errorf("read, and is not valid: %v", s.Validate())
		}
	})
}
