package selector

import (
	"fmt"
	"testing"
)

// The cap is counted with the ejection in question.
func TestTheCap(t *testing.T) {
	tests := []struct {
		nodes int
		share float64
		ill   []string
		out   int
	}{
		{5, 0, []string{"a"}, 1},
		{5, 0, []string{"a", "b"}, 2},
		{5, 0, []string{"a", "b", "c"}, 2}, // 3 of 5 would be more than half
		{4, 0, []string{"a", "b"}, 2},
		{4, 0, []string{"a", "b", "c"}, 2},
		{3, 0, []string{"a", "b"}, 1},
		{2, .01, []string{"a"}, 1}, // one can always go
		{10, .01, []string{"a", "b"}, 1},
		{10, .29, []string{"a", "b", "c"}, 2},
		{10, 1, []string{"a", "b", "c", "d"}, 4},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d nodes, %d ill, share %v", tt.nodes, len(tt.ill), tt.share), func(t *testing.T) {
			r := newRig(t, Config{Strategy: &RoundRobin{}, Ejection: Ejection{MaxShare: tt.share}}, named(tt.nodes)...)
			r.run(50*tt.nodes, errand, well)
			most := 0
			for range 100 * tt.nodes {
				r.run(1, Call{Method: "GET /"}, down(tt.ill...))
				most = max(most, len(r.ejected()))
			}
			if most != tt.out {
				t.Errorf("%d ejected, want %d", most, tt.out)
			}
			prevented := r.heard(Prevented)
			if len(prevented) != len(tt.ill)-tt.out {
				t.Errorf("prevented %v, want each of the %d that had to stay, once", prevented, len(tt.ill)-tt.out)
			}
		})
	}
}

// Who has nobody at the other end does not use up the cap of the others.
func TestRefusedConnectionsDoNotConsumeTheCap(t *testing.T) {
	r := newRig(t, Config{Strategy: &RoundRobin{}}, named(6)...)
	r.run(300, errand, well)
	once := Call{Method: "GET /"}
	r.run(300, once, func(n *Node) Report { // refused on four of six, more than half
		if n.ID <= "d" {
			return refusing(n.ID)(n)
		}
		return well(n)
	})
	if out := r.ejected(); len(out) != 4 {
		t.Fatalf("ejected %v, want the four that refuse", out)
	}
	// One of the two that are left fails: it may still go.
	for range 200 {
		r.run(1, once, func(n *Node) Report {
			switch {
			case n.ID <= "d":
				return refusing(n.ID)(n)
			case n.ID == "e":
				return down("e")(n)
			}
			return well(n)
		})
	}
	if !r.status("e").Ejected || r.status("f").Ejected {
		t.Errorf("ejected %v, want e too, and f never", r.ejected())
	}
}

// grpc-go: ejected endpoints that were deleted went on consuming the cap.
func TestNodesThatAreGoneDoNotConsumeTheCap(t *testing.T) {
	r := newRig(t, Config{}, named(5)...)
	r.run(200, errand, well)
	r.run(300, Call{Method: "GET /"}, down("a", "b"))
	wantIDs(t, "ejected", r.ejected(), "a", "b")
	fresh := named(7)[2:] // c d e f g
	r.source.report(fresh, nil)
	r.run(300, errand, well)
	r.run(300, Call{Method: "GET /"}, down("c"))
	wantIDs(t, "ejected after a and b were replaced", r.ejected(), "c")
}
