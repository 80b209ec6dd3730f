package selector

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

var payment = Call{Method: "POST /"} // not to be repeated

// sick returns a rig of n nodes of which a is out.
func sickRig(t *testing.T, n int, cfg Config, fault func(...string) func(*Node) Report) *rig {
	t.Helper()
	r := newRig(t, cfg, named(n)...)
	r.run(100, payment, well)
	for range 500 {
		if r.run(1, payment, fault("a")); len(r.ejected()) > 0 {
			break
		}
	}
	wantIDs(t, "ejected", r.ejected(), "a")
	r.forget()
	return r
}

// due lets time pass until the ejected node may be probed.
func (r *rig) due() {
	r.t.Helper()
	at := r.status("a").RetryAt
	if !at.After(r.clk.Now()) {
		r.t.Fatalf("to be retried at %v, which is not in the future", at)
	}
	r.clk.RunUntil(at)
}

func TestAProbeReadmits(t *testing.T) {
	r := sickRig(t, 3, Config{}, down)
	if picks := r.run(20, errand, well); picks["a"] > 0 {
		t.Errorf("%d calls went to a before its time", picks["a"])
	}
	r.due()
	n, probe := r.call(errand, well)
	if n.ID != "a" || !probe {
		t.Errorf("got %v, probe %v, want a probe of a: it is due", n, probe)
	}
	wantIDs(t, "ejected", r.ejected())
	wantIDs(t, "readmitted", r.heard(Readmitted), "a")
	if e := r.events[0]; e.Reason.Cause != breaker.ByProbe || !e.At.Equal(r.clk.Now()) {
		t.Errorf("got event %+v, want one that says that a probe did it", e)
	}
	if s := r.status("a"); s.State != breaker.Closed || s.Score != 0 || !s.RetryAt.IsZero() {
		t.Errorf("got %+v, want a closed breaker and a fresh score", s)
	}
	// Ill again, it goes again.
	r.run(300, payment, down("a"))
	wantIDs(t, "ejected again", r.heard(Ejected), "a")
}

func TestAProbeFails(t *testing.T) {
	r := sickRig(t, 3, Config{}, down)
	var open []time.Duration
	for range 4 {
		r.due()
		if n, probe := r.call(errand, down("a")); n.ID != "a" || !probe {
			t.Fatalf("got %v, probe %v, want a probe of a", n, probe)
		}
		r.run(1, errand, well) // asks the breaker when to come back
		open = append(open, r.status("a").RetryAt.Sub(r.clk.Now()))
	}
	wantIDs(t, "probes that failed", r.heard(ProbeFailed), "a", "a", "a", "a")
	if open[3] < 2*open[0] {
		t.Errorf("open times %v, want them to grow", open)
	}
	wantIDs(t, "ejected", r.ejected(), "a")
}

// One probe at a time, and retries are none.
func TestProbesAreLeased(t *testing.T) {
	r := sickRig(t, 3, Config{}, down)
	r.due()
	b := r.status("b").Node
	for range 10 {
		p := r.pick(Call{Retriable: true, Tried: []*Node{b}})
		if p.Probe() || p.Node().ID == "a" {
			t.Fatal("a retry was taken for a probe")
		}
		p.Done(Report{Result: breaker.Success})
	}
	first := r.pick(errand)
	if !first.Probe() {
		t.Fatal("the first call is no probe")
	}
	for range 300 { // 6 s, less than the lease of 10 s
		r.pass(20 * time.Millisecond)
		p := r.pick(errand)
		if p.Probe() || p.Node().ID == "a" {
			t.Fatal("a second probe at the same time")
		}
		p.Done(Report{Result: breaker.Success})
	}
	first.Done(Report{Result: breaker.Success})
	wantIDs(t, "ejected", r.ejected())
}

