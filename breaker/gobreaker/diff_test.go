package gobreaker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	v1 "github.com/sony/gobreaker"
	sony "github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
)

// duel plays the same random steps against the real libraries, the adapter and
// the native engine. After each, all must have answered alike.
//
// Where they differ on purpose, the duel does to the libraries from outside
// what the cure does: the differences are thus all that is made up for, and
// each is counted under its name.
type duel struct {
	t     *testing.T
	rng   *rand.Rand
	cfg   Config // as filled in
	edges map[string]int
	log   []string

	lib    *sony.TwoStepCircuitBreaker[struct{}]
	state  sony.State // of lib, as OnStateChange said
	period int        // transitions of lib so far
	asked  int        // period when it was last asked for a permit
	lib1   *v1.TwoStepCircuitBreaker

	ours map[string]breaker.Breaker // held against lib
	out  []*outstanding
	turn time.Time // the last transition of lib
}

// outstanding is a call that all have admitted.
type outstanding struct {
	done    func(error)
	done1   func(bool)
	permits map[string]*breaker.Permit
	at      time.Time
	period  int

	probe     bool
	lost      bool // it will never report
	forfeited bool
}

// scenario is settings to play with.
type scenario struct {
	name    string
	st      sony.Settings
	v1      bool // v1 plays too: no probe is ignored or lost, which could not be made up for
	native  bool // the native engine plays too
	probing time.Duration
	forever bool // the libraries play without Interval, against the native engine: what else is there is the difference Intervals
}

const (
	ms  = time.Millisecond
	far = 8760 * time.Hour
)

var scenarios = []scenario{
	{"defaults", sony.Settings{}, true, true, far, false},
	{"one probe", sony.Settings{Timeout: 10 * ms}, false, true, 30 * ms, false},
	{"probes", sony.Settings{Timeout: 10 * ms, MaxRequests: 3}, false, true, 30 * ms, false},
	{"many probes, v1", sony.Settings{Timeout: 10 * ms, MaxRequests: 5}, true, true, far, false},
	{"three in a row", sony.Settings{Timeout: 5 * ms, MaxRequests: 2, ReadyToTrip: inARowOf(3)}, false, true, 8 * ms, false},
	{"one failure", sony.Settings{Timeout: ms, ReadyToTrip: inARowOf(1)}, true, true, far, false},
	{"interval", sony.Settings{Timeout: 10 * ms, MaxRequests: 2, Interval: 20 * ms}, false, false, 30 * ms, false},
	{"interval, v1", sony.Settings{Timeout: 10 * ms, MaxRequests: 2, Interval: 5 * ms, ReadyToTrip: inARowOf(2)}, true, false, far, false},
	{"share", sony.Settings{Timeout: 10 * ms, MaxRequests: 2, ReadyToTrip: shareOf(5, .6)}, false, false, 30 * ms, false},
	{"share in an interval", sony.Settings{Timeout: 10 * ms, Interval: 20 * ms, ReadyToTrip: shareOf(5, .6)}, true, false, far, false},
	{"rolling", sony.Settings{Timeout: 10 * ms, MaxRequests: 2, Interval: 20 * ms, BucketPeriod: 3 * ms}, false, false, 30 * ms, false},
	{"share in a rolling interval", sony.Settings{Timeout: 10 * ms, Interval: 20 * ms, BucketPeriod: 5 * ms, ReadyToTrip: shareOf(5, .5)}, false, false, 30 * ms, false},
	{"interval and native", sony.Settings{Timeout: 10 * ms, MaxRequests: 2, Interval: 20 * ms}, false, true, 30 * ms, true},
	{"rolling and native", sony.Settings{Timeout: 10 * ms, Interval: 9 * ms, BucketPeriod: ms, ReadyToTrip: inARowOf(4)}, false, true, 30 * ms, true},
}

func inARowOf(n uint32) func(sony.Counts) bool {
	return func(c sony.Counts) bool { return c.ConsecutiveFailures >= n }
}

// shareOf is what gobreaker's own example shows.
func shareOf(least uint32, share float64) func(sony.Counts) bool {
	return func(c sony.Counts) bool {
		return c.Requests >= least && float64(c.TotalFailures)/float64(c.Requests) >= share
	}
}

