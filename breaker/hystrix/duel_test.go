package hystrix

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/afex/hystrix-go/hystrix"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
)

// bubbleClock is the bubble's time, by which the library's seconds go.
type bubbleClock struct{ clock.Clock }

func (bubbleClock) Now() time.Time { return time.Now() }

// duel is the library and the native breaker side by side, with the models.
type duel struct {
	*tally
	rng     *rand.Rand
	set     settings
	library *hystrix.CircuitBreaker

	native  *breaker.Circuit
	allowed defect // what may make a difference in this sequence
	models  [4]model
	out     []inFlight
	diverse bool // there was a difference in this sequence
	closed  bool // it has closed in this sequence
	health  float64
	log     []string
}

// The models of a duel.
const (
	asNative  = iota // without defects
	asAllowed        // with those that are allowed
	asLibrary        // with all
	asOnTime         // with those that are allowed, but for late errors
)

// occasions are what is allowed in a sequence that is not about all or nothing:
// the rarer more often. Late errors show only where the circuit is not judged by
// an error.
var occasions = []defect{
	oldSuccess, judgedWhenAsked, cancelled, cancelled,
	turnedAway, turnedAway, turnedAway, probeCounts, probeCounts, probeCounts, probesStart, probesStart, probesStart,
	lateErrors | judgedWhenAsked, lateErrors | judgedWhenAsked, lateErrors | judgedWhenAsked, lateErrors | judgedWhenAsked,
	lateErrors | judgedWhenAsked, lateErrors | judgedWhenAsked, lateErrors | judgedWhenAsked, lateErrors | judgedWhenAsked,
}

// inFlight is a call under way.
type inFlight struct {
	library, native bool // admitted it
	permit          breaker.Permit
	tickets         [4]ticket
	slow            bool // the fallback: of those who turned it away
}

func compare(sequences int, seed uint64) *tally {
	saw := &tally{Edges: map[string]int{}}
	rng := rand.New(rand.NewPCG(seed, seed))
	var duels []*duel
	for i := range 60 {
		d := &duel{tally: saw, rng: rng}
		cfg := CommandConfig{
			RequestVolumeThreshold: []int{1, 2, 3, 4, 6}[i%5],
			ErrorPercentThreshold:  []int{1, 15, 34, 50, 75, 100}[rng.IntN(6)],
			SleepWindow:            []int{50, 1000, 2500, 7000}[rng.IntN(4)],
			Timeout:                []int{10, 4000}[rng.IntN(2)],
		}
		set, err := read(cfg)
		if err != nil {
			saw.Fault = err.Error()
			return saw
		}
		d.set = set
		hystrix.ConfigureCommand(fmt.Sprint(i), cfg)
		d.library, _, _ = hystrix.GetCircuit(fmt.Sprint(i))
		duels = append(duels, d)
	}
	for saw.Sequences < sequences && saw.Fault == "" {
		duels[rng.IntN(len(duels))].play()
	}
	return saw
}

// play plays one sequence, from a closed circuit with nothing on record.
func (d *duel) play() {
	d.Sequences++
	d.begin()
	for range 20 + d.rng.IntN(60) {
		d.Steps++
		switch n := d.rng.IntN(10); {
		case n < 4:
			d.ask()
		case n < 8:
			d.report()
		default:
			d.wait()
		}
		if d.Fault != "" {
			return
		}
	}
	if d.diverse {
		d.Different++
	}
}

func (d *duel) begin() {
	d.log, d.out, d.diverse, d.closed = d.log[:0], nil, false, false
	if d.library.IsOpen() {
		_ = d.library.ReportEvent([]string{"success"}, time.Now(), 0)
	}
	wait(12*time.Second + time.Duration(d.rng.Int64N(int64(time.Second)))) // all is forgotten
	synctest.Wait()
	d.health = 0.1 + 0.8*d.rng.Float64()
	switch n := d.rng.IntN(10); {
	case n < 3:
		d.allowed = 0
	case n < 9:
		d.allowed = occasions[d.rng.IntN(len(occasions))]
	default:
		d.allowed = allDefects
	}
	bc := d.set.breaker()
	bc.Clock = bubbleClock{clock.System}
	b, err := breaker.New("x", bc)
	if err != nil {
		d.Fault = err.Error()
		return
	}
	d.native = b
	for i, defects := range []defect{0, d.allowed, allDefects, d.allowed &^ lateErrors} {
		d.models[i] = model{set: d.set, defects: defects}
	}
	d.note("%+v, allowed %b, at %v", d.set, d.allowed, time.Now())
}

