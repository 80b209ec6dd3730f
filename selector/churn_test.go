package selector

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

func TestAFlappingNodeKeepsItsState(t *testing.T) {
	r := sickRig(t, 4, Config{}, down)
	before := r.status("a")
	without := named(4)[1:]
	for range 5 {
		r.source.report(without, nil)
		r.run(20, payment, well)
		r.source.report(named(4), nil)
		after := r.status("a")
		if !after.Ejected || after.State != breaker.Open || after.Picks != before.Picks || after.Failures != before.Failures ||
			!after.RetryAt.Equal(before.RetryAt) || after.Latency != before.Latency {
			t.Fatalf("came back as %+v, want as it left: %+v", after, before)
		}
	}
	// It can be probed and readmitted as if it had been there.
	r.pass(2 * time.Second)
	if n, probe := r.call(errand, well); n.ID != "a" || !probe {
		t.Errorf("got %v, probe %v, want a probe of a", n, probe)
	}
	wantIDs(t, "ejected", r.ejected())

	// Readmitted while it was away? Then it is asked when it is back.
	r = sickRig(t, 4, Config{}, down)
	r.due()
	p := r.pick(errand)
	r.source.report(without, nil)
	p.Done(Report{Result: breaker.Success})
	r.source.report(named(4), nil)
	wantIDs(t, "ejected", r.ejected(), "a")
	r.pass(leaseCheck)
	r.run(2, errand, well)
	wantIDs(t, "ejected after another probe", r.ejected())
}

// Suspicion survives the flaps too: a node that comes and goes is not safe.
func TestAFlappingIllNodeIsEjected(t *testing.T) {
	r := newRig(t, Config{Strategy: &RoundRobin{}}, named(4)...)
	r.run(100, errand, well)
	for range 30 {
		r.source.report(named(4)[1:], nil)
		r.run(10, payment, down("a"))
		r.source.report(named(4), nil)
		r.run(8, payment, down("a"))
	}
	if ids := r.heard(Ejected); len(ids) == 0 || ids[0] != "a" {
		t.Errorf("ejected %v, want a", ids)
	}
}

func TestWhoIsAnotherStartsClean(t *testing.T) {
	clean := func(s Status) bool {
		return !s.Ejected && s.State == breaker.Closed && s.Picks == 0 && s.Failures == 0 && s.Latency == 0 && s.Score == 0
	}
	others := named(4)[1:]
	tests := []struct {
		name string
		next Node
		away time.Duration
		want bool // clean
	}{
		{"the same", Node{ID: "a", Addr: "a:1"}, time.Second, false},
		{"the same with another weight and zone", Node{ID: "a", Addr: "a:1", Weight: 7, Zone: "z"}, time.Second, false},
		{"the same just before it is forgotten", Node{ID: "a", Addr: "a:1"}, rest, false},
		{"the same after it was forgotten", Node{ID: "a", Addr: "a:1"}, rest + 1, true},
		{"its address under another ID", Node{ID: "x", Addr: "a:1"}, time.Second, true},
		{"its ID at another address", Node{ID: "a", Addr: "x:1"}, time.Second, true},
		{"its address without an ID", Node{Addr: "a:1"}, time.Second, true},
	}
	for _, tt := range tests {
		for _, step := range []string{"after an absence", "at once"} {
			if step == "at once" && tt.away != time.Second {
				continue
			}
			t.Run(tt.name+" "+step, func(t *testing.T) {
				r := sickRig(t, 4, Config{}, down)
				if step != "at once" {
					r.source.report(others, nil)
					r.pass(tt.away)
				}
				r.source.report(append([]Node{tt.next}, others...), nil)
				s := r.sel.Nodes()[0]
				if clean(s) != tt.want {
					t.Errorf("got %+v, want clean: %v", s, tt.want)
				}
				if tt.next.Weight != 0 && (s.Node.Weight != tt.next.Weight || s.Node.Zone != tt.next.Zone) {
					t.Errorf("got node %+v, want %+v", s.Node, tt.next)
				}
			})
		}
	}
}

