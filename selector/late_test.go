package selector

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// at picks until a call goes to a node; the others answer in 10 ms.
func (r *rig) at(id string) *Picked {
	r.t.Helper()
	for range 20 {
		p := r.pick(errand)
		if p.Node().ID == id {
			return &p
		}
		r.pass(10 * time.Millisecond)
		p.Done(Report{Result: breaker.Success, Elapsed: 10 * time.Millisecond})
	}
	r.t.Fatalf("nothing goes to %s", id)
	return nil
}

// wait lets an attempt hang until it is given up, while the others answer, and
// ends it. It returns how long that took.
func (r *rig) wait(p *Picked) time.Duration {
	r.t.Helper()
	began := r.clk.Now()
	for r.clk.Now().Sub(began) < 2*time.Second {
		q := r.pick(Call{Method: errand.Method, Retriable: true, Tried: []*Node{p.Node()}})
		r.pass(2 * time.Millisecond)
		q.Done(Report{Result: breaker.Success, Elapsed: 10 * time.Millisecond})
		silent, tell := p.Overdue()
		tell()
		if silent {
			break
		}
	}
	waited := r.clk.Now().Sub(began)
	p.Done(Report{Result: breaker.Failure, Silent: true, Early: true, Elapsed: waited})
	return waited
}

// A client that has made a dozen calls knows when one is late. That is held
// against nobody, and a mistake is not made twice.
func TestALateAttempt(t *testing.T) {
	r := newRig(t, Config{SlowStart: -1, Strategy: &RoundRobin{}}, named(3)...)
	r.run(12, errand, well)
	first := r.wait(r.at("a"))
	if first < 15*time.Millisecond || first > 80*time.Millisecond {
		t.Errorf("given up after %v, where calls take 10 ms", first)
	}
	if s := r.status("a"); s.Failures > 0 || s.Suspect {
		t.Errorf("one late attempt is held against its node: %+v", s)
	}
	// Nothing is under way there, and still it owes an answer.
	for range 20 {
		p := r.pick(errand)
		r.pass(time.Millisecond)
		if p.Done(Report{Result: breaker.Success, Elapsed: 10 * time.Millisecond}); p.sel == nil || p.cell == r.inner("a").cellAt(p.method) {
			t.Fatal("the next call goes there at once")
		}
	}
	r.pass(time.Duration(unheardFor))
	again := r.at("a")
	r.pass(10 * time.Millisecond)
	again.Done(Report{Result: breaker.Success, Elapsed: 10 * time.Millisecond})
	if second := r.wait(r.at("a")); second < 2*first {
		t.Errorf("given up after %v, and after %v when it was shown that calls take so long", first, second)
	}
}

// What a call has waited before the node's last answer does not count again:
// that long calls are under way among short ones is no silence.
func TestLongCallsAmongShortOnes(t *testing.T) {
	r := newRig(t, Config{SlowStart: -1, Strategy: &RoundRobin{}}, named(2)...)
	method := r.sel.methodIndex(errand.Method)
	for i := range 400 {
		took := 10 * time.Millisecond
		if i%10 == 9 {
			took = 500 * time.Millisecond
		}
		r.sel.takes(method, took)
	}
	const last, now = int64(400 * time.Millisecond), int64(425 * time.Millisecond)
	var long, fresh watch
	for range len(long.starts) {
		long.note(0, last, method)
		fresh.note(last, last, method)
	}
	if got := r.sel.silence(&long, now, thick); got > 1 {
		t.Errorf("%v nats for calls of half a second that have waited 25 ms since the node's last answer", got)
	}
	if got := r.sel.silence(&fresh, now, thick); got < 13 {
		t.Errorf("%v nats where all that began at the last answer are long, one in ten being so", got)
	}
}

func TestLateAfter(t *testing.T) {
	for _, tt := range []struct {
		samples  int
		min, max time.Duration // when an attempt is late, where all took 10 ms
	}{
		{few - 1, time.Hour, time.Hour},
		{few, 20 * time.Millisecond, 60 * time.Millisecond},
		{100, 12 * time.Millisecond, 25 * time.Millisecond},
		{2000, 10 * time.Millisecond, 20 * time.Millisecond},
	} {
		var h survival
		for range tt.samples {
			h.add(10 * time.Millisecond)
		}
		at := time.Millisecond
		for ; at < time.Hour && h.hazard(int64(at), thin) < h.late(); at += at / 20 {
		}
		if at = min(at, time.Hour); at < tt.min || at > tt.max {
			t.Errorf("%d samples of 10 ms: late after %v, want %v to %v", tt.samples, at, tt.min, tt.max)
		}
	}
}

// An attempt that was late, and was not made elsewhere, is a failure like any
// other when its time is over.
func TestALateAttemptThatGoesOn(t *testing.T) {
	r := newRig(t, Config{SlowStart: -1, Strategy: &RoundRobin{}}, named(3)...)
	r.run(12, errand, well)
	p := r.at("a")
	for silent := false; !silent; {
		q := r.pick(Call{Method: errand.Method, Retriable: true, Tried: []*Node{p.Node()}})
		r.pass(2 * time.Millisecond)
		q.Done(Report{Result: breaker.Success, Elapsed: 10 * time.Millisecond})
		var tell func()
		silent, tell = p.Overdue()
		tell()
	}
	if r.status("a").Suspect {
		t.Fatal("it is a suspect already")
	}
	p.Done(Report{Result: breaker.Failure, Silent: true, Elapsed: time.Second})
	if s := r.status("a"); s.Failures != 1 {
		t.Errorf("%d failures, want 1", s.Failures)
	}
}