// TestDifferential: the adapter and the native engine admit and reject as the
// libraries do, at every step of random histories.
func TestDifferential(t *testing.T) {
	steps, runs := 60_000, 4
	if raceEnabled || testing.Short() {
		steps, runs = 6_000, 2
	}
	edges := map[string]int{}
	for _, sc := range scenarios {
		for seed := range runs {
			t.Run(fmt.Sprintf("%s/%d", sc.name, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { newDuel(t, sc, uint64(seed), edges).play(steps) })
			})
		}
	}
	if t.Failed() {
		return
	}
	// Every edge there is must have been walked often, or the above proves less
	// than it says.
	atLeast := steps * runs / 200
	for _, name := range []string{
		"closed→open", "open→half-open", "half-open→closed", "half-open→open",
		"admitted: closed", "admitted: half-open", "rejected: open", "rejected: half-open",
		"closed: success", "closed: failure", "closed: ignored",
		"probe: success", "probe: failure", "probe: ignored",
		"stale success: closed", "stale success: open", "stale success: half-open",
		"stale failure: open", "stale failure: half-open",
		"asked at the end of the open time", "asked one nanosecond later",
		"difference: " + string(LostProbes), "difference: " + string(DroppedFailures),
		"forfeited success", "forfeited failure", "second done", "permit lost", "interval over",
	} {
		if edges[name] < atLeast {
			t.Errorf("%q happened %d times, want at least %d", name, edges[name], atLeast)
		}
	}
	t.Logf("%d steps; edges: %v", steps*runs*len(scenarios), edges)
}

func newDuel(t *testing.T, sc scenario, seed uint64, edges map[string]int) *duel {
	d := &duel{t: t, rng: rand.New(rand.NewPCG(seed, 7)), edges: edges, ours: map[string]breaker.Breaker{}, turn: time.Now()}
	cfg := Config{Settings: sc.st, ProbeTimeout: sc.probing}
	d.cfg = cfg.filled()

	bare := sc.st
	if sc.forever {
		bare.Interval, bare.BucketPeriod = 0, 0
		d.cfg.Settings.BucketPeriod = 0
	}
	bare.IsExcluded = excluded
	bare.OnStateChange = func(_ string, from, to sony.State) {
		d.edge("%v→%v", from, to)
		d.state, d.turn = to, time.Now()
		d.period++
	}
	d.lib = sony.NewTwoStepCircuitBreaker[struct{}](bare)

	add := func(name string, cfg Config) {
		if !sc.forever {
			b, err := New("", cfg)
			if err != nil {
				t.Fatal(err)
			}
			d.ours["adapter"+name] = b
		}
		if !sc.native {
			return
		}
		nc, _, err := Native(cfg)
		if err != nil {
			t.Fatal(err)
		}
		d.ours["native"+name], err = breaker.New("", nc)
		if err != nil {
			t.Fatal(err)
		}
	}
	add("", cfg)
	if sc.v1 {
		st1 := toV1(sc.st)
		d.lib1 = v1.NewTwoStepCircuitBreaker(st1)
		add(" of v1", Config{Settings: FromV1(st1), ProbeTimeout: sc.probing})
	}
	return d
}

// toV1 is the way back from FromV1.
func toV1(st sony.Settings) v1.Settings {
	out := v1.Settings{Name: st.Name, MaxRequests: st.MaxRequests, Interval: st.Interval, Timeout: st.Timeout}
	if ready := st.ReadyToTrip; ready != nil {
		out.ReadyToTrip = func(c v1.Counts) bool {
			return ready(sony.Counts{
				Requests: c.Requests, TotalSuccesses: c.TotalSuccesses, TotalFailures: c.TotalFailures,
				ConsecutiveSuccesses: c.ConsecutiveSuccesses, ConsecutiveFailures: c.ConsecutiveFailures,
			})
		}
	}
	return out
}

func (d *duel) edge(format string, args ...any) { d.edges[fmt.Sprintf(format, args...)]++ }

