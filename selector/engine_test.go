package selector

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// foreign is an engine that is not ours: its breakers open by themselves
// after some failures, cannot be tripped from outside, and close by the clock.
type foreign struct {
	most    int // failures in a row
	openFor time.Duration
	tell    func(breaker.State) // may be nil
	made    map[string]*foreignBreaker
}

type foreignBreaker struct {
	*foreign
	row   int
	state breaker.State
	until time.Time
	now   time.Time
	heard []breaker.Report
}

func (f *foreign) New(key string) breaker.Breaker {
	b := &foreignBreaker{foreign: f}
	if f.made == nil {
		f.made = make(map[string]*foreignBreaker)
	}
	f.made[key] = b
	return b
}

func (b *foreignBreaker) TryAcquire(now time.Time) (breaker.Permit, time.Duration, bool) {
	b.now = now
	if b.state != breaker.Closed {
		if wait := b.until.Sub(now); wait > 0 {
			return breaker.Permit{}, wait, false
		}
		b.turn(breaker.HalfOpen)
	}
	return breaker.NewPermit(b, 0), 0, true
}

func (b *foreignBreaker) Settle(_ uint64, r breaker.Report) {
	b.heard = append(b.heard, r)
	switch {
	case r.Result == breaker.Success:
		b.row = 0
		b.turn(breaker.Closed)
	case r.Result == breaker.Failure:
		if b.row++; b.row >= b.most {
			b.until = b.now.Add(b.openFor)
			b.turn(breaker.Open)
		}
	}
}

func (b *foreignBreaker) turn(s breaker.State) {
	if b.state != s {
		b.state = s
		if b.tell != nil {
			b.tell(s)
		}
	}
}

func (b *foreignBreaker) State() breaker.State {
	if b.tell != nil {
		b.tell(b.state)
	}
	return b.state
}

// tripping is one that can be tripped.
type tripping struct{ foreign }

type trippingBreaker struct {
	foreignBreaker
	reasons []breaker.Reason
}

func (f *tripping) New(string) breaker.Breaker {
	return &trippingBreaker{foreignBreaker: foreignBreaker{foreign: &f.foreign}}
}

func (b *trippingBreaker) Trip(r breaker.Reason) {
	b.reasons = append(b.reasons, r)
	b.until = b.now.Add(b.openFor)
	b.turn(breaker.Open)
}

func (b *trippingBreaker) Reset(r breaker.Reason) {
	b.reasons = append(b.reasons, r)
	b.turn(breaker.Closed)
}

// An open breaker is an ejection, whoever opened it.
func TestAForeignBreakerOpensByItself(t *testing.T) {
	engine := &foreign{most: 5, openFor: 2 * time.Second}
	r := newRig(t, Config{Engine: engine, Strategy: &RoundRobin{}}, named(4)...)
	r.run(40, errand, well)
	r.run(21, payment, down("a")) // five at a, and one refused
	wantIDs(t, "ejected", r.ejected(), "a")
	wantIDs(t, "events", r.heard(Ejected), "a")
	if e := r.events[1]; e.Reason.Cause != breaker.ByEngine || e.OpenFor <= time.Second {
		t.Errorf("got event %+v, want one that says that the engine did it", e)
	}
	if s := r.status("a"); s.State != breaker.Open {
		t.Errorf("state %v, want that of the foreign breaker", s.State)
	}
	if picks := r.run(60, payment, down("a")); picks["a"] > 0 {
		t.Errorf("picks %v, want none at a", picks)
	}
	r.due()
	r.call(errand, down("a"))
	wantIDs(t, "probes that failed", r.heard(ProbeFailed), "a")
	r.run(1, errand, well)
	r.due()
	probe := r.pick(errand)
	if probe.Node().ID != "a" || !probe.Probe() {
		t.Errorf("got %v, probe %v, want a probe of a", probe.Node(), probe.Probe())
	}
	for range 10 { // the breaker would take more; one at a time is enough
		r.pass(leaseCheck / 20)
		if p := r.pick(errand); p.Probe() {
			t.Error("a second probe at the same time")
		}
	}
	probe.Done(Report{Result: breaker.Success})
	wantIDs(t, "readmitted", r.heard(Readmitted), "a")

	for _, err := range []error{r.sel.Eject("a", ""), r.sel.Readmit("a", "")} {
		if err == nil || !strings.Contains(err.Error(), `node "a": its breaker (*selector.foreignBreaker) cannot be tripped`) {
			t.Errorf("got %v, want an error that says that it cannot be tripped", err)
		}
	}
}

// A breaker that cannot be tripped is left to its own devices, whatever the
// ejector thinks of the node.
func TestAForeignBreakerThatCannotBeTripped(t *testing.T) {
	r := newRig(t, Config{Engine: &foreign{most: 1 << 30}}, named(4)...)
	r.run(1000, errand, down("a"))
	wantIDs(t, "ejected", r.ejected())
	if s := r.status("a"); s.Score < s.Threshold {
		t.Errorf("score %v, want it at the threshold", s.Score)
	}
}

