package selector

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// timed makes an attempt that takes as long as its node does.
func (r *rig) timed(take func(*Node) time.Duration) string {
	r.t.Helper()
	p := r.pick(payment)
	n, start := p.Node(), r.clk.Now()
	d := take(n)
	r.pass(d)
	p.Done(Report{Result: breaker.Success, Start: start, Elapsed: d})
	return n.ID
}

func always(d time.Duration) func(*Node) time.Duration {
	return func(*Node) time.Duration { return d }
}

// A long poll, or a stall that is over, says little about the next call.
func TestOneSlowAnswerDoesNotStarve(t *testing.T) {
	for _, nodes := range []int{2, 3} {
		r := newRig(t, Config{SlowStart: -1}, named(nodes)...)
		slow := r.timed(always(30 * time.Second))
		got := 0
		for range 6000 {
			r.pass(100 * time.Millisecond)
			if r.timed(always(time.Millisecond)) == slow {
				got++
			}
		}
		if got < 6000/nodes/4 {
			t.Errorf("%d nodes: %d of 6000 calls in the 10 min after its slow answer, want a quarter of its share at least", nodes, got)
		}
	}
}

// The clock of latencies goes round in 49 days; half of that is far, not ahead.
func TestIdleForLong(t *testing.T) {
	for _, idle := range []time.Duration{time.Hour, 30 * 24 * time.Hour, 49 * 24 * time.Hour} {
		r := newRig(t, Config{SlowStart: -1}, named(2)...)
		slow := r.timed(always(2 * time.Second))
		for range 50 {
			r.pass(time.Millisecond)
			r.timed(always(time.Millisecond))
		}
		r.pass(idle)
		got := 0
		for range 1000 {
			r.pass(100 * time.Millisecond)
			if r.timed(always(time.Millisecond)) == slow {
				got++
			}
		}
		if got < 200 {
			t.Errorf("after %v: %d of 1000 calls go to the node that was slow once, want about half", idle, got)
		}
	}
}

func TestFaded(t *testing.T) {
	for _, tt := range []struct {
		age  int32
		want float32
	}{{0, 1}, {-1, 1}, {-1000, 1}, {100, 1}, {1000, .5}, {1500, .375}, {2000, .25}, {30_000, 1. / (1 << 30)}, {1 << 30, 1. / (1 << 30)}, {-1001, 1. / (1 << 30)}} {
		if got := faded(uint32(tt.age)); got != tt.want {
			t.Errorf("%d ms old: %v, want %v", tt.age, got, tt.want)
		}
	}
}

// A node that turns away all is quick and idle, and must not be preferred.
func TestANodeThatTurnsAwayIsLeftAlone(t *testing.T) {
	const take, rate = 20, 100 // ms, calls a second
	type ending struct {
		p  Picked
		at time.Time
		r  Report
	}
	for _, nodes := range []int{2, 3, 5} {
		r := newRig(t, Config{SlowStart: -1}, named(nodes)...)
		full, turned, other := true, 0, 0
		var open []ending
		call := func() {
			r.pass(time.Second / rate / 2)
			now := r.clk.Now()
			still := open[:0]
			for _, e := range open {
				if e.at.After(now) {
					still = append(still, e)
					continue
				}
				e.p.Done(e.r)
			}
			open = still
			p := r.pick(payment)
			e := ending{p: p, r: Report{Result: breaker.Success, Start: now, Elapsed: take * time.Millisecond}}
			if p.Node().ID == "a" {
				turned++
				if full {
					e.r = Report{Result: breaker.Ignored, Refused: true, Start: now, Elapsed: time.Millisecond}
				}
			} else {
				other++
			}
			e.at = now.Add(e.r.Elapsed)
			open = append(open, e)
		}
		for range 60 * 2 * rate {
			call()
		}
		if turned > 180 || turned < 30 {
			t.Errorf("%d nodes: %d calls in a minute to the one that takes none, want one or two a second", nodes, turned)
		}
		full, turned, other = false, 0, 0
		for range 60 * 2 * rate {
			call()
		}
		if share := turned * nodes * 100 / (turned + other); share < 80 {
			t.Errorf("%d nodes: when it takes calls again, it gets %d %% of its share", nodes, share)
		}
		if r.inner("a").refused.Load() != 0 {
			t.Errorf("%d nodes: it is not forgotten", nodes)
		}
	}
}

// A node that turns away a few keeps most of its share.
func TestANodeThatTurnsAwayAFew(t *testing.T) {
	r := newRig(t, Config{SlowStart: -1}, named(2)...)
	picks := r.run(20_000, payment, func(n *Node) Report {
		if n.ID == "a" && r.clk.Rand()%100 == 0 {
			return Report{Result: breaker.Ignored, Refused: true}
		}
		return Report{Result: breaker.Success}
	})
	if picks["a"] < 5000 || picks["a"] > 9900 {
		t.Errorf("%d of 20000 calls to the node that turns away 1 %%, want a bit less than half", picks["a"])
	}
}