func (d *duel) note(format string, args ...any) {
	if len(d.log) < 200 {
		d.log = append(d.log, fmt.Sprintf(format, args...))
	}
}

func (d *duel) fail(format string, args ...any) {
	d.Fault = strings.Join(append(d.log, fmt.Sprintf(format, args...)), "\n")
}

// edge counts what happens while there is no difference.
func (d *duel) edge(name string) {
	if !d.diverse {
		d.Edges[name]++
	}
}

// ask asks both for a call.
func (d *duel) ask() {
	now := time.Now()
	before := d.models[asNative]
	f := inFlight{slow: d.rng.IntN(4) == 0}
	var wait time.Duration
	f.library = d.library.AllowRequest()
	f.permit, wait, f.native = d.native.TryAcquire(now)
	for i := range d.models {
		f.tickets[i] = d.models[i].ask(now)
	}
	d.Decisions++
	d.note("ask: library %v, native %v, wait %v", f.library, f.native, wait)
	switch {
	case f.library != f.tickets[asLibrary].admitted:
		d.fail("the library admits: %v, with its defects the model: %v", f.library, f.tickets[asLibrary].admitted)
	case f.native != f.tickets[asNative].admitted:
		d.fail("the native breaker admits: %v, without defects the model: %v", f.native, f.tickets[asNative].admitted)
	case f.library != f.tickets[asAllowed].admitted:
		d.fail("the library admits: %v, with the defects that have an occasion the model: %v", f.library, f.tickets[asAllowed].admitted)
	case f.library != f.native && d.allowed == 0:
		d.fail("the library admits: %v, the native breaker: %v", f.library, f.native)
	case f.library == f.native:
		d.Alike++
		d.decided(before, f, now)
	default:
		culprit := d.allowed &^ lateErrors
		if culprit != d.allowed && f.tickets[asOnTime].admitted == f.native {
			culprit = lateErrors
		}
		if name := difference[culprit]; name != "" {
			d.edge("difference: " + string(name))
		}
		d.diverse = true
	}
	d.out = append(d.out, f)
	if !f.library && !f.slow {
		d.short(&f)
	}
	if len(d.out) > 12 { // one that never ends
		d.out = slices.Delete(d.out, 0, 1)
	}
}

// short tells the library of a short circuit.
func (d *duel) short(f *inFlight) {
	now := time.Now()
	_ = d.library.ReportEvent([]string{string(shortCircuited)}, now, 0)
	synctest.Wait()
	for i := range d.models {
		if !f.tickets[i].admitted {
			d.models[i].report(f.tickets[i], shortCircuited, now)
		}
	}
}

// decided counts the edges of a decision.
func (d *duel) decided(before model, f inFlight, now time.Time) {
	switch {
	case f.native && before.state == breaker.Closed:
		d.edge("admitted while closed")
	case f.native && before.state == breaker.Open:
		d.edge("probe")
		if now.Sub(before.since) <= d.set.sleep+1 {
			d.edge("probe at the end of the sleep window")
		}
	case f.native:
		d.edge("probe forfeited")
	case before.state == breaker.Open:
		d.edge("rejected: open")
	default:
		d.edge("rejected: a probe is out")
	}
}

// report lets a call end.
func (d *duel) report() {
	if len(d.out) == 0 {
		return
	}
	i := len(d.out) - 1
	if d.rng.IntN(3) == 0 {
		i = d.rng.IntN(len(d.out))
	}
	f := d.out[i]
	outcomes := []outcome{failed, succeeded}
	if d.rng.Float64() < d.health {
		outcomes = []outcome{succeeded, failed}
	}
	if d.rng.IntN(8) == 0 {
		outcomes = []outcome{wasCancelled, wasRejected}
		d.rng.Shuffle(2, func(i, j int) { outcomes[i], outcomes[j] = outcomes[j], outcomes[i] })
	}
	now := time.Now()
	for _, o := range outcomes {
		if !d.mayReport(f, o, now) {
			continue
		}
		d.out = slices.Delete(d.out, i, i+1)
		d.end(f, o, now)
		return
	}
}

