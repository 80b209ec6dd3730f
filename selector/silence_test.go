package selector

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// silenceRig is a rig of n nodes whose calls are known to take 10 ms.
func silenceRig(t *testing.T, n int, cfg Config) *rig {
	t.Helper()
	cfg.SlowStart, cfg.Strategy = -1, &RoundRobin{} // the default one sends little where much is under way
	r := newRig(t, cfg, named(n)...)
	r.run(200*n, errand, well)
	r.forget()
	return r
}

// stall makes calls, one every 10 ms, of which those at the nodes named hang.
// It returns what hangs when so many calls were made, or when enough says so.
func (r *rig) stall(calls int, enough func() bool, ids ...string) (stuck []*Picked) {
	r.t.Helper()
	hangs := make(map[string]bool, len(ids))
	for _, id := range ids {
		hangs[id] = true
	}
	for range calls {
		if enough != nil && enough() {
			break
		}
		p := new(Picked)
		if err := r.sel.PickTo(p, &errand); err != nil {
			r.t.Fatal(err)
		}
		r.pass(10 * time.Millisecond)
		if hangs[p.Node().ID] {
			stuck = append(stuck, p)
			continue
		}
		p.Done(Report{Result: breaker.Success, Elapsed: 10 * time.Millisecond})
	}
	return stuck
}

var timedOut = Report{Result: breaker.Failure, Silent: true, Elapsed: time.Second}

func TestAHangIsSuspected(t *testing.T) {
	r := silenceRig(t, 3, Config{})
	stuck := r.stall(200, func() bool { return r.status("a").Suspect }, "a")
	if s := r.status("a"); !s.Suspect || s.Ejected {
		t.Fatalf("after %d calls that hang: %+v, want a suspect that is not ejected", len(stuck), s)
	}
	if len(stuck) > 12 {
		t.Errorf("%d calls went into the stall, want a dozen at most", len(stuck))
	}
	wantIDs(t, "suspected", r.heard(Suspected), "a")
	if e := r.events[0]; e.Reason.Rule != "silent" || e.Reason.Score < e.Reason.Threshold {
		t.Errorf("the event says %+v, want the silent rule and a score beyond its threshold", e.Reason)
	}
	if more := r.stall(40, nil, "a"); len(more) > 0 {
		t.Errorf("%d calls went to a suspect while others answer", len(more))
	}
	// Whatever it answers clears it at once.
	for i, answer := range []Report{
		{Result: breaker.Success, Elapsed: time.Second},
		{Result: breaker.Failure},
		{Result: breaker.Ignored, Refused: true},
	} {
		r.forget()
		if i > 0 {
			stuck = r.stall(400, func() bool { return r.status("a").Suspect }, "a")
			r.forget()
		}
		stuck[0].Done(answer)
		if r.status("a").Suspect {
			t.Fatalf("still a suspect after %+v", answer)
		}
		wantIDs(t, "cleared", r.heard(Cleared), "a")
		for _, p := range stuck[1:] {
			p.Done(Report{Result: breaker.Success, Elapsed: time.Second})
		}
		r.run(300, errand, well)
	}
}

// Who gives up, or times out, has not heard from the node.
func TestGivingUpClearsNobody(t *testing.T) {
	r := silenceRig(t, 3, Config{})
	stuck := r.stall(200, func() bool { return r.status("a").Suspect }, "a")
	stuck[0].Done(Report{Result: breaker.Ignored, Silent: true})
	stuck[1].Done(timedOut)
	stuck[2].Late()
	if !r.status("a").Suspect {
		t.Error("cleared without an answer")
	}
}

