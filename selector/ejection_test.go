package selector

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

var errand = Call{Method: "GET /", Retriable: true}

func TestACrashIsFoundWithinTenCalls(t *testing.T) {
	for _, n := range []int{2, 3, 5, 20, 100} {
		for _, fault := range []struct {
			name   string
			result func(*Node) Report
		}{{"failing", down("a", "n0")}, {"refusing", refusing("a", "n0")}} {
			t.Run(fmt.Sprintf("%d nodes, one %s", n, fault.name), func(t *testing.T) {
				r := newRig(t, Config{Strategy: &RoundRobin{}}, named(n)...)
				r.run(20*n, errand, well)
				picks := 0
				for ; len(r.ejected()) == 0 && picks < 100*n; picks++ {
					r.run(1, errand, fault.result)
				}
				bad := r.sel.Nodes()[0]
				if !bad.Ejected || bad.Failures > 10 {
					t.Errorf("ejected: %v after %d failures, want within 10", bad.Ejected, bad.Failures)
				}
				if out := r.ejected(); len(out) != 1 || out[0] != bad.Node.ID {
					t.Errorf("ejected %v, want the first node alone", out)
				}
				e := r.events[len(r.events)-1]
				if after := r.run(30, Call{Method: "PUT /"}, well); after[bad.Node.ID] > 0 { // open for at least 0.5 s
					t.Errorf("%d calls went to the ejected node", after[bad.Node.ID])
				}
				if e.Kind != Ejected || e.Node.ID != bad.Node.ID || e.OpenFor <= 0 || e.Reason.Cause != breaker.ByEjector ||
					e.Reason.Failures == 0 || e.Reason.Calls < e.Reason.Failures || e.Reason.Rule == "" {
					t.Errorf("got event %+v, want one that says why with numbers", e)
				}
				if fault.name == "failing" && e.Reason.Score < e.Reason.Threshold {
					t.Errorf("score %v is below threshold %v", e.Reason.Score, e.Reason.Threshold)
				}
			})
		}
	}
}

// What is wrong everywhere is nobody's fault.
func TestAnIllServiceEjectsNobody(t *testing.T) {
	all := []string{"a", "b", "c", "d", "e"}
	tests := []struct {
		name  string
		nodes int
		call  func(i int) (method string, fails bool)
	}{
		{"everything fails", 5, func(int) (string, bool) { return "GET", true }},
		{"everything fails, of two", 2, func(int) (string, bool) { return "GET", true }},
		{"every third fails", 5, func(i int) (string, bool) { return "GET", i*7%3 == 0 }},
		{"one method always fails", 5, func(i int) (string, bool) {
			if i%7 == 0 {
				return "broken", true
			}
			return fmt.Sprint("m", i%3), false
		}},
		{"a new method always fails", 5, func(i int) (string, bool) {
			if i > 2000 && i%4 == 0 {
				return "new and broken", true
			}
			return "GET", false
		}},
		{"many methods, each fails", 3, func(i int) (string, bool) { return fmt.Sprint("m", i%200), i%2 == 0 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, Config{}, named(tt.nodes)...)
			r.run(500, Call{Method: "GET"}, well)
			for i := range 4000 {
				method, fails := tt.call(i)
				result := well
				if fails {
					result = down(all...)
				}
				r.run(1, Call{Method: method, Retriable: true}, result)
			}
			wantIDs(t, "ejected", r.ejected())
			wantIDs(t, "ejected meanwhile", r.heard(Ejected))
		})
	}
}

// The evidence against a node must not pile up as long as nobody is well.
func TestALongOutageEjectsNobody(t *testing.T) {
	r := newRig(t, Config{Strategy: &RoundRobin{}}, named(3)...)
	r.run(100, errand, well)
	r.run(60_000, errand, down("a", "b", "c"))
	wantIDs(t, "ejected", r.heard(Ejected))
}

func TestAllRefusedEjectsNobody(t *testing.T) {
	for _, n := range []int{2, 5} {
		r := newRig(t, Config{}, named(n)...)
		r.run(100, errand, well)
		r.run(2000, errand, refusing("a", "b", "c", "d", "e"))
		wantIDs(t, fmt.Sprint("ejected of ", n), r.ejected())
		wantIDs(t, "ejected meanwhile", r.heard(Ejected))
	}
}

// A method that fails on one node only is that node's fault.
func TestAMethodThatFailsOnOneNode(t *testing.T) {
	r := newRig(t, Config{}, named(5)...)
	for i := range 3000 {
		if i%5 == 0 {
			r.run(1, Call{Method: "report"}, down("c"))
		} else {
			r.run(1, Call{Method: "GET"}, well)
		}
	}
	if ids := r.heard(Ejected); len(ids) == 0 || ids[0] != "c" {
		t.Errorf("ejected %v, want c", ids)
	}
}

func TestOneNodeIsNeverEjected(t *testing.T) {
	r := newRig(t, Config{}, named(1)...)
	r.run(1000, errand, down("a"))
	wantIDs(t, "ejected", r.ejected())
	if s := r.status("a"); s.Failures != 1000 || s.State != breaker.Closed {
		t.Errorf("got %+v, want 1000 failures counted and a closed breaker", s)
	}

	// Left alone while it is out, it is used all the same, and comes back.
	r = newRig(t, Config{}, named(2)...)
	r.run(100, errand, down("a"))
	wantIDs(t, "ejected of two", r.ejected(), "a")
	r.source.report(named(1), nil)
	if picks := r.run(100, errand, down("a")); picks["a"] != 100 {
		t.Errorf("picks %v, want all at the only node", picks)
	}
	r.pass(time.Minute)
	r.run(2, errand, well)
	wantIDs(t, "ejected when it is well", r.ejected())
}