func (d *duel) note(format string, args ...any) {
	if len(d.log) == 40 {
		d.log = slices.Delete(d.log, 0, 1)
	}
	d.log = append(d.log, fmt.Sprintf(format, args...))
}

func (d *duel) fail(format string, args ...any) {
	d.t.Helper()
	for _, l := range d.log {
		d.t.Log(l)
	}
	d.t.Fatalf(format, args...)
}

func (d *duel) play(steps int) {
	healthy := true
	for range steps {
		if d.rng.IntN(60) == 0 {
			healthy = !healthy
		}
		switch n := d.rng.IntN(10); {
		case n < 2:
			d.wait()
		case n < 6:
			d.acquire()
		default:
			d.report(healthy)
		}
		d.compare()
	}
}

// wait lets time pass: a little, a lot, or to an instant that matters, or one
// nanosecond beside it.
//
//nolint:forbidigo // synctest bubble
func (d *duel) wait() {
	now := time.Now()
	var to time.Time
	switch d.rng.IntN(10) {
	case 0, 1:
		to = d.turn.Add(d.cfg.Settings.Timeout)
	case 2:
		to = d.turn.Add(d.cfg.Settings.Interval)
	case 3:
		for _, o := range d.out {
			if end := o.at.Add(d.cfg.ProbeTimeout); o.probe && end.After(now) && (to.IsZero() || end.Before(to)) {
				to = end
			}
		}
	case 4:
		to = now.Add(time.Duration(d.rng.Int64N(int64(50 * ms))))
	default:
		to = now.Add(time.Duration(d.rng.Int64N(int64(ms))))
	}
	by := to.Add(time.Duration(d.rng.IntN(3) - 1)).Sub(now)
	if by <= 0 || by > time.Hour {
		return
	}
	d.note("wait %v", by)
	time.Sleep(by)
	if iv := d.cfg.Settings.Interval; iv > 0 && d.state == sony.StateClosed && by > iv {
		d.edge("interval over")
	}
}

func (d *duel) acquire() {
	d.forfeit()
	before, since := d.state, time.Since(d.turn)
	done, err := d.lib.Allow()
	ok := err == nil
	o := &outstanding{
		done: done, permits: map[string]*breaker.Permit{},
		at: time.Now(), period: d.period, probe: d.state == sony.StateHalfOpen,
	}
	if before == sony.StateOpen {
		switch since - d.cfg.Settings.Timeout {
		case 0:
			d.edge("asked at the end of the open time")
		case 1:
			d.edge("asked one nanosecond later")
		}
	}
	if d.lib1 != nil {
		var err1 error
		if o.done1, err1 = d.lib1.Allow(); (err1 == nil) != ok || errors.Is(err, sony.ErrOpenState) != errors.Is(err1, v1.ErrOpenState) {
			d.fail("v1 says %v, v2 %v", err1, err)
		}
	}
	d.note("acquire while %v: %v", d.state, ok)
	d.asked = d.period
	want := d.wantWait(ok)
	for name, b := range d.ours {
		p, wait, got := b.TryAcquire(time.Now())
		if got != ok || wait != want {
			d.fail("%s: admitted %v (wait %v), want %v (wait %v)", name, got, wait, ok, want)
		}
		o.permits[name] = &p
	}
	if !ok {
		d.edge("rejected: %v", d.state)
		return
	}
	d.edge("admitted: %v", d.state)
	if d.rng.IntN(25) == 0 && (!o.probe || d.lib1 == nil) {
		d.edge("permit lost")
		if o.lost = true; !o.probe {
			return
		}
	}
	d.out = append(d.out, o)
	if len(d.out) > 40 { // forget one that means nothing any more
		if i := slices.IndexFunc(d.out, func(o *outstanding) bool { return !o.leased(d) }); i >= 0 {
			d.out = slices.Delete(d.out, i, i+1)
		}
	}
}

// leased reports whether o is a probe that counts as such.
func (o *outstanding) leased(d *duel) bool { return o.probe && !o.forfeited && o.period == d.period }