func TestAProbeOfASuspect(t *testing.T) {
	suspect := func(t *testing.T) (*rig, []*Picked) {
		r := silenceRig(t, 3, Config{})
		stuck := r.stall(200, func() bool { return r.status("a").Suspect }, "a")
		last := stuck[len(stuck)-1] // begun when the node was silent
		if last.Done(timedOut); r.status("a").Score > 0 {
			t.Errorf("score %v: a suspect's timeout counts", r.status("a").Score)
		}
		if more := r.stall(45, nil, "a"); len(more) > 0 {
			t.Errorf("%d calls went to a suspect before it was due", len(more))
		}
		r.pass(time.Duration(unheardFor))
		return r, stuck
	}
	probe := func(r *rig) *Picked {
		p := new(Picked)
		if err := r.sel.PickTo(p, &errand); err != nil {
			r.t.Fatal(err)
		}
		if p.Node().ID != "a" || !p.Probe() {
			r.t.Fatalf("the call goes to %v, probe %v, want a probe of a", p.Node(), p.Probe())
		}
		return p
	}
	t.Run("times out", func(t *testing.T) {
		r, _ := suspect(t)
		p := probe(r)
		if more := r.stall(50, nil, "a"); len(more) > 0 {
			t.Errorf("%d more calls beside the probe", len(more))
		}
		p.Done(timedOut)
		if s := r.status("a"); !s.Ejected || s.Suspect || s.State != breaker.Open {
			t.Errorf("%+v, want it ejected", s)
		}
		wantIDs(t, "ejected", r.ejected(), "a")
	})
	t.Run("is answered", func(t *testing.T) {
		r, _ := suspect(t)
		probe(r).Done(Report{Result: breaker.Success, Elapsed: 10 * time.Millisecond})
		if s := r.status("a"); s.Ejected || s.Suspect {
			t.Errorf("%+v, want it cleared", s)
		}
	})
	t.Run("is cancelled", func(t *testing.T) {
		r, _ := suspect(t)
		probe(r).Done(Report{Result: breaker.Ignored, Silent: true})
		probe(r).Done(timedOut)
		wantIDs(t, "ejected", r.ejected(), "a")
	})
	t.Run("is lost", func(t *testing.T) {
		r, _ := suspect(t)
		probe(r)
		if more := r.stall(900, nil, "a"); len(more) > 0 { // 9 s
			t.Errorf("%d calls while the lease of the probe runs", len(more))
		}
		r.pass(2 * time.Second)
		probe(r).Done(timedOut)
		wantIDs(t, "ejected", r.ejected(), "a")
	})
	t.Run("is not for calls that cannot be repeated", func(t *testing.T) {
		r, _ := suspect(t)
		for range 100 {
			if p := r.pick(payment); p.Node().ID == "a" {
				t.Fatal("a payment probes a suspect")
			} else {
				p.Done(Report{Result: breaker.Success})
			}
		}
	})
}

// An attempt that is under way at a silent node need not wait for its timeout.
func TestOverdue(t *testing.T) {
	r := silenceRig(t, 3, Config{})
	overdue := func(p *Picked) bool {
		silent, tell := p.Overdue()
		tell()
		return silent
	}
	stuck := r.stall(12, nil, "a")
	for range 30 { // no further picks: the attempts themselves find out
		r.pass(10 * time.Millisecond)
		for id := range 2 { // the others answer meanwhile
			p := r.pick(Call{Method: errand.Method, Tried: []*Node{r.status("a").Node, r.status(string(rune('b' + id))).Node}})
			r.pass(time.Millisecond)
			p.Done(Report{Result: breaker.Success, Elapsed: 10 * time.Millisecond})
		}
		for _, p := range stuck {
			overdue(p)
		}
	}
	if !r.status("a").Suspect || !overdue(stuck[0]) {
		t.Fatalf("%d attempts wait for %v: %+v", len(stuck), 300*time.Millisecond, r.status("a"))
	}
	wantIDs(t, "suspected", r.heard(Suspected), "a")
	r.pass(time.Duration(unheardFor))
	probe := r.pick(errand)
	if !probe.Probe() || overdue(&probe) {
		t.Error("a probe is given up at once")
	}
	r.pass(200 * time.Millisecond)
	if !overdue(&probe) {
		t.Error("a probe is not given up after twenty times what is usual")
	}
	probe.Done(timedOut)
	wantIDs(t, "ejected", r.ejected(), "a")
	if !overdue(stuck[1]) {
		t.Error("an attempt waits at a node that is ejected")
	}
	stuck[0].Done(timedOut)
	if overdue(stuck[0]) {
		t.Error("an attempt that is over is overdue")
	}
	healthy := r.pick(errand)
	r.pass(15 * time.Millisecond)
	if overdue(&healthy) {
		t.Error("given up at a healthy node")
	}
	healthy.Done(Report{Result: breaker.Success})
}

