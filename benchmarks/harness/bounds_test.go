package harness

import (
	"math"
	"testing"
	"time"
)

func (s scripted) tried(process int, id string, begin, end int, change func(*Entry)) {
	e := Entry{Kind: TriedNode, ID: id, Attempt: 1, Node: "hello-2", Start: s.when(begin), End: s.when(end)}
	if id[0] == 'p' {
		e.Route = Post
	}
	if change != nil {
		change(&e)
	}
	s.Entries[process] = append(s.Entries[process], e)
}

// What was in flight at a kill: as the ledger knows it, as a client knows it,
// and on connections to the dead.
func TestInFlight(t *testing.T) {
	s := newScripted()
	s.did(DoKill, 4000, 4010, nil)
	s.record(Begun, "p1", "hello-2", 3995) // killed half way, carried out
	s.record(Applied, "p1", "hello-2", 3998)
	s.record(Begun, "p2", "hello-2", 3980) // over by then
	s.record(Ended, "p2", "hello-2", 3990)
	s.record(Begun, "p3", "hello-1", 3995) // on another
	s.tried(0, "p4", 3999, 4020, nil)      // on the wire
	s.tried(0, "g1", 3999, 4020, nil)
	s.tried(0, "p5", 4005, 4006, func(e *Entry) { e.NotSent = true })
	s.tried(1, "p6", 4100, 4101, func(e *Entry) { e.Born = s.when(3000) }) // on a connection to the dead
	s.tried(1, "p7", 4100, 4101, func(e *Entry) { e.Born = s.when(4050) })
	flight := s.InFlight(0)
	if len(flight) != 4 || s.InFlightPosts(0) != 3 || s.InFlightGhosts(0) != 1 {
		t.Errorf("in flight %v: %d POSTs, %d carried out; want p1, p4, p6 and g1, and 1 carried out", flight, s.InFlightPosts(0), s.InFlightGhosts(0))
	}
	s.shot("p4", Post, 3990, 4030, true) // answered all the same
	s.Shots[0].Node = "hello-2"
	if s.InFlightPosts(0) != 2 {
		t.Errorf("%d POSTs, want p1 and p6: p4 was answered", s.InFlightPosts(0))
	}
	s.Shots[0].Node = "hello-1" // by another: it was repeated
	if s.InFlightPosts(0) != 3 {
		t.Errorf("%d POSTs, want 3: p4 was repeated", s.InFlightPosts(0))
	}
	s.Info.Keyed = true
	if s.InFlightPosts(0) != 0 || s.InFlightGhosts(0) != 0 {
		t.Error("keyed POSTs may be repeated")
	}
	s.Info.Keyed = false
	if s.InFlightPosts(7) != 0 {
		t.Error("a step that was not done")
	}
}

// Of a cut only the clients behind it count, and its connections live on.
func TestInFlightAtACut(t *testing.T) {
	s := newScripted()
	s.did(DoCut, 4000, 4010, func(step *Step) { step.From = []int{1} })
	for process, id := range []string{"p1", "p2"} {
		s.shot(id, Post, 3990, 5000, false)
		s.Shots[process].Process = process
		s.record(Begun, id, "hello-2", 3995)
	}
	s.shot("p3", Post, 7000, 7010, true)
	s.Shots[2].Process = 1
	s.tried(1, "p3", 7000, 7010, func(e *Entry) { e.Born = s.when(3000) })
	if flight := s.InFlight(0); len(flight) != 1 || s.InFlightPosts(0) != 1 {
		t.Errorf("in flight %v, want p2", flight)
	}
}

// What an orderly end of a connection takes with it: failed, sent, and unseen.
func TestUnseenPosts(t *testing.T) {
	s := newScripted()
	s.did(DoDrain, 4000, 4300, nil)
	failed := func(e *Entry) { e.Detail = "EOF" }
	s.tried(0, "p1", 4200, 4201, failed)
	s.tried(0, "p2", 4200, 4210, failed) // the instance saw it
	s.record(Begun, "p2", "hello-2", 4201)
	s.tried(0, "p3", 4200, 4210, nil)
	s.tried(0, "p4", 4200, 4201, func(e *Entry) { e.Detail, e.NotSent = "refused", true })
	s.tried(0, "p5", 5000, 5001, failed)
	s.tried(0, "g1", 4200, 4201, failed)
	if n := s.UnseenPosts(0); n != 1 {
		t.Errorf("%d unseen, want p1", n)
	}
}