func TestOfTwoOneStays(t *testing.T) {
	r := newRig(t, Config{}, named(2)...)
	r.run(100, errand, well)
	r.run(500, Call{Method: "GET /"}, down("a"))
	wantIDs(t, "ejected", r.ejected(), "a")
	r.run(50, Call{Method: "GET /"}, down("a", "b"))
	wantIDs(t, "ejected when both are ill", r.ejected(), "a")
	r.run(2000, errand, down("a", "b"))
	if out := r.ejected(); len(out) > 1 {
		t.Errorf("ejected %v, want one of two at most", out)
	}
}

func TestABurstIsOneObservation(t *testing.T) {
	burst := func(cfg Ejection, size int) *rig {
		r := newRig(t, Config{Strategy: &RoundRobin{}, Ejection: cfg}, named(5)...)
		r.run(500, errand, well)
		start := r.clk.Now()
		var broken []Picked
		for len(broken) < size {
			p := r.pick(errand)
			if p.Node().ID == "c" {
				broken = append(broken, p)
				continue
			}
			p.Done(Report{Result: breaker.Success})
		}
		r.pass(50 * time.Millisecond)
		for i := range broken { // one connection breaks, with every call on it
			r.pass(10 * time.Microsecond)
			broken[i].Done(Report{Result: breaker.Failure, Start: start})
		}
		return r
	}
	one := burst(Ejection{}, 1).status("c").Score
	for _, size := range []int{20, 200} {
		r := burst(Ejection{}, size)
		if got := r.status("c"); got.Score != one || got.Ejected || got.Failures != uint64(size) {
			t.Errorf("%d at once: got %+v, want score %.2f, as of one failure, and each of them counted", size, got, one)
		}
	}
	for _, off := range []time.Duration{-1, 5 * time.Microsecond} { // not lumped, each counts
		r := burst(Ejection{Burst: off}, 20)
		if got := r.status("c"); got.Score < got.Threshold || got.Ejected {
			t.Errorf("burst %v: got %+v, want a score at the threshold, and no ejection before its peers are called", off, got)
		}
	}
}

func TestEjectionOff(t *testing.T) {
	r := newRig(t, Config{Ejection: Ejection{Off: true}}, named(5)...)
	r.run(2000, errand, down("a"))
	wantIDs(t, "ejected", r.ejected())
	if s := r.status("a"); s.Failures < 100 || s.Score < s.Threshold {
		t.Errorf("got %+v, want failures counted and a score at the threshold", s)
	}
	if err := r.sel.Update(Config{}); err != nil {
		t.Fatal(err)
	}
	r.run(100, errand, down("a"))
	wantIDs(t, "ejected after it was turned on", r.ejected(), "a")
}

// All are ill, and all but one are replaced: the window in which that one is
// compared must not be that of peers that are gone.
func TestARollingReplacementDoesNotShelterAnIllNode(t *testing.T) {
	r := newRig(t, Config{}, named(5)...)
	r.run(500, errand, well)
	r.run(2000, errand, down("a", "b", "c", "d", "e"))
	wantIDs(t, "ejected in the outage", r.ejected())
	fresh := append(named(9)[5:], named(1)...) // f g h i, and a
	r.source.report(fresh, nil)
	r.run(300, Call{Method: "GET /"}, down("a"))
	wantIDs(t, "ejected after the replacement", r.ejected(), "a")
}

// The same when only the sick one's peers get well again.
func TestAfterAnOutageWhoStaysIllIsEjected(t *testing.T) {
	r := newRig(t, Config{}, named(5)...)
	r.run(500, errand, well)
	r.run(5000, errand, down("a", "b", "c", "d", "e"))
	r.run(1000, Call{Method: "GET /"}, down("a"))
	wantIDs(t, "ejected", r.ejected(), "a")
}

// That an ill service ejects nobody is told, once a stretch of failures.
func TestSparedIsTold(t *testing.T) {
	r := newRig(t, Config{}, named(5)...)
	r.run(500, errand, well)
	wantIDs(t, "spared while all is well", r.heard(Spared))
	r.run(1000, errand, down("a", "b", "c", "d", "e"))
	spared := r.heard(Spared)
	slices.Sort(spared)
	wantIDs(t, "spared", spared, "a", "b", "c", "d", "e")
	for _, e := range r.events {
		if e.Kind == Spared && (e.Reason.Score >= e.Reason.Threshold || e.Reason.Failures == 0) {
			t.Errorf("spared %s by %+v", e.Node, e.Reason)
		}
	}
	wantIDs(t, "ejected", r.ejected())
}

func TestKindNames(t *testing.T) {
	tests := map[Kind]string{
		NodesChanged: "nodes changed", SourceFailed: "source failed", Ejected: "ejected", ProbeFailed: "probe failed",
		Readmitted: "readmitted", Prevented: "ejection prevented", Suspected: "suspected", Cleared: "cleared", Spared: "spared", Spared + 1: "Kind(9)", 255: "Kind(255)",
	}
	for k, want := range tests {
		if got := k.String(); got != want {
			t.Errorf("Kind %d is %q, want %q", uint8(k), got, want)
		}
	}
}
