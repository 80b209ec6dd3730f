package scenario

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// The names on the command line, in the order of reports.
func TestNames(t *testing.T) {
	var names []string
	for _, s := range All() {
		names = append(names, s.Name)
	}
	want := "crash refused blackhole replylost hang gray partial fleet correlated flapping rolling outage overload storm partition sparse"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Every plan can be carried out at either pace, undoes what it does, and is
// told of; a single run with -quick stays far below 20 s.
func TestPlans(t *testing.T) {
	for _, s := range append(All(), None) {
		for _, pace := range []Pace{Full, Quick} {
			p := s.Plan(pace)
			if err := p.Validate(); err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
			if total := p.WithDefaults().Total(); pace.Quick && total > 10*time.Second {
				t.Errorf("%s: -quick takes %v", s.Name, total)
			}
			if n := len(p.Steps); n > 0 && p.Steps[n-1].At > p.Warm+p.Fault {
				t.Errorf("%s: the last step is at %v, after the fault phase", s.Name, p.Steps[n-1].At)
			}
			for _, node := range harmed(p.Steps) {
				t.Errorf("%s: instance %d is not brought back", s.Name, node)
			}
		}
		if s.What == "" || s.Inject == "" || s.Bound == "" {
			t.Errorf("%s: not told of", s.Name)
		}
	}
}

// harmed are the instances that are not well after the steps.
func harmed(steps []harness.Step) (nodes []int) {
	heals := map[harness.Deed]bool{harness.DoStart: true, harness.DoContinue: true, harness.DoAdmit: true, harness.DoMend: true}
	state := map[int]bool{}
	for _, s := range steps {
		for _, n := range s.Nodes {
			state[n] = !heals[s.Do] && (s.Do != harness.DoSicken || s.Illness != harness.Illness{})
		}
	}
	for n, bad := range state {
		if bad {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// asPlanned is a run in which every step was done when it was due and nothing
// else happened.
func asPlanned(p harness.Plan) *harness.Run {
	p = p.WithDefaults()
	p.Seed = 1
	r := &harness.Run{Plan: p, Start: time.Unix(1000, 0), Entries: make([][]harness.Entry, p.Processes)}
	for _, s := range p.Steps {
		r.Steps = append(r.Steps, harness.Done{Step: s, Begin: s.At, End: s.At + time.Millisecond})
	}
	w := harness.Workload{Seed: 1, Rate: p.Rate, Duration: p.Total(), Mix: p.Mix, Surges: p.Surges}
	for _, a := range w.Arrivals() {
		r.Shots = append(r.Shots, harness.Shot{Arrival: a, Sent: a.Due, Done: a.Due + p.Service.Mean, OK: true})
		at := r.Start.Add(a.Due)
		for kind, when := range map[harness.Kind]time.Time{harness.Begun: at, harness.Ended: at.Add(p.Service.Mean)} {
			r.Records = append(r.Records, harness.Record{Kind: kind, Route: a.Route, ID: a.ID, Attempt: 1, Node: "hello-1", At: when})
		}
	}
	return r
}

// Bounds are numbers of metrics that there are, and nobody need lose a keyed
// POST to a fault of one instance.
func TestBounds(t *testing.T) {
	for _, s := range append(All(), None) {
		for _, keyed := range []bool{false, true} {
			r := asPlanned(s.Plan(Quick))
			r.Info.Keyed = keyed
			b := s.Bounds(r)
			for key, value := range b {
				if !slices.Contains(harness.MetricKeys, key) || math.IsNaN(value) || math.IsInf(value, 0) || value < 0 {
					t.Errorf("%s: %s %v", s.Name, key, value)
				}
			}
			for _, key := range []string{"failed", "duplicated", "lost"} {
				if _, ok := b[key]; !ok {
					t.Errorf("%s: no bound of %s", s.Name, key)
				}
			}
			inevitable := slices.Contains([]string{"fleet", "outage", "overload", "storm"}, s.Name)
			if keyed && !inevitable && b["failed"] != 0 {
				t.Errorf("%s, with keys: %v must fail, want 0", s.Name, b["failed"])
			}
			if inevitable && b["failed"] == 0 {
				t.Errorf("%s: nothing must fail", s.Name)
			}
			if b["duplicated"] != 0 || b["lost"] != 0 {
				t.Errorf("%s: %v duplicated, %v lost; want 0", s.Name, b["duplicated"], b["lost"])
			}
		}
	}
}

// A node that fails always is told after 13.8/ln(50) calls; one that fails 30 %
// of them after 13.8/(0.3·ln(15) + 0.7·ln(0.7/0.98)).
func TestCallsToTell(t *testing.T) {
	for errors, want := range map[float64]float64{1: 3.53, 0.3: 23.95} {
		if got := callsToTell(errors); math.Abs(got-want) > 0.05 {
			t.Errorf("%v errors: %v calls, want %v", errors, got, want)
		}
	}
}

// Overload: what comes beyond the capacity fails, less what can be carried out
// before its callers give up.
func TestExcess(t *testing.T) {
	r := asPlanned(overload.Plan(Full)) // 125 a second can be carried out; 250 come, for 10 s; then 62.5, for a deadline of 1 s
	want := 250*10 - 125*10 - (125-62.5)*1
	if got := overload.Bounds(r)["failed"]; math.Abs(got-want) > 250 { // five times the root of 2500 arrivals
		t.Errorf("%v must fail, want about %v", got, want)
	}
}

// Stuck requests that are more than 1 % of those in the window are its p99.
func TestSlowTail(t *testing.T) {
	r := asPlanned(crash.Plan(Full))
	b := map[string]float64{"p99Ms": 20}
	slowTail(b, r, 10, time.Second) // of about 2000
	if b["p99Ms"] != 20 {
		t.Errorf("half a percent: %v", b["p99Ms"])
	}
	slowTail(b, r, 40, time.Second)
	if b["p99Ms"] != 1000 {
		t.Errorf("two percent: %v, want 1000", b["p99Ms"])
	}
}