// One of two or more can always go; of those that hang together, half.
func TestSilenceLeavesSomebody(t *testing.T) {
	for nodes, want := range map[int]int{1: 0, 2: 0, 3: 0, 4: 0} { // all hang: nobody answers meanwhile
		r := silenceRig(t, nodes, Config{})
		r.stall(500, nil, "a", "b", "c", "d")
		if got := len(r.heard(Suspected)); got != want {
			t.Errorf("%d of %d nodes suspected while none answers, want %d", got, nodes, want)
		}
	}
	r := silenceRig(t, 2, Config{})
	r.stall(300, nil, "b")
	wantIDs(t, "suspected of two", r.heard(Suspected), "b")
	r = silenceRig(t, 5, Config{})
	r.stall(2000, nil, "a", "b", "c")
	if got := len(r.heard(Suspected)); got != 2 {
		t.Errorf("%d of 5 suspected, of which 3 hang, want 2", got)
	}
	r = silenceRig(t, 3, Config{Ejection: Ejection{IgnoreSilence: true}})
	r.stall(300, nil, "a")
	r2 := silenceRig(t, 3, Config{Ejection: Ejection{Off: true}})
	r2.stall(300, nil, "a")
	if got := len(r.heard(Suspected)) + len(r2.heard(Suspected)); got != 0 {
		t.Errorf("%d suspected with silence ignored, want none", got)
	}
}

// A method that takes long is not silence.
func TestSlowMethodsAreNotSilent(t *testing.T) {
	r := silenceRig(t, 3, Config{})
	poll := Call{Method: "poll", Retriable: true}
	for range 300 {
		p := r.pick(poll)
		r.pass(time.Second)
		p.Done(Report{Result: breaker.Success, Elapsed: time.Second})
		r.run(3, errand, well)
	}
	r.forget()
	var open []Picked
	for range 30 { // each node has ten under way
		open = append(open, r.pick(poll))
		r.pass(10 * time.Millisecond)
	}
	if got := r.heard(Suspected); len(got) > 0 {
		t.Errorf("suspected for calls that take a second always: %v", got)
	}
	for i := range open {
		open[i].Done(Report{Result: breaker.Success, Elapsed: time.Second})
	}
}

func TestSurvival(t *testing.T) {
	var h survival
	if got := h.hazard(int64(time.Second), thick); got != 0 {
		t.Errorf("%v nats without a sample, want 0", got)
	}
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Millisecond)
	}
	for _, tt := range []struct {
		age      time.Duration
		min, max float64
	}{
		{0, 0, 0},
		{50 * time.Microsecond, 0, .001},
		{500 * time.Millisecond, .5, .8},
		{900 * time.Millisecond, 1.2, 2.4},
		{time.Second, 2.5, 3.5},
		{time.Minute, 10, 11.1},
		{time.Hour, 10, 11.2},
	} {
		if got := h.hazard(int64(tt.age), thick); got < tt.min || got > tt.max {
			t.Errorf("%v nats at %v, want %v to %v", got, tt.age, tt.min, tt.max)
		}
	}
	for range 4 * forgetAt { // a new regime
		h.add(time.Millisecond)
	}
	if got := h.hazard(int64(100*time.Millisecond), thick); got < 2 {
		t.Errorf("%v nats at 100 ms when calls take 1 ms now, want the old times forgotten", got)
	}
}