// The probe's call never comes back: the next one is let through when the
// lease is over.
func TestALostProbeIsForfeited(t *testing.T) {
	r := sickRig(t, 3, Config{}, down)
	r.due()
	lost := r.pick(errand)
	if !lost.Probe() {
		t.Fatal("the first call is no probe")
	}
	r.pass(20 * time.Second)
	n, probe := r.call(errand, well)
	if n.ID != "a" || !probe {
		t.Errorf("got %v, probe %v, want another probe of a", n, probe)
	}
	wantIDs(t, "ejected", r.ejected())
	lost.Done(Report{Result: breaker.Failure}) // old news for the breaker
	wantIDs(t, "ejected after the late result", r.ejected())
	if s := r.status("a"); s.InFlight != 0 {
		t.Errorf("%d in flight, want 0", s.InFlight)
	}
}

// A probe that was cancelled says nothing, and another may be made at once.
func TestACancelledProbe(t *testing.T) {
	r := sickRig(t, 3, Config{}, down)
	r.due()
	if _, probe := r.call(errand, func(*Node) Report { return Report{} }); !probe {
		t.Fatal("the first call is no probe")
	}
	wantIDs(t, "ejected", r.ejected(), "a")
	if n, probe := r.call(errand, well); n.ID != "a" || !probe {
		t.Errorf("got %v, probe %v, want another probe of a", n, probe)
	}
	wantIDs(t, "ejected after it", r.ejected())
}

// A probe that is late has failed: it is not waited for.
func TestALateProbe(t *testing.T) {
	r := sickRig(t, 3, Config{}, down)
	r.due()
	p := r.pick(errand)
	start := r.clk.Now()
	r.pass(250 * time.Millisecond)
	p.Late()
	wantIDs(t, "failed", r.heard(ProbeFailed), "a")
	if s := r.status("a"); s.State != breaker.Open {
		t.Errorf("the breaker is %v, want open", s.State)
	}
	r.pass(time.Millisecond)
	p.Done(Report{Result: breaker.Success, Start: start})
	wantIDs(t, "failed", r.heard(ProbeFailed), "a")
	wantIDs(t, "ejected", r.ejected(), "a")
}

// Calls that could not be repeated are not risked, while others come.
func TestUnsafeCallsProbeLast(t *testing.T) {
	r := sickRig(t, 3, Config{}, down)
	r.due()
	due := r.clk.Now()
	for r.clk.Now().Sub(due) < patience-20*time.Millisecond {
		if n, probe := r.call(payment, well); probe || n.ID == "a" {
			t.Fatalf("a call that cannot be repeated was risked after %v", r.clk.Now().Sub(due))
		}
	}
	r.pass(20 * time.Millisecond)
	if n, probe := r.call(payment, well); n.ID != "a" || !probe {
		t.Errorf("got %v, probe %v, want a probe of a: nobody else has come for %v", n, probe, r.clk.Now().Sub(due))
	}
	wantIDs(t, "ejected", r.ejected())
}

func TestSafeCallsProbeFirst(t *testing.T) {
	r := sickRig(t, 3, Config{}, down)
	r.due()
	if n, probe := r.call(payment, well); probe || n.ID == "a" {
		t.Error("a call that cannot be repeated was risked")
	}
	if n, probe := r.call(errand, well); n.ID != "a" || !probe {
		t.Errorf("got %v, probe %v, want a probe of a", n, probe)
	}
}

// Where connections are refused a call is not sent, so that any may probe.
func TestAnyCallProbesWhoRefused(t *testing.T) {
	r := sickRig(t, 3, Config{}, refusing)
	r.due()
	if n, probe := r.call(payment, refusing("a")); n.ID != "a" || !probe {
		t.Errorf("got %v, probe %v, want a probe of a", n, probe)
	}
	wantIDs(t, "failed", r.heard(ProbeFailed), "a")
}