func TestFailedPosts(t *testing.T) {
	s := newScripted()
	s.record(Begun, "p1", "hello-1", 4100)
	s.record(Failed, "p1", "hello-1", 4110)
	s.record(Applied, "p2", "hello-1", 4105)
	s.record(Failed, "p2", "hello-1", 4110)
	s.record(Failed, "g1", "hello-1", 4110)
	s.record(Failed, "p3", "hello-1", 5000)
	if failed, applied := s.FailedPosts(4*time.Second, 5*time.Second); failed != 2 || applied != 1 {
		t.Errorf("%d failed, %d of them carried out; want 2 and 1", failed, applied)
	}
}

// The baseline is service times and the overhead of the warm-up.
func TestBaseline(t *testing.T) {
	s := newScripted() // 10 ms each
	for i, overhead := range []int{1, 1, 1, 3} {
		id := string(rune('a' + i))
		s.shot("g"+id, Get, 2000+100*i, 2010+100*i+overhead, true)
		s.record(Begun, "g"+id, "hello-1", 2000+100*i)
		s.record(Ended, "g"+id, "hello-1", 2010+100*i)
	}
	s.shot("g1", Get, 100, 500, true) // while connections are made
	s.record(Ended, "g1", "hello-1", 490)
	s.shot("g2", Get, 4500, 4900, true) // in the fault
	s.record(Begun, "g2", "hello-1", 4500)
	s.record(Failed, "g2", "hello-1", 4520)
	s.record(Begun, "g2", "hello-1", 4530)
	s.record(Ended, "g2", "hello-1", 4540)
	for percent, want := range map[float64]float64{50: 11, 99: 13} {
		if got := s.BaselineMs(percent); math.Abs(got-want) > 0.05 {
			t.Errorf("p%v %v ms, want %v", percent, got, want)
		}
	}
	if got := s.SilenceMs(); got != 11 {
		t.Errorf("silence %v ms, want 11", got)
	}
	// Two attempts, of 20 and 10 ms, and the overhead of each.
	if got := s.WorkedMs(50); math.Abs(got-32) > 0.05 {
		t.Errorf("worked %v ms, want 32", got)
	}
}

// An instance that dies by itself was dead right after its last word.
func TestDeaths(t *testing.T) {
	s := newScripted()
	s.did(DoSicken, 4000, 4100, func(step *Step) { step.Illness.Die = AfterEffect })
	s.did(DoStart, 5000, 5010, nil)
	s.record(Ended, "p1", "hello-2", 3990)
	s.record(Applied, "p2", "hello-2", 4060)
	s.record(Applied, "p3", "hello-1", 4090)
	s.record(Begun, "p4", "hello-2", 5020)
	s.deaths()
	if got := s.Steps[0].Begin; got != 4060*time.Millisecond {
		t.Errorf("dead from %v, want 4.06s", got)
	}
	if got := s.Steps[1].Begin; got != 5*time.Second {
		t.Errorf("another step begins at %v", got)
	}
}

// An outage is over when the first instance says so, or has been asked.
func TestBack(t *testing.T) {
	s := newScripted()
	s.did(DoKill, 4000, 4010, nil)
	s.did(DoStart, 7000, 7900, nil)
	s.record(Begun, "g1", "hello-2", 3995)
	for _, tt := range []struct{ first, want int }{{0, 7000}, {7600, 7600}} {
		s.Steps[1].First = time.Duration(tt.first) * time.Millisecond
		if got := s.Back(1); got != time.Duration(tt.want)*time.Millisecond {
			t.Errorf("first at %d: back after %v, want %d ms", tt.first, got, tt.want)
		}
	}
	s.record(Begun, "g2", "hello-3", 7550)
	if got := s.Back(1); got != 7550*time.Millisecond {
		t.Errorf("back after %v, want 7.55s", got)
	}
}
