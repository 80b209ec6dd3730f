package selector

import (
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

func TestSetReady(t *testing.T) {
	r := newRig(t, Config{}, named(3)...)
	if err := r.sel.SetReady("x", false); err == nil {
		t.Error("an unknown node: got nil, want an error")
	}
	ready := func(yes bool, ids ...string) {
		t.Helper()
		for _, id := range ids {
			if err := r.sel.SetReady(id, yes); err != nil {
				t.Fatal(err)
			}
		}
	}
	ready(false, "a", "a")
	if s := r.status("a"); !s.NotReady || s.Ejected {
		t.Errorf("got %+v, want it not ready, and not ejected", s)
	}
	if picks := r.run(100, errand, well); picks["a"] > 0 {
		t.Errorf("picks %v, want none at a", picks)
	}
	b, c := r.status("b").Node, r.status("c").Node
	if !r.sel.HasUntried([]*Node{b}) || r.sel.HasUntried([]*Node{b, c}) {
		t.Error("want c untried after b, and none after both: a is not ready")
	}
	ready(false, "b", "c")
	if picks := r.run(100, errand, well); len(picks) == 0 {
		t.Error("no node was used when none is ready")
	}
	ready(true, "b")
	if picks := r.run(100, errand, well); picks["b"] != 100 {
		t.Errorf("picks %v, want all at b", picks)
	}
	ready(true, "a", "c")
	if picks := r.run(100, errand, well); len(picks) != 3 {
		t.Errorf("picks %v, want some at each", picks)
	}
}

// Nodes that are not ready neither consume the cap nor count towards it, and
// are not probed.
func TestNotReadyAndEjected(t *testing.T) {
	r := newRig(t, Config{}, named(4)...)
	for _, id := range []string{"c", "d"} {
		if err := r.sel.SetReady(id, false); err != nil {
			t.Fatal(err)
		}
	}
	r.run(100, payment, well)
	r.run(500, payment, down("a"))
	r.run(500, payment, down("a", "b"))
	wantIDs(t, "ejected of the two that are ready", r.ejected(), "a")
	if err := r.sel.SetReady("a", false); err != nil {
		t.Fatal(err)
	}
	r.pass(time.Minute)
	if picks := r.run(50, errand, well); picks["a"] > 0 {
		t.Errorf("picks %v: a was probed, and is not ready", picks)
	}
	if err := r.sel.SetReady("a", true); err != nil {
		t.Fatal(err)
	}
	if n, probe := r.call(errand, well); n.ID != "a" || !probe {
		t.Errorf("got %v, probe %v, want a probe of a as soon as it is ready", n, probe)
	}
}

// When nobody is admitted all are used, the healthiest first, and those that
// are not ready last.
func TestTheHealthiestOfTheIll(t *testing.T) {
	r := newRig(t, Config{Strategy: &RoundRobin{}}, named(4)...)
	for i := range 400 { // a fails most, d least
		r.run(1, payment, down([]string{"a", "b", "c", "d"}[:max(0, 3-i/100)]...))
	}
	r.run(40, payment, down("a", "b", "c"))
	r.run(40, payment, down("a", "b"))
	r.run(40, payment, down("a"))
	for _, id := range []string{"a", "b", "c", "d"} {
		if err := r.sel.Eject(id, "test"); err != nil {
			t.Fatal(err)
		}
	}
	want := func(id string, tried ...string) {
		t.Helper()
		c := payment
		for _, id := range tried {
			c.Tried = append(c.Tried, r.status(id).Node)
		}
		if p := r.pick(c); p.Node().ID != id {
			t.Errorf("after %v: picked %v, want %s", tried, p.Node(), id)
		}
	}
	fleet := named(4)
	slices.Reverse(fleet)
	r.source.report(fleet, nil)
	want("d")
	want("c", "d")
	want("b", "c", "d")
	want("a", "b", "c", "d")
	want("d", "a", "b", "c", "d")
	if err := r.sel.SetReady("d", false); err != nil {
		t.Fatal(err)
	}
	want("c")
	want("d", "a", "b", "c")
}

func TestZonePreference(t *testing.T) {
	nodes := named(8)
	for i := range nodes {
		nodes[i].Zone = []string{"x", "y"}[i/4] // a b c d in x
	}
	r := newRig(t, Config{Zone: "x", Strategy: &RoundRobin{}}, nodes...)
	zones := func(c Call) (x, y int) {
		for id, n := range r.run(80, c, well) {
			if id <= "d" {
				x += n
			} else {
				y += n
			}
		}
		return x, y
	}
	want := func(what string, c Call, wantX, wantY int) {
		t.Helper()
		if x, y := zones(c); x != wantX || y != wantY {
			t.Errorf("%s: %d calls in x and %d in y, want %d and %d", what, x, y, wantX, wantY)
		}
	}
	of := func(ids ...string) (tried []*Node) {
		for _, id := range ids {
			tried = append(tried, r.status(id).Node)
		}
		return tried
	}
	want("all well", payment, 80, 0)
	want("a was tried", Call{Tried: of("a")}, 80, 0)
	want("all of x were tried", Call{Tried: of("a", "b", "c", "d")}, 0, 80)
	for _, id := range []string{"a", "b"} {
		if err := r.sel.SetReady(id, false); err != nil {
			t.Fatal(err)
		}
	}
	want("half of x is left", payment, 80, 0)
	if err := r.sel.Eject("c", "test"); err != nil {
		t.Fatal(err)
	}
	want("less than half is left", payment, 16, 64) // 1 and 4 nodes
	if err := r.sel.Update(Config{Zone: "y", Strategy: &RoundRobin{}}); err != nil {
		t.Fatal(err)
	}
	want("we moved to y", payment, 0, 80)
	if err := r.sel.Update(Config{Zone: "z", Strategy: &RoundRobin{}}); err != nil {
		t.Fatal(err)
	}
	want("nobody is where we are", payment, 16, 64)
}

func TestByHand(t *testing.T) {
	r := newRig(t, Config{}, named(3)...)
	for _, err := range []error{r.sel.Eject("x", ""), r.sel.Readmit("x", "")} {
		if err == nil || err.Error() != `node "x": not in the set` {
			t.Errorf("got %v, want an error that names the node", err)
		}
	}
	r.forget()
	for range 2 {
		if err := r.sel.Eject("a", "maintenance"); err != nil {
			t.Fatal(err)
		}
	}
	wantIDs(t, "ejected", r.ejected(), "a")
	if picks := r.run(20, payment, well); picks["a"] > 0 {
		t.Errorf("picks %v, want none at a", picks)
	}
	if err := r.sel.Eject("b", "the cap does not apply"); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "ejected", r.ejected(), "a", "b")
	wantIDs(t, "events", r.heard(Ejected), "a", "b")
	if e := r.events[0]; e.Reason.Cause != breaker.ByHand || e.Reason.Note != "maintenance" || e.OpenFor <= 0 {
		t.Errorf("got event %+v, want one that says who did it and for how long", e)
	}
	if err := r.sel.Eject("c", "all of them"); err != nil {
		t.Fatal(err)
	}
	r.run(20, payment, well) // all are used when none is left

	r = newRig(t, Config{}, named(3)...)
	if err := r.sel.Eject("a", "maintenance"); err != nil {
		t.Fatal(err)
	}
	r.forget()
	for range 2 {
		if err := r.sel.Readmit("a", "done"); err != nil {
			t.Fatal(err)
		}
	}
	wantIDs(t, "ejected", r.ejected())
	wantIDs(t, "readmitted", r.heard(Readmitted), "a")
	if e := r.events[0]; e.Reason.Cause != breaker.ByHand || e.Reason.Note != "done" {
		t.Errorf("got event %+v, want one that says who did it", e)
	}
	if s := r.status("a"); s.State != breaker.Closed {
		t.Errorf("the breaker is %v, want closed", s.State)
	}
}