func TestNodesChangedCounts(t *testing.T) {
	r := newRig(t, Config{}, named(3)...)
	r.source.report(named(3), nil)                                               // the same
	r.source.report([]Node{{ID: "a", Addr: "a:1", Weight: 3}}, nil)              // two gone
	r.source.report([]Node{{ID: "a", Addr: "b:1"}, {ID: "d", Addr: "d:1"}}, nil) // another a, and one more
	want := []Event{{Nodes: 3, Added: 3}, {Nodes: 1, Removed: 2}, {Nodes: 2, Added: 2, Removed: 1}}
	if len(r.events) != len(want) {
		t.Fatalf("got events %+v, want %d", r.events, len(want))
	}
	for i, e := range r.events {
		if e.Kind != NodesChanged || e.Nodes != want[i].Nodes || e.Added != want[i].Added || e.Removed != want[i].Removed {
			t.Errorf("event %d: got %+v, want %+v", i, e, want[i])
		}
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A hundred thousand nodes pass through a set of ten, each of them fails and
// is compared with the others. What is remembered of them is bounded.
func TestChurnIsBounded(t *testing.T) {
	r := newRig(t, Config{Strategy: &RoundRobin{}, OnEvent: func(Event) {}}, named(10)...)
	var before uint64
	fleet := make([]Node, 10)
	for i := range 100_000 / len(fleet) {
		for j := range fleet {
			id := fmt.Sprint(i*len(fleet) + j)
			fleet[j] = Node{ID: id, Addr: id}
		}
		r.source.report(fleet, nil)
		for j := range 2 * len(fleet) {
			p := r.pick(errand)
			r.pass(11 * time.Millisecond)
			result := breaker.Success
			if j%2 == 0 || j < 10 {
				result = breaker.Failure
			}
			p.Done(Report{Result: result, Start: r.clk.Now(), Elapsed: 1})
		}
		if n := len(r.sel.gone.nodes); n > fewGraves {
			t.Fatalf("%d nodes are remembered, want at most %d", n, fewGraves)
		}
		if i == 100 {
			before = heap()
		}
	}
	if after := heap(); after > before+1<<20 {
		t.Errorf("the heap grew by %d kB over the churn, want it to be bounded", (after-before)>>10)
	}

	// Even so, one that flaps is known again.
	last := fleet[0].ID
	seen := r.status(last).Picks
	r.source.report(fleet[1:], nil)
	r.source.report(fleet, nil)
	if got := r.status(last).Picks; got != seen || got == 0 {
		t.Errorf("the node came back with %d picks, want %d", got, seen)
	}
}

// Successes feeds the retry budget: it may lag, but not go back.
func TestSuccessesNeverGoDown(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		r := newRig(t, Config{}, named(5)...)
		var flights []Picked
		var holds []func()
		last, well := uint64(0), uint64(0)
		for step := range 5000 {
			r.pass(time.Duration(rng.IntN(int(20 * time.Millisecond))))
			what := ""
			switch k := rng.IntN(100); {
			case k < 45:
				what = "pick"
				flights = append(flights, r.pick(errand))
			case k < 85 && len(flights) > 0:
				i := rng.IntN(len(flights))
				p := flights[i]
				flights[i] = flights[len(flights)-1]
				flights = flights[:len(flights)-1]
				result := breaker.Result(rng.IntN(3))
				what = fmt.Sprint("done with ", result)
				if rng.IntN(4) == 0 {
					what = "late, then " + what
					p.Late()
				} else if result == breaker.Success && !p.late {
					well++
				}
				if rng.IntN(4) == 0 {
					what = "held, " + what
					holds = append(holds, p.Hold())
				}
				p.Done(Report{Result: result, Start: r.clk.Now(), Elapsed: time.Millisecond})
			case k < 90 && len(flights) > 0:
				what = "late"
				i := rng.IntN(len(flights))
				if flights[i].late {
					break
				}
				flights[i].Late()
			case k < 95 && len(holds) > 0:
				what = "release"
				holds[0]()
				holds[0]() // twice is once
				holds = holds[1:]
			default:
				what = "churn"
				from := rng.IntN(4)
				r.source.report(named(8)[from:from+1+rng.IntN(4)], nil)
			}
			now := r.sel.Successes()
			if now < last || now > well {
				t.Fatalf("seed %d, step %d (%s): from %d to %d successes, of %d", seed, step, what, last, now, well)
			}
			last = now
		}
		if last < well/2 {
			t.Errorf("seed %d: %d successes, want most of %d", seed, last, well)
		}
	}
}
