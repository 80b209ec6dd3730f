package selector

import (
	"testing"

	"github.com/holdfast-go/holdfast/breaker"
)

// A full cap does not keep a node in that nobody can connect to, and its going
// leaves the cap as it was.
func TestRefusedConnectionsAreNotStoppedByTheCap(t *testing.T) {
	r := newRig(t, Config{Strategy: &RoundRobin{}}, named(5)...)
	once := Call{Method: "GET /"}
	r.run(250, errand, well)
	r.run(250, once, down("a", "b"))
	wantIDs(t, "ejected: the cap is reached", r.ejected(), "a", "b")
	ill := func(errors ...string) func(*Node) Report {
		return func(n *Node) Report {
			if n.ID == "c" {
				return Report{Result: breaker.Failure, NotSent: true}
			}
			return down(errors...)(n)
		}
	}
	r.run(250, once, ill("a", "b"))
	wantIDs(t, "ejected with c, which refuses connections", r.ejected(), "a", "b", "c")
	wantIDs(t, "prevented", r.heard(Prevented))
	r.run(250, once, ill("a", "b", "d"))
	wantIDs(t, "ejected with d ill", r.ejected(), "a", "b", "c")
	wantIDs(t, "prevented", r.heard(Prevented), "d")
}

// Nodes that are not ready are not of the set that the cap is a share of …
func TestNotReadyNodesDoNotRaiseTheCap(t *testing.T) {
	r := newRig(t, Config{Strategy: &RoundRobin{}}, named(6)...)
	r.run(300, errand, well)
	for _, id := range []string{"e", "f"} {
		if err := r.sel.SetReady(id, false); err != nil {
			t.Fatal(err)
		}
	}
	r.run(400, Call{Method: "GET /"}, down("a", "b", "c"))
	if out := r.ejected(); len(out) != 2 { // of four; of six it would be three
		t.Errorf("ejected %v of the four that are ready, want two", out)
	}
	if prevented := r.heard(Prevented); len(prevented) != 1 {
		t.Errorf("prevented %v, want the third", prevented)
	}
}

// … nor do they use it up when they are ejected.
func TestNotReadyNodesDoNotConsumeTheCap(t *testing.T) {
	r := newRig(t, Config{Strategy: &RoundRobin{}}, named(5)...)
	once := Call{Method: "GET /"}
	r.run(250, errand, well)
	r.run(250, once, down("a", "b"))
	wantIDs(t, "ejected: the cap is reached", r.ejected(), "a", "b")
	if err := r.sel.SetReady("a", false); err != nil {
		t.Fatal(err)
	}
	r.run(250, once, down("b", "c"))
	wantIDs(t, "ejected of the four that are ready, and a", r.ejected(), "a", "b", "c")
}
