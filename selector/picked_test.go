package selector

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// counts are what a node's status says, and the selector's successes.
func (r *rig) counts(id string) string {
	s := r.status(id)
	return fmt.Sprintf("%d in flight, %d failed, %d well", s.InFlight, s.Failures, r.sel.Successes())
}

func (r *rig) wantCounts(step, want string) {
	r.t.Helper()
	if got := r.counts("a"); got != want {
		r.t.Errorf("%s: got %s, want %s", step, got, want)
	}
}

func TestDoneCountsOnce(t *testing.T) {
	r := newRig(t, Config{}, named(1)...)
	var zero Picked
	if zero.Node() != nil || zero.Probe() {
		t.Errorf("the zero Picked has a node")
	}
	zero.Done(Report{Result: breaker.Failure}) // does nothing
	zero.Late()
	zero.Hold()()

	results := []struct {
		result breaker.Result
		want   string
	}{
		{breaker.Success, "0 in flight, 0 failed, 1 well"},
		{breaker.Failure, "0 in flight, 1 failed, 1 well"},
		{breaker.Ignored, "0 in flight, 1 failed, 1 well"},
		{99, "0 in flight, 1 failed, 1 well"},
	}
	picks := uint64(0)
	for _, tt := range results {
		p := r.pick(errand)
		if p.Node().ID != "a" {
			t.Fatalf("picked %v", p.Node())
		}
		for i := range 3 {
			p.Done(Report{Result: tt.result, Start: r.clk.Now(), Elapsed: time.Millisecond})
			r.wantCounts(fmt.Sprintf("%v, Done %d", tt.result, i+1), tt.want)
		}
		if p.Node() != nil {
			t.Error("the node is still there after Done")
		}
		if tt.result == breaker.Success || tt.result == breaker.Failure {
			picks++
		}
		if s := r.status("a"); s.Picks != picks {
			t.Errorf("%v: %d picks, want %d: cancelled ones do not count", tt.result, s.Picks, picks)
		}
	}
}

// A copy reports what was reported: the counts do not run away.
func TestACopyThatReportsToo(t *testing.T) {
	for _, result := range []breaker.Result{breaker.Success, breaker.Failure, breaker.Ignored} {
		r := newRig(t, Config{}, named(2)...)
		p := r.pick(errand)
		id := p.Node().ID
		c := p
		p.Done(Report{Result: result})
		c.Done(Report{Result: result})
		if s := r.status(id); s.InFlight != 0 || s.Picks > 1 {
			t.Errorf("%v: got %+v, want nothing in flight", result, s)
		}
		r.run(10, errand, well)
	}
}

func TestHold(t *testing.T) {
	for _, result := range []breaker.Result{breaker.Success, breaker.Failure, breaker.Ignored} {
		r := newRig(t, Config{}, named(1)...)
		p := r.pick(errand)
		release := p.Hold()
		again := p.Hold()
		p.Done(Report{Result: result})
		ended := map[breaker.Result]string{
			breaker.Success: "%d in flight, 0 failed, 1 well", breaker.Failure: "%d in flight, 1 failed, 0 well", breaker.Ignored: "%d in flight, 0 failed, 0 well",
		}[result]
		r.wantCounts("held, and done", fmt.Sprintf(ended, 1))
		again() // releases nothing: the first has it
		r.wantCounts("a second Hold released", fmt.Sprintf(ended, 1))
		for range 3 {
			release()
			r.wantCounts("released", fmt.Sprintf(ended, 0))
		}
		p.Hold()()
		r.wantCounts("held after Done", fmt.Sprintf(ended, 0))
	}

	// In memory of one's own, which may hold the next attempt too.
	r := newRig(t, Config{}, named(1)...)
	var h Held
	h.Release()
	for range 2 {
		p := r.pick(errand)
		p.HoldIn(&h)
		p.Done(Report{Result: breaker.Ignored})
		r.wantCounts("held", "1 in flight, 0 failed, 0 well")
		h.Release()
		h.Release()
		r.wantCounts("released", "0 in flight, 0 failed, 0 well")
	}

	// Released before Done, for whoever holds the order loosely.
	r = newRig(t, Config{}, named(1)...)
	p := r.pick(errand)
	p.Hold()()
	p.Done(Report{Result: breaker.Success})
	if s := r.status("a"); s.InFlight != 0 {
		t.Errorf("released before Done: %d in flight, want 0", s.InFlight)
	}
}

func TestLate(t *testing.T) {
	for _, result := range []breaker.Result{breaker.Success, breaker.Failure, breaker.Ignored} {
		for _, held := range []bool{false, true} {
			r := newRig(t, Config{}, named(1)...)
			r.run(3, errand, well)
			p := r.pick(errand)
			start := r.clk.Now()
			release := func() {}
			if held {
				release = p.Hold()
			}
			r.pass(250 * time.Millisecond)
			r.wantCounts("before", "1 in flight, 0 failed, 3 well")
			for range 2 {
				p.Late()
				r.wantCounts("late", "1 in flight, 1 failed, 3 well")
			}
			if s := r.status("a"); s.Score == 0 {
				t.Error("the score has not risen: the node is judged when the attempt becomes late")
			}
			score := r.status("a").Score
			r.pass(time.Second)
			p.Done(Report{Result: result, Start: start, Elapsed: 1250 * time.Millisecond})
			if held {
				r.wantCounts("done", "1 in flight, 1 failed, 3 well")
			}
			release()
			r.wantCounts("ended", "0 in flight, 1 failed, 3 well")
			s := r.status("a")
			if s.Score != score || s.Picks != 4 || s.Latency != 10*time.Millisecond {
				t.Errorf("%v: got %+v, want one failure of 4 picks and the latency of the successes", result, s)
			}
		}
	}
}