// With several probes the node comes back when all of them were well.
func TestSeveralProbes(t *testing.T) {
	family, err := breaker.NewFamily(breaker.Config{Rule: breaker.Never{}, Probes: 3, Ramp: -1})
	if err != nil {
		t.Fatal(err)
	}
	r := sickRig(t, 3, Config{Engine: family}, down)
	r.due()
	for i := range 3 {
		wantIDs(t, "ejected", r.ejected(), "a")
		if n, probe := r.call(errand, well); n.ID != "a" || !probe {
			t.Fatalf("call %d: got %v, probe %v, want a probe of a", i, n, probe)
		}
	}
	wantIDs(t, "ejected after three", r.ejected())
}

// While the node starts, its share grows from a tenth to the whole.
func TestSlowStart(t *testing.T) {
	tests := []struct {
		name     string
		strategy Strategy
		nodes    int
	}{{"random", Random{}, 5}, {"two choices", TwoChoices{}, 5}, {"round robin", &RoundRobin{}, 4}, {"random of two", Random{}, 2}, {"two choices of two", TwoChoices{}, 2}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			share := func(at time.Duration) float64 {
				r := sickRig(t, tt.nodes, Config{Strategy: tt.strategy}, down)
				r.due()
				r.call(errand, well)
				wantIDs(t, "ejected", r.ejected())
				r.pass(at - 10*time.Millisecond)
				for _, s := range r.sel.Nodes() { // this is not about latencies
					r.inner(s.Node.ID).latency.Store(0)
				}
				const calls = 20_000 // at one instant
				picks := 0
				for range calls {
					p := r.pick(Call{Method: "GET /"})
					if p.Node().ID == "a" {
						picks++
					}
					p.Done(Report{})
				}
				return float64(picks) / calls * float64(tt.nodes)
			}
			for _, want := range []struct {
				at       time.Duration
				low, top float64
			}{
				{10 * time.Millisecond, .08, .135}, // of what the others leave, in turn, a little more
				{time.Second, .08, .135},
				{3 * time.Second, .25, .38},
				{5 * time.Second, .44, .59},
				{9 * time.Second, .8, 1.02},
				{10 * time.Second, .9, 1.12},
			} {
				if got := share(want.at); got < want.low || got > want.top {
					t.Errorf("after %v: %.3f of its share, want %.2f to %.2f", want.at, got, want.low, want.top)
				}
			}
		})
	}
}

func TestSlowStartOfNewNodes(t *testing.T) {
	count := func(cfg Config) int {
		r := newRig(t, cfg, named(4)...)
		if picks := r.run(400, errand, well); picks["d"] < 60 {
			t.Errorf("%d of 400 calls went to d, want its share: the first set does not start slowly", picks["d"])
		}
		r.source.report(named(5), nil)
		picks := 0
		for range 1000 {
			p := r.pick(errand)
			if p.Node().ID == "e" {
				picks++
			}
			p.Done(Report{})
		}
		return picks
	}
	if n := count(Config{Strategy: Random{}}); n < 5 || n > 40 {
		t.Errorf("%d of 1000 calls went to the new node at once, want about 20: a tenth of a fifth", n)
	}
	if n := count(Config{Strategy: Random{}, SlowStart: -1}); n < 150 {
		t.Errorf("%d of 1000 calls went to the new node, want about 200: the slow start is off", n)
	}
	if n := count(Config{Strategy: Random{}, SlowStart: time.Nanosecond}); n < 5 || n > 40 {
		t.Errorf("%d of 1000 calls went to the new node in its first nanosecond, want about 20", n)
	}
}

// All are new: each has its share.
func TestSlowStartOfAll(t *testing.T) {
	r := newRig(t, Config{}, named(4)...)
	r.source.report(named(8)[4:], nil)
	picks := r.run(400, errand, well)
	for _, id := range []string{"e", "f", "g", "h"} {
		if picks[id] < 60 {
			t.Errorf("picks %v, want about 100 for each", picks)
			break
		}
	}
}
