package selector

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// A probe's timeout ejects nobody whose breaker cannot be tripped: the node
// stays a suspect, is probed again, and is back with its first answer.
func TestASuspectWithAForeignBreakerComesBack(t *testing.T) {
	r := silenceRig(t, 3, Config{Engine: &foreign{most: 1000, openFor: time.Second}})
	r.stall(200, func() bool { return r.status("a").Suspect }, "a")
	probe := func(rep Report) {
		t.Helper()
		r.pass(time.Duration(unheardFor) + time.Millisecond)
		p := r.pick(errand)
		if p.Node().ID != "a" || !p.Probe() {
			t.Fatalf("the call goes to %v, probe %v, want a probe of a", p.Node(), p.Probe())
		}
		p.Done(rep)
	}
	for range 3 {
		if probe(timedOut); !r.status("a").Suspect {
			t.Fatalf("%+v, want it to stay a suspect", r.status("a"))
		}
	}
	probe(Report{Result: breaker.Success, Elapsed: time.Millisecond})
	if got := r.run(30, errand, well)["a"]; got < 5 {
		t.Errorf("%d of 30 calls go to a node that answers again", got)
	}
}

// Where there is no better node, waiting is all there is.
func TestNobodyElseToTurnTo(t *testing.T) {
	for name, cfg := range map[string]Config{
		"all are out":     {},
		"silence ignored": {Ejection: Ejection{IgnoreSilence: true}},
		"ejection off":    {Ejection: Ejection{Off: true}},
	} {
		r := silenceRig(t, 2, cfg)
		p := r.pick(errand)
		for _, id := range []string{"a", "b"} {
			if name == "all are out" || id == p.Node().ID {
				if err := r.sel.Eject(id, ""); err != nil {
					t.Fatal(err)
				}
			}
		}
		r.pass(100 * time.Millisecond)
		if silent, _ := p.Overdue(); silent {
			t.Errorf("%s: given up", name)
		}
		p.Done(Report{Result: breaker.Success})
	}
}

// What was given up does not go on being silent.
func TestGivenUpCallsAgeNoMore(t *testing.T) {
	r := silenceRig(t, 3, Config{})
	at := func(id string) (p Picked) {
		for range 10 {
			if p = r.pick(errand); p.Node().ID == id {
				return p
			}
			p.Done(Report{Result: breaker.Success, Elapsed: time.Millisecond})
		}
		t.Fatalf("nothing goes to %s: %v", id, r.heard(Suspected))
		return p
	}
	first := at("a")
	r.pass(30 * time.Millisecond) // now it owes an answer
	var others []Picked
	for range 4 {
		others = append(others, at("a"))
	}
	r.pass(5 * time.Millisecond) // less than a call takes
	for i := range others {
		others[i].Done(Report{Result: breaker.Ignored, Silent: true})
	}
	first.Done(Report{Result: breaker.Ignored, Silent: true})
	r.pass(10 * time.Second)
	first = at("a")
	r.pass(30 * time.Millisecond)
	if _, tell := first.Overdue(); tell != nil {
		tell()
	}
	if got := r.heard(Suspected); len(got) > 0 {
		t.Errorf("%q suspected for four calls that were given up after half of what is usual", got)
	}
	first.Done(Report{Result: breaker.Success, Elapsed: 30 * time.Millisecond})
}

// A node that was restarted is slow at first, and must have the time to say so.
func TestAProbeIsGivenTime(t *testing.T) {
	r := newRig(t, Config{SlowStart: -1, Strategy: &RoundRobin{}}, named(2)...)
	for range 400 {
		p := r.pick(errand)
		r.pass(100 * time.Microsecond)
		p.Done(Report{Result: breaker.Success, Elapsed: 100 * time.Microsecond})
	}
	if err := r.sel.Eject("a", ""); err != nil {
		t.Fatal(err)
	}
	r.pass(time.Minute)
	p := r.pick(errand)
	if !p.Probe() {
		t.Fatal("want a probe")
	}
	r.pass(90 * time.Millisecond)
	if silent, _ := p.Overdue(); silent {
		t.Error("a probe is given up before 100 ms")
	}
	r.pass(20 * time.Millisecond)
	if silent, _ := p.Overdue(); !silent {
		t.Error("a probe is not given up")
	}
	p.Done(timedOut)
}

// Back by hand is back, and what was asked before says nothing any more.
func TestReadmitClearsASuspect(t *testing.T) {
	for _, ejected := range []bool{false, true} {
		r := silenceRig(t, 3, Config{})
		r.stall(200, func() bool { return r.status("a").Suspect }, "a")
		if ejected {
			if err := r.sel.Eject("a", ""); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.sel.Readmit("a", ""); err != nil {
			t.Fatal(err)
		}
		if s := r.status("a"); s.Suspect || s.Ejected {
			t.Errorf("ejected before %v: %+v after Readmit", ejected, s)
		}
		if !ejected {
			wantIDs(t, "cleared", r.heard(Cleared), "a")
		}
	}
}

// A node that was away is not held to what it owed when it left.
func TestSilenceEndsWithTheNode(t *testing.T) {
	r := silenceRig(t, 3, Config{})
	r.stall(12, nil, "a")
	r.source.report(named(3)[1:], nil)
	r.pass(time.Minute)
	r.run(10, errand, well)
	r.source.report(named(3), nil)
	r.run(6, errand, well)
	if got := r.heard(Suspected); len(got) > 0 {
		t.Errorf("%q suspected for what it owed a minute ago", got)
	}
}