// wantWait is how long a rejection must say: until the library would admit.
func (d *duel) wantWait(ok bool) time.Duration {
	if ok {
		return 0
	}
	if d.state == sony.StateOpen {
		return d.cfg.Settings.Timeout + 1 - time.Since(d.turn)
	}
	want := far
	for _, o := range d.out {
		if o.leased(d) {
			want = min(want, d.cfg.ProbeTimeout-time.Since(o.at))
		}
	}
	return want
}

// forfeit makes up for LostProbes: the libraries' probes whose lease is over
// are excluded.
func (d *duel) forfeit() {
	for _, o := range d.out {
		if o.leased(d) && time.Since(o.at) >= d.cfg.ProbeTimeout {
			d.exclude(o)
		}
	}
	d.out = slices.DeleteFunc(d.out, func(o *outstanding) bool { return o.lost && !o.leased(d) })
}

func (d *duel) exclude(o *outstanding) {
	d.edge("difference: %s", LostProbes)
	d.note("a probe is forfeited")
	o.forfeited = true
	o.done(errIgnored)
}

func (d *duel) report(healthy bool) {
	if len(d.out) == 0 {
		return
	}
	i := len(d.out) - 1 // mostly the youngest, so that probes report in time
	if d.rng.IntN(3) == 0 {
		i = d.rng.IntN(len(d.out))
	}
	o := d.out[i]
	if o.lost {
		return
	}
	d.out = slices.Delete(d.out, i, i+1)
	result := breaker.Success
	switch n := d.rng.IntN(100); {
	case n < 8 && (!o.probe || d.lib1 == nil):
		result = breaker.Ignored
	case n < 15 || !healthy && n < 80:
		result = breaker.Failure
	}
	elapsed := time.Since(o.at)
	if o.leased(d) && elapsed >= d.cfg.ProbeTimeout {
		d.exclude(o)
	}
	d.reportEdge(o, result)
	d.note("report %v of a call of period %d in %d, while %v, after %v", result, o.period, d.period, d.state, elapsed)
	heard := !o.forfeited && d.tell(o, result)
	st := d.cfg.Settings
	if result == breaker.Failure && d.state == sony.StateClosed && (!heard || st.BucketPeriod > 0 && elapsed >= st.Interval+st.BucketPeriod) {
		d.again()
	}
	for _, p := range o.permits {
		p.Done(breaker.Report{Result: result, Start: o.at, Elapsed: elapsed})
		p.Done(breaker.Report{Result: breaker.Failure}) // says nothing any more
	}
	d.edge("second done")
}

// tell reports to the libraries, and says whether they listened.
func (d *duel) tell(o *outstanding, result breaker.Result) (heard bool) {
	if o.done1 != nil && result != breaker.Ignored {
		o.done1(result == breaker.Success)
	}
	switch result {
	case breaker.Success:
		o.done(nil)
	case breaker.Failure:
		a := new(asked)
		o.done(a)
		return a.heard
	default:
		o.done(errIgnored)
	}
	return true
}

// again makes up for DroppedFailures: the libraries are told once more, as of
// a call of now.
func (d *duel) again() {
	d.edge("difference: %s", DroppedFailures)
	d.note("a dropped failure counts")
	if done, err := d.lib.Allow(); err == nil {
		done(errFailure)
	}
	if d.lib1 != nil {
		if done, err := d.lib1.Allow(); err == nil {
			done(false)
		}
	}
}

func (d *duel) reportEdge(o *outstanding, result breaker.Result) {
	switch {
	case o.forfeited:
		d.edge("forfeited %v", result)
	case o.period != d.period:
		d.edge("stale %v: %v", result, d.state)
	case o.probe:
		d.edge("probe: %v", result)
	default:
		d.edge("closed: %v", result)
	}
}

func (d *duel) compare() {
	want := fromSony(d.state)
	for name, b := range d.ours {
		got := b.State()
		if got == breaker.Open && want == breaker.HalfOpen && strings.HasPrefix(name, "native") && d.asked != d.period {
			d.edge("half-open by a result") // which the native engine becomes when it is next asked
			continue
		}
		if got != want {
			d.fail("%s is %v, the library %v", name, got, want)
		}
	}
}