// mayReport reports whether a result gives no occasion to defects that are not
// allowed.
func (d *duel) mayReport(f inFlight, o outcome, now time.Time) bool {
	if d.allowed == allDefects {
		return true
	}
	a, l := d.models[asAllowed], d.models[asLibrary]
	told(&a, f.tickets[asAllowed], o, f.slow, now)
	told(&l, f.tickets[asLibrary], o, f.slow, now)
	return alike(a, l, now)
}

// alike reports whether two models will answer the next calls alike, at the
// instant: one that is closed all, one that lets a probe through the first.
func alike(a, b model, now time.Time) bool {
	for range 2 {
		if a.ask(now).admitted != b.ask(now).admitted {
			return false
		}
	}
	return true
}

// told tells a model of a call's end.
func told(m *model, t ticket, o outcome, slow bool, now time.Time) {
	switch {
	case t.admitted:
		m.report(t, o, now)
	case slow:
		m.report(t, shortCircuited, now)
	}
}

func (d *duel) end(f inFlight, o outcome, now time.Time) {
	before := d.models[asNative]
	for i := range d.models {
		told(&d.models[i], f.tickets[i], o, f.slow, now)
	}
	switch {
	case f.library:
		_ = d.library.ReportEvent([]string{string(o)}, now, 0)
	case f.slow:
		_ = d.library.ReportEvent([]string{string(shortCircuited)}, now, 0)
	}
	synctest.Wait()
	if f.native {
		f.permit.Done(breaker.Report{Result: resultOf[o]})
		d.ended(before, f.tickets[asNative], o, now)
	}
	d.note("end: %v of a call that the library admitted %v, we %v", o, f.library, f.native)
	if d.native.State() == breaker.Open && before.state == breaker.Closed && d.allowed&judgedWhenAsked == 0 {
		d.ask() // as the library opens only when it is asked
	}
}

// ended counts the edges of a result.
func (d *duel) ended(before model, t ticket, o outcome, now time.Time) {
	after := &d.models[asNative]
	switch {
	case o == failed && before.state == breaker.Closed && after.state == breaker.Open:
		d.edge("opened")
		if d.closed {
			d.edge("opened after it had closed")
		}
		if after.requests.n > 1 {
			d.edge("opened by more than a second of failures")
		}
	case o == failed && before.state == breaker.Closed:
		d.edge("a failure too few")
		if before.requests.n > 0 && before.requests.sum(now.Unix()) >= after.requests.sum(now.Unix()) {
			d.edge("failures forgotten")
		}
	case o == failed && before.decides(t, now):
		d.edge("probe failed")
	case o == succeeded && before.decides(t, now):
		d.closed = true
		d.edge("probe succeeded")
	}
	if o == failed && t.probe != 0 && !before.decides(t, now) {
		d.edge("forfeited failure")
	} else if o == failed && t.probe == 0 && t.period != before.period {
		if before.state == breaker.Closed {
			d.edge("stale failure while closed")
		} else {
			d.edge("stale failure while open")
		}
	}
}

// wait lets time pass: a little, a lot, or to where something is due and a
// nanosecond beside it.
func (d *duel) wait() {
	for range 5 {
		now := time.Now()
		to := now.Add(time.Duration(d.rng.Int64N(int64(40 * time.Millisecond))))
		switch d.rng.IntN(10) {
		case 0, 1:
			to = d.models[asNative].due()
		case 2:
			to = d.models[asLibrary].due()
		case 3:
			to = now.Truncate(time.Second).Add(time.Second)
		case 4:
			to = now.Add(time.Duration(d.rng.IntN(12)) * time.Second)
		case 5:
			to = now.Add(time.Duration(d.rng.Int64N(int64(3 * time.Second))))
		case 6: // the first second is about to be forgotten, or has just been
			if r := &d.models[asLibrary].requests; r.n > 0 {
				to = time.Unix(r.buckets[0].second+9+d.rng.Int64N(3), d.rng.Int64N(int64(time.Second)))
			}
		}
		to = to.Add(time.Duration(d.rng.IntN(3) - 1))
		if to.Before(now) || to.Sub(now) > time.Hour || !d.mayWait(to) {
			continue
		}
		d.note("wait %v", to.Sub(now))
		wait(to.Sub(now))
		return
	}
}

func (d *duel) mayWait(to time.Time) bool {
	if d.allowed == allDefects {
		return true
	}
	return alike(d.models[asAllowed], d.models[asLibrary], to)
}
