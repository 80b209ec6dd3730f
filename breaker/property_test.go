package breaker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// duel plays the same random steps against a circuit and the model.
type duel struct {
	t     *testing.T
	rng   *rand.Rand
	clock *handClock
	c     *Circuit
	m     *model
	out   []outstanding
	log   []string // the last steps, for the report
}

type outstanding struct {
	p Permit
	t *ticket
}

// TestCircuitIsItsModel checks every answer of the circuit against the model,
// over all rules and every edge of the state machine.
func TestCircuitIsItsModel(t *testing.T) {
	steps := 120_000
	if raceEnabled || testing.Short() {
		steps = 12_000
	}
	edges := map[string]int{}
	rules := []Rule{
		CUSUM{0.01, 0.5, 1e6},
		CUSUM{0.1, 0.4, 50},
		Consecutive{3},
		Rate{100 * time.Millisecond, 5, 0.5},
		Count{20, 6, 0.5},
		Never{},
	}
	for i, rule := range rules {
		for j, cfg := range []Config{
			{Probes: 1, Ramp: 50 * time.Millisecond, SlowCall: 20 * time.Millisecond, Spread: 0.5},
			{Probes: 3, Ramp: 500 * time.Millisecond, Spread: 0.25},
			{Probes: 2, Ramp: -1, SlowCall: 20 * time.Millisecond, Spread: -1},
		} {
			cfg.Rule, cfg.OpenFor, cfg.OpenMax, cfg.ProbeTimeout = rule, 10*time.Millisecond, 100*time.Millisecond, 30*time.Millisecond
			for k := range 2 {
				t.Run(fmt.Sprintf("%v/%d/%d", rule, j, k), func(t *testing.T) {
					newDuel(t, cfg, uint64(100*i+10*j+k), edges).play(steps)
				})
			}
		}
	}
	// Every edge there is must have been walked often, or the above proves less
	// than it says.
	atLeast := steps / 600
	for _, name := range []string{
		"closed→open", "open→half-open", "half-open→open", "half-open→closed", "open→closed",
		"closed→closed", "open→open", // by Force
		"by rule", "by rule on the ramp", "openings forgotten",
		"trip while closed", "trip while half-open",
		"reset while closed", "reset while open", "reset while half-open",
		"force auto→forced-open", "force forced-open→auto", "force auto→forced-closed",
		"force forced-closed→auto", "force forced-open→forced-closed", "force forced-closed→forced-open",
		"rejected: open", "rejected: half-open", "rejected: ramp", "rejected: forced", "admitted: ramp", "ramp over",
		"lease granted", "lease forfeited", "lease returned", "probe failed", "probe succeeded",
		"success ignored: no lease", "failure ignored: no lease", "ignored ignored: no lease",
		"success ignored: open", "failure ignored: open", "ignored ignored: open",
		"stale failure counted", "stale success ignored", "slow success",
		"result ignored: forced", "shadow admits", "shadow's result ignored",
	} {
		if edges[name] < atLeast {
			t.Errorf("%q happened %d times, want at least %d", name, edges[name], atLeast)
		}
	}
	if t.Failed() {
		t.Log(edges)
	}
}