func TestTurnedAway(t *testing.T) {
	n := new(node)
	second := int64(time.Second)
	at := func(t0 int64, want float32) {
		t.Helper()
		if got := n.penalty(t0); got < want*.95 || got > want*1.05 {
			t.Errorf("at %v: penalty %v, want %v", time.Duration(t0), got, want)
		}
	}
	at(0, 1)
	n.turnedAway(second)
	at(second, 17)
	at(second-second/10, 17) // another's clock
	at(second*5/4, 9)
	at(3*second, 1.)
	for range 50 {
		n.turnedAway(3 * second)
	}
	at(3*second, 1+penaltyMax)
	for range 60 {
		n.tookOne(3 * second)
	}
	if w := n.refused.Load(); w != 0 {
		t.Errorf("after 60 successes %#x is left, want none", w)
	}
	n.turnedAway(second * 1e6) // the time has gone round
	at(second*1e6, 17)
}

// Picks wrap after 2⁴⁰, and nobody is to blame.
func TestPicksWrap(t *testing.T) {
	for _, failures := range []uint64{0, 1e9} {
		r := newRig(t, Config{SlowStart: -1}, named(3)...)
		n := r.inner("a")
		n.failures.Store(failures)
		n.load.Store((1<<picksBits - 1000) << inFlightBits)
		n.passed = n.successes()
		r.run(22_000, payment, func(*Node) Report {
			if r.clk.Rand()%100 < 2 {
				return Report{Result: breaker.Failure}
			}
			return Report{Result: breaker.Success}
		})
		if e := r.heard(Ejected); len(e) > 0 {
			t.Errorf("%d failures before: healthy nodes ejected: %v", failures, e)
		}
		if picks := r.status("a").Picks; picks > 22_000 {
			t.Errorf("%d picks: nothing has wrapped", picks)
		}
		if passed := n.passed; passedSince(passed, n.successes()) > 2000 {
			t.Errorf("%d failures before: the last count is %d, now there are %d successes", failures, passed, n.successes())
		}
	}
}

// A method that takes long says nothing about one that does not.
func TestTypical(t *testing.T) {
	r := newRig(t, Config{Strategy: &RoundRobin{}}, named(2)...)
	took := func(method string, d time.Duration, result breaker.Result) {
		p := r.pick(Call{Method: method})
		start := r.clk.Now()
		r.pass(d)
		p.Done(Report{Result: result, Start: start, Elapsed: d})
	}
	typical := func(method string, want, about time.Duration) {
		t.Helper()
		if got := r.sel.Typical(method); got < want-about || got > want+about {
			t.Errorf("%s: got %v, want %v ± %v", method, got, want, about)
		}
	}
	typical("get", 0, 0)
	for range 6 {
		took("watch", 30*time.Second, breaker.Success)
	}
	for range 2 {
		took("get", time.Millisecond, breaker.Success)
	}
	typical("watch", 30*time.Second, time.Millisecond)
	typical("get", time.Millisecond, 0)
	typical("other", 0, 0)
	for range 100 {
		took("get", time.Second, breaker.Failure)
		took("get", 0, breaker.Success)
	}
	typical("get", time.Millisecond, 0)
	for range 2 * 16 * 10 { // it has become slower; a sample in 16 counts
		took("get", 5*time.Millisecond, breaker.Success)
	}
	typical("get", 5*time.Millisecond, time.Millisecond/2)
	if got := r.status("a").Latency; got < 4*time.Millisecond || got > 5*time.Millisecond {
		t.Errorf("the node: %v, want 5ms: it learns from the other 15", got)
	}
}

// What is typical is that of the nodes that are there.
func TestTypicalFollowsTheSet(t *testing.T) {
	r := newRig(t, Config{Strategy: &RoundRobin{}}, named(2)...)
	for range 2 {
		p := r.pick(Call{Method: "get"})
		p.Done(Report{Result: breaker.Success, Elapsed: map[string]time.Duration{"a": time.Second, "b": time.Millisecond}[p.Node().ID]})
	}
	p := r.pick(Call{Method: "get"})
	if got := p.Typical(); got != time.Millisecond || got != r.sel.Typical("get") {
		t.Errorf("two nodes: got %v and %v, want 1ms", got, r.sel.Typical("get"))
	}
	if err := r.sel.Eject("b", ""); err != nil {
		t.Fatal(err)
	}
	if got := p.Typical(); got != time.Second {
		t.Errorf("without the quick one: got %v, want 1s", got)
	}
	if got := (&Picked{}).Typical(); got != 0 {
		t.Errorf("nothing was picked: got %v", got)
	}
}

func TestTypicalOfMethodsWithoutARecord(t *testing.T) {
	r := newRig(t, Config{}, named(1)...)
	for i := range maxMethods + 10 {
		for range 3 {
			p := r.pick(Call{Method: string(rune('A' + i))})
			p.Done(Report{Result: breaker.Success, Elapsed: time.Duration(i+1) * time.Millisecond})
		}
	}
	if got := r.sel.Typical("never seen"); got < maxMethods*time.Millisecond {
		t.Errorf("got %v, want that of the common record", got)
	}
}

// A first call that was slow does not stand for those that follow.
func TestTypicalFollowsTheFirstCalls(t *testing.T) {
	r := newRig(t, Config{}, named(1)...)
	for i := range firstCalls {
		p := r.pick(errand)
		took := 10 * time.Millisecond
		if i == 0 {
			took = time.Second
		}
		r.pass(took)
		p.Done(Report{Result: breaker.Success, Elapsed: took})
		if got, is := r.sel.Typical(errand.Method), time.Duration(r.inner("a").first.typical()); got != is {
			t.Errorf("after %d calls: typical is %v, and taken for %v", i+1, is, got)
		}
	}
}