// A node that owes one answer for longer than nearly all calls take is avoided
// at once, and asked again now and then by a call that may be repeated.
func TestADoubtfulNodeIsAvoided(t *testing.T) {
	for _, retriable := range []bool{false, true} {
		r := silenceRig(t, 3, Config{})
		call := errand
		call.Retriable = retriable
		at := func() string {
			p := new(Picked)
			if err := r.sel.PickTo(p, &call); err != nil {
				t.Fatal(err)
			}
			r.pass(10 * time.Millisecond)
			if p.Node().ID == "a" {
				return "a" // and no answer
			}
			p.Done(Report{Result: breaker.Success, Elapsed: 10 * time.Millisecond})
			return ""
		}
		for at() != "a" {
		}
		more := 0
		for range 40 { // 400 ms
			if at() == "a" {
				more++
			}
		}
		if more > 2 { // until it is later than nearly all
			t.Errorf("retriable %v: %d calls more went to a node that owes an answer, want 2 at most", retriable, more)
		}
		if s := r.status("a"); s.Suspect || s.Ejected {
			t.Errorf("retriable %v: %+v after one call without an answer, want nothing but caution", retriable, s)
		}
		more = 0
		for range 30 { // the next 300 ms
			if at() == "a" {
				more++
			}
		}
		if want := 0; !retriable && more != want {
			t.Errorf("%d calls that cannot be repeated went there, want none", more)
		} else if retriable && more != 1 {
			t.Errorf("%d calls that can be repeated went there, want one", more)
		}
	}
}

// A node of which one call takes for ever is doubtful, and well: it is not left
// without calls for as long, though none of them may be repeated.
func TestADoubtfulNodeIsAskedAgain(t *testing.T) {
	r := silenceRig(t, 20, Config{})
	post := Call{Method: errand.Method}
	long, at := new(Picked), ""
	for ; at != "a"; r.pass(10 * time.Millisecond) {
		if err := r.sel.PickTo(long, &post); err != nil {
			t.Fatal(err)
		}
		if at = long.Node().ID; at != "a" {
			long.Done(Report{Result: breaker.Success, Elapsed: 10 * time.Millisecond})
		}
	}
	served := 0
	for second := range 60 {
		for range 100 {
			p := new(Picked)
			if err := r.sel.PickTo(p, &post); err != nil {
				t.Fatal(err)
			}
			r.pass(10 * time.Millisecond)
			if p.Node().ID == "a" {
				served++
			}
			p.Done(Report{Result: breaker.Success, Elapsed: 10 * time.Millisecond})
			if second < 20 {
				_, tell := long.Overdue() // asked of an attempt under a timeout
				tell()
			}
		}
	}
	if served < 100 {
		t.Errorf("%d of 6000 calls went to a node that is well but for one call", served)
	}
	long.Done(Report{})
}

// An attempt that takes longer than hardly any ever did is given up, though its
// node is no suspect by that.
func TestAHopelessAttemptIsOverdue(t *testing.T) {
	r := silenceRig(t, 3, Config{})
	p := new(Picked)
	for {
		if err := r.sel.PickTo(p, &errand); err != nil {
			t.Fatal(err)
		}
		if p.Node().ID == "a" {
			break
		}
		p.Done(Report{Result: breaker.Success, Elapsed: 10 * time.Millisecond})
	}
	began, silent := r.clk.Now(), false
	for !silent && r.clk.Now().Sub(began) < time.Second {
		r.stall(1, nil)
		silent, _ = p.Overdue()
	}
	if waited := r.clk.Now().Sub(began); !silent || waited < 15*time.Millisecond || waited > 400*time.Millisecond {
		t.Errorf("overdue %v after %v, want it later than any other call took and long before a timeout", silent, waited)
	}
	if r.status("a").Suspect {
		t.Error("one call without an answer makes a suspect")
	}
	// Where others do not answer either, it is not the node.
	r = silenceRig(t, 3, Config{})
	r.pass(10 * time.Millisecond)
	for range 2 {
		_ = r.pick(errand)
	}
	if err := r.sel.PickTo(p, &errand); err != nil {
		t.Fatal(err)
	}
	r.pass(time.Second)
	if silent, _ = p.Overdue(); silent {
		t.Error("overdue, though the others are silent too")
	}
}