func newDuel(t *testing.T, cfg Config, seed uint64, edges map[string]int) *duel {
	d := &duel{t: t, rng: rand.New(rand.NewPCG(seed, 1)), clock: newHandClock()}
	d.clock.seed(seed)
	d.m = &model{
		cfg: cfg, edges: edges, rand: rand.New(rand.NewPCG(seed, seed)), probes: map[*ticket]time.Time{},
	}
	cfg.Clock = d.clock
	c, err := New("x", cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.c = c
	return d
}

func (d *duel) play(steps int) {
	healthy := true
	for range steps {
		if d.rng.IntN(100) == 0 {
			healthy = !healthy
		}
		if d.rng.IntN(200) == 0 {
			d.meddle()
		} else if n := d.rng.IntN(10); n < 3 {
			d.wait()
		} else if n < 7 {
			d.acquire()
		} else {
			d.done(healthy)
		}
		d.compare()
	}
}

func (d *duel) note(format string, args ...any) {
	if len(d.log) == 30 {
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

// wait lets time pass: a little, a lot, or to the instant of something or
// one nanosecond beside it.
func (d *duel) wait() {
	now := d.clock.Now()
	var to time.Time
	switch d.rng.IntN(12) {
	case 0:
		to = d.m.openUntil
	case 1:
		for _, until := range d.m.probes {
			if to.IsZero() || until.Before(to) {
				to = until
			}
		}
	case 2:
		to = d.m.rampBegan.Add(max(0, d.m.cfg.Ramp))
	case 3:
		to = d.m.closedAt.Add(d.m.cfg.OpenMax)
	case 4:
		to = now.Add(time.Duration(d.rng.Int64N(int64(200 * time.Millisecond))))
	default:
		to = now.Add(time.Duration(d.rng.Int64N(int64(2 * time.Millisecond))))
	}
	if by := to.Add(time.Duration(d.rng.IntN(3) - 1)).Sub(now); by > 0 {
		d.note("wait %v", by)
		d.clock.advance(by)
	}
}

func (d *duel) acquire() {
	now := d.clock.Now()
	t, wait := d.m.acquire(now)
	p, got, ok := d.c.TryAcquire(now)
	d.note("acquire: %v, %v", ok, got)
	if ok != (t != nil) || got != wait {
		d.fail("admitted %v (wait %v), want %v (wait %v)", ok, got, t != nil, wait)
	}
	if !ok {
		return
	}
	d.out = append(d.out, outstanding{p, t})
	if d.rng.IntN(50) == 0 || len(d.out) > 40 { // one whose result never comes
		d.out = slices.Delete(d.out, 0, 1)
	}
}

func (d *duel) done(healthy bool) {
	if len(d.out) == 0 {
		return
	}
	i := len(d.out) - 1 // mostly the youngest, so that probes report in time
	if d.rng.IntN(3) == 0 {
		i = d.rng.IntN(len(d.out))
	}
	o := d.out[i]
	d.out = slices.Delete(d.out, i, i+1)
	r := Report{Result: Success, Elapsed: time.Duration(d.rng.Int64N(int64(21 * time.Millisecond)))}
	switch n := d.rng.IntN(100); {
	case n < 8:
		r.Result = Ignored
	case n < 12 || !healthy && n < 70:
		r.Result = Failure
	}
	d.note("done %v: %v after %v", *o.t, r.Result, r.Elapsed)
	d.m.done(o.t, r, d.clock.Now())
	o.p.Done(r)
	o.p.Done(Report{Result: Failure}) // says nothing any more
}

func (d *duel) meddle() {
	now := d.clock.Now()
	switch d.rng.IntN(6) {
	case 0, 1:
		d.note("trip")
		d.m.trip(now)
		d.c.Trip(Reason{})
	case 2:
		d.note("reset")
		d.m.reset(now)
		d.c.Reset(Reason{})
	case 3, 4:
		// Back to Auto soon, or little else happens.
		mode := Mode(d.rng.IntN(3))
		d.note("force %v", mode)
		d.m.force(mode, now)
		d.c.Force(mode, "")
		if d.rng.IntN(2) == 0 {
			d.acquire()
			d.done(true)
			d.m.force(Auto, now)
			d.c.Force(Auto, "")
		}
	case 5:
		d.m.shadow = !d.m.shadow && d.rng.IntN(2) == 0
		d.note("shadow %v", d.m.shadow)
		d.c.SetShadow(d.m.shadow)
	}
}

func (d *duel) compare() {
	if got := d.c.State(); got != d.m.state {
		d.fail("state is %v, want %v", got, d.m.state)
	}
	if d.rng.IntN(8) != 0 {
		return
	}
	sn, now := d.c.Snapshot(), d.clock.Now()
	if sn.Mode != d.m.mode || sn.Shadow != d.m.shadow || int(sn.WouldReject) != d.m.wouldHave {
		d.fail("snapshot %+v, want %v, shadow %v, %d rejected by it", sn, d.m.mode, d.m.shadow, d.m.wouldHave)
	}
	openings := d.m.openings
	if d.m.state == Closed && !now.Before(d.m.closedAt.Add(d.m.cfg.OpenMax)) {
		openings = 0
	}
	if sn.Openings != openings {
		d.fail("%d openings in a row, want %d", sn.Openings, openings)
	}
	if _, timed := d.m.cfg.Rule.(Rate); timed || d.m.state != Closed {
		return // the window's score falls with time; there the decision is compared
	}
	score, calls, failures := d.m.score()
	if diff := sn.Score - score; diff > 1e-9 || diff < -1e-9 || int(sn.Calls) != calls || int(sn.Failures) != failures {
		d.fail("score %v of %d/%d, want %v of %d/%d", sn.Score, sn.Failures, sn.Calls, score, failures, calls)
	}
}