// A timeout that tells nobody apart from a failure: enough of them eject.
func TestLateAttemptsEject(t *testing.T) {
	r := newRig(t, Config{Strategy: &RoundRobin{}}, named(3)...)
	r.run(60, payment, well)
	for range 60 {
		p := r.pick(payment)
		start := r.clk.Now()
		r.pass(20 * time.Millisecond)
		if p.Node().ID == "a" {
			p.Late()
		}
		p.Done(Report{Result: breaker.Success, Start: start, Elapsed: 20 * time.Millisecond})
	}
	if ids := r.heard(Ejected); len(ids) != 1 || ids[0] != "a" {
		t.Errorf("ejected %v, want a", ids)
	}
}

func TestLatency(t *testing.T) {
	r := newRig(t, Config{}, named(1)...)
	took := func(d time.Duration, result breaker.Result) {
		p := r.pick(errand)
		start := r.clk.Now()
		r.pass(d)
		p.Done(Report{Result: result, Start: start, Elapsed: d})
	}
	if got := r.sel.Typical(errand.Method); got != 0 || r.status("a").Latency != 0 {
		t.Errorf("got %v before the first success, want 0: unknown", got)
	}
	took(8*time.Millisecond, breaker.Success)
	took(16*time.Millisecond, breaker.Success) // an eighth of the way
	if got := r.status("a").Latency; got != 9*time.Millisecond {
		t.Errorf("got %v, want 9ms", got)
	}
	took(time.Second, breaker.Failure)
	took(time.Second, breaker.Ignored)
	took(0, breaker.Success)
	if got := r.status("a").Latency; got != 9*time.Millisecond {
		t.Errorf("got %v, want 9ms: failures and what took no time are left out", got)
	}

	n := r.inner("a")
	now := func() int64 { return int64(r.clk.Now().Sub(r.sel.epoch)) }
	if got := n.estimate(now()); got != 0 {
		t.Errorf("got %v after a failure, want 0: not believed", time.Duration(got))
	}
	took(9*time.Millisecond, breaker.Success)
	for _, tt := range []struct {
		pass time.Duration
		want float32 // of 9 ms
	}{{0, 1}, {100 * time.Millisecond, 1}, {900 * time.Millisecond, .5}, {time.Second, .25}, {500 * time.Millisecond, .1875}, {7500 * time.Millisecond, 1. / 1024}} {
		r.pass(tt.pass)
		if got := n.estimate(now()) / 9e6; got < tt.want*.99 || got > tt.want*1.01 {
			t.Errorf("%v later: %.3f of the latency is believed, want %.3f", tt.pass, got, tt.want)
		}
	}
}

// Names come from users: the 65th and later share one record.
func TestMethodsAreBounded(t *testing.T) {
	r := newRig(t, Config{}, named(2)...)
	large := strings.Repeat("x", 1<<10)
	name := func(i int) string { return fmt.Sprint(i, large)[:8] }
	for i := range 100 {
		r.run(1, Call{Method: name(i)}, down("a", "b"))
	}
	if got := len(r.sel.methods.Load().index); got != maxMethods {
		t.Errorf("%d methods have a record, want %d", got, maxMethods)
	}
	for i, want := range map[int]int{0: 0, 1: 1, 63: 63, 64: 64, 65: 64, 99: 64} {
		if got := r.sel.methodIndex(name(i)); got != want {
			t.Errorf("method %d has record %d, want %d", i, got, want)
		}
	}
	a, b := r.inner("a"), r.inner("b")
	if n := max(a.methods(), b.methods()); n != maxMethods+1 {
		t.Errorf("%d records, want %d and a common one", n, maxMethods)
	}
	shared := a.cellAt(maxMethods).failed + b.cellAt(maxMethods).failed
	if shared != 36 {
		t.Errorf("the common record has %d failures, want those of 36 methods", shared)
	}

	before := heap()
	for i := range 1_000_000 {
		p := r.pick(Call{Method: fmt.Sprint("hostile ", i)})
		result := breaker.Success
		if i%100 == 0 {
			result = breaker.Failure
		}
		p.Done(Report{Result: result, Start: r.clk.Now()})
	}
	if after := heap(); after > before+256<<10 {
		t.Errorf("the heap grew by %d kB for a million method names, want it to be bounded", (after-before)>>10)
	}
	if got := r.sel.methodIndex(name(3)); got != 3 {
		t.Errorf("method 3 has record %d now", got)
	}
}