func TestAForeignBreakerIsTripped(t *testing.T) {
	engine := &tripping{foreign{most: 1 << 30, openFor: time.Second}}
	r := newRig(t, Config{Engine: engine}, named(4)...)
	r.run(50, errand, well)
	for range 200 {
		if r.run(1, payment, down("a")); len(r.ejected()) > 0 {
			break
		}
	}
	wantIDs(t, "ejected", r.ejected(), "a")
	b := r.inner("a").breaker.(*trippingBreaker)
	if len(b.reasons) != 1 || b.reasons[0].Cause != breaker.ByEjector || b.reasons[0].Failures == 0 {
		t.Errorf("tripped with %+v, want once, by the ejector, with numbers", b.reasons)
	}
	r.due()
	r.call(errand, well)
	wantIDs(t, "ejected after a probe", r.ejected())
	if err := r.sel.Eject("b", "by hand"); err != nil {
		t.Fatal(err)
	}
	if err := r.sel.Readmit("b", "done"); err != nil {
		t.Fatal(err)
	}
	if b := r.inner("b").breaker.(*trippingBreaker); len(b.reasons) != 2 || b.reasons[0].Note != "by hand" || b.reasons[1].Note != "done" {
		t.Errorf("got reasons %+v, want by hand and done", b.reasons)
	}
}

// All breakers are open: something has to be used, and they are asked first.
func TestAllForeignBreakersOpen(t *testing.T) {
	engine := &foreign{most: 3, openFor: time.Second}
	r := newRig(t, Config{Engine: engine}, named(3)...)
	r.run(100, payment, down("a", "b", "c"))
	wantIDs(t, "ejected", r.ejected(), "a", "b", "c")
	picks := r.run(30, payment, down("a", "b", "c"))
	if len(picks) == 0 {
		t.Error("no node was used")
	}
	r.pass(time.Second)
	r.run(20, errand, well)
	wantIDs(t, "ejected when they are well", r.ejected())
}

// An engine, or its listener, may call the selector back from anywhere.
func TestAnEngineMayCallBack(t *testing.T) {
	var sel *Selector
	calls := 0
	tell := func(breaker.State) {
		calls++
		if sel != nil {
			_ = sel.SetReady("b", true) // deadlocks if the selector holds its lock
			_ = sel.Successes()
		}
	}
	engine := &tripping{foreign{most: 1 << 30, openFor: time.Second, tell: tell}}
	r := newRig(t, Config{Engine: engine}, named(3)...)
	sel = r.sel
	r.run(200, payment, down("a"))
	r.pass(2 * time.Second)
	r.run(100, errand, well)
	r.sel.Nodes()
	if err := r.sel.Readmit("a", ""); err != nil {
		t.Fatal(err)
	}
	if calls < 5 {
		t.Errorf("called back %d times: the test tests little", calls)
	}

	reports := 0
	making := engineFunc(func(key string) breaker.Breaker {
		if reports++; sel != nil && reports < 100 {
			sel.Nodes()
		}
		return (&foreign{most: 3}).New(key)
	})
	sel = nil
	r = newRig(t, Config{Engine: making}, named(3)...)
	sel = r.sel
	r.source.report(named(6), nil)
	if n := len(r.sel.Nodes()); n != 6 {
		t.Errorf("%d nodes, want 6", n)
	}
}

type engineFunc func(string) breaker.Breaker

func (f engineFunc) New(key string) breaker.Breaker { return f(key) }

func TestAnEngineWithoutABreaker(t *testing.T) {
	engine := engineFunc(func(key string) breaker.Breaker {
		if key == "c" {
			return nil
		}
		return (&foreign{most: 3}).New(key)
	})
	r := newRig(t, Config{Engine: engine}, named(2)...)
	r.forget()
	r.source.report(named(3), nil)
	if len(r.events) != 1 || r.events[0].Kind != SourceFailed || !strings.Contains(fmt.Sprint(r.events[0].Err), `engine: want a breaker for node "c"`) {
		t.Errorf("got events %+v, want one that names the engine and the node", r.events)
	}
	if n := len(r.sel.Nodes()); n != 2 {
		t.Errorf("%d nodes, want the 2 there were", n)
	}
}

// What became late is told to the breaker at once, and once.
func TestAForeignBreakerHearsOfLateAttempts(t *testing.T) {
	engine := &foreign{most: 3, openFor: time.Second}
	r := newRig(t, Config{Engine: engine}, named(1)...)
	p := r.pick(payment)
	start := r.clk.Now()
	r.pass(250 * time.Millisecond)
	p.Late()
	p.Late()
	r.pass(time.Second)
	p.Done(Report{Result: breaker.Failure, Start: start, Elapsed: 1250 * time.Millisecond})
	heard := engine.made["a"].heard
	if len(heard) != 1 || heard[0].Result != breaker.Failure || heard[0].Elapsed != 250*time.Millisecond || !heard[0].Start.Equal(start) {
		t.Errorf("the breaker heard %+v, want one failure after 250 ms", heard)
	}
}

// What an engine has made is in the nodes' status, for who knows more of it.
func TestStatusHasTheBreaker(t *testing.T) {
	engine := &foreign{most: 3}
	r := newRig(t, Config{Engine: engine}, named(3)...)
	for _, s := range r.sel.Nodes() {
		if b, ok := s.Breaker.(*foreignBreaker); !ok || b != engine.made[s.Node.ID] {
			t.Errorf("the breaker of %s is %v", s.Node.ID, s.Breaker)
		}
	}
}
