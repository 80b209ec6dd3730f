package selector

import (
	"fmt"
	"slices"
	"testing"

	"github.com/holdfast-go/holdfast/breaker"
)

// Each test here is named after a defect of a peer that was reproduced, and
// shows that this selector does not have it.

// In grpc-go, deleting an ejected endpoint never lowers the count of those
// that are ejected: after a rolling replacement a node that failed every call
// stayed in.
func TestGRPCDefect_DeletedEjectedEndpointKeepsCount(t *testing.T) {
	r := newRig(t, Config{Strategy: &RoundRobin{}}, named(4)...)
	once := Call{Method: "GET /"}
	fleet := named(26)
	for k := 0; k+6 <= len(fleet); k += 2 { // all of them are replaced, again and again
		set := fleet[k : k+4]
		r.source.report(set, nil)
		r.run(100, once, well)
		ill := []string{set[0].ID, set[1].ID} // as many as the cap allows
		r.run(200, once, down(ill...))
		wantIDs(t, fmt.Sprint("ejected of ", set), r.ejected(), ill...)
	}
}

// Envoy ejects nobody below 10 hosts, at its defaults.
func TestEnvoyDefect_NobodyEjectedBelowTenHosts(t *testing.T) {
	for n := 2; n < 10; n++ {
		r := newRig(t, Config{}, named(n)...)
		r.run(20*n, errand, well)
		r.run(100*n, Call{Method: "GET /"}, down("b"))
		wantIDs(t, fmt.Sprintf("ejected of %d", n), r.ejected(), "b")
	}
}

// go-micro's Mark and Reset are empty: nothing is ever ejected, nor taken back.
// (The blacklist before them went by errors of any kind: package resilience has
// a test of the same name that an answer ejects nobody.)
func TestGoMicroDefect_MarkDoesNothing(t *testing.T) {
	r := newRig(t, Config{}, named(3)...)
	r.run(100, errand, well)
	r.run(100, Call{Method: "GET /"}, down("b"))
	wantIDs(t, "ejected", r.ejected(), "b")
	if err := r.sel.Readmit("b", "mended"); err != nil {
		t.Fatal(err)
	}
	if picks := r.run(2000, errand, well); picks["b"] == 0 {
		t.Errorf("picks %v, want some at b again", picks)
	}
}

// go-micro's RoundRobin starts afresh at every call, at random, and picks from
// an explicit list of addresses by the second on the clock.
func TestGoMicroDefect_RoundRobinReseeds(t *testing.T) {
	r := newRig(t, Config{Strategy: &RoundRobin{}}, named(3)...)
	var turns []string
	for range 30 {
		p := r.pick(errand) // time stands still
		turns = append(turns, p.Node().ID)
		p.Done(Report{Result: breaker.Success})
	}
	for i := range turns[3:] {
		if turns[i+3] != turns[i] || turns[i+1] == turns[i] {
			t.Fatalf("%v, want each in its turn", turns)
		}
	}
}

// go-micro's retry draws with replacement and may go to the node that has just
// failed; so may grpc-go's; Kitex records the previous node and does not avoid
// it.
func TestGoMicroDefect_RetryHitsSameNode(t *testing.T) {
	for _, s := range []Strategy{TwoChoices{}, Random{}, &RoundRobin{}, Weighted{}} {
		r := newRig(t, Config{Strategy: s, Ejection: Ejection{Off: true}}, named(3)...)
		for range 300 {
			c := errand
			for range 3 {
				p := r.pick(c)
				if slices.Contains(c.Tried, p.Node()) {
					t.Fatalf("%T: picked %v after %v", s, p.Node(), c.Tried)
				}
				c.Tried = append(c.Tried, p.Node())
				p.Done(Report{Result: breaker.Failure})
			}
		}
	}
}
