package hystrix

import (
	"fmt"
	"sync"
	"time"

	"github.com/afex/hystrix-go/hystrix"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/internal/relay"
)

// circuit is a circuit of the library as a breaker. It follows what the library
// does, which may also be asked by others, and stands between it and what would
// lead it astray.
type circuit struct {
	name    string
	set     settings
	library *hystrix.CircuitBreaker

	mu    sync.Mutex
	state breaker.State
	opens uint64    // how often it has opened: what was admitted before is old
	gate  time.Time // open: when the library lets a probe through; half-open: when the probe is forfeited
	probe uint64    // half-open: number of the probe that is out; 0: none
	last  uint64    // number of the last probe

	events relay.Relay[breaker.Event]
}

var (
	_ breaker.Breaker   = (*circuit)(nil)
	_ breaker.Settler   = (*circuit)(nil)
	_ breaker.Inspector = (*circuit)(nil)
)

// tokenProbe marks the token of a probe, which is its number. That of another
// call is how often the circuit had opened.
const tokenProbe = 1 << 63

// TryAcquire implements breaker.Breaker.
func (c *circuit) TryAcquire(time.Time) (breaker.Permit, time.Duration, bool) {
	c.mu.Lock()
	defer c.unlock()
	if !c.library.IsOpen() {
		c.turn(breaker.Closed)
		return breaker.NewPermit(c, c.opens), 0, true
	}
	now := clock.System.Now()
	admit := false
	switch {
	case c.state == breaker.Closed:
		c.open(now)
	case c.state == breaker.HalfOpen && c.probe == 0: // the last one said nothing
		admit = true
	case c.state == breaker.Open || !now.Before(c.gate):
		admit = c.library.AllowRequest()
	}
	if !admit {
		return breaker.Permit{}, max(c.gate.Sub(now), 0), false
	}
	c.turn(breaker.HalfOpen)
	return c.lend(now), 0, true
}

// lend gives the probe's place away.
func (c *circuit) lend(now time.Time) breaker.Permit {
	c.last++
	c.probe, c.gate = c.last, c.opensAfter(now)
	return breaker.NewPermit(c, c.probe|tokenProbe)
}

// opensAfter is when the library, asked at the instant, will let a probe
// through: it wants the sleep window to be over.
func (c *circuit) opensAfter(t time.Time) time.Time { return t.Add(c.set.sleep + 1) }

// State implements breaker.Breaker. It asks the library, which opens a circuit
// when it is asked.
func (c *circuit) State() breaker.State {
	c.mu.Lock()
	c.follow()
	c.unlock() // and whoever hears of it may do something about it
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// follow takes note of what the library has done meanwhile.
func (c *circuit) follow() {
	switch open := c.library.IsOpen(); {
	case open && c.state == breaker.Closed:
		c.open(clock.System.Now())
	case !open:
		c.turn(breaker.Closed)
	}
}

// Settle implements breaker.Settler.
func (c *circuit) Settle(token uint64, r breaker.Report) {
	c.mu.Lock()
	defer c.unlock()
	c.follow()
	isProbe := token&tokenProbe != 0
	current := isProbe && c.state == breaker.HalfOpen && token == c.probe|tokenProbe && clock.System.Now().Before(c.gate)
	switch {
	case current && r.Result == breaker.Success:
		c.report("success", r)
		c.turn(breaker.Closed)
	case current && r.Result == breaker.Failure:
		c.report("failure", r)
		c.turn(breaker.Open) // until the sleep window since the probe's start is over
	case current:
		c.probe = 0
	case c.state != breaker.Closed:
	case r.Result == breaker.Failure:
		c.report("failure", r)
	case r.Result == breaker.Success && !isProbe && token == c.opens:
		c.report("success", r)
	}
}

// report tells the library. It refuses while too many reports wait, and there
// is nobody to tell.
func (c *circuit) report(what string, r breaker.Report) {
	start := r.Start
	if start.IsZero() {
		start = clock.System.Now().Add(-r.Elapsed)
	}
	_ = c.library.ReportEvent([]string{what}, start, r.Elapsed)
}

// open notes that the circuit has opened, at the instant.
func (c *circuit) open(now time.Time) {
	c.opens++
	c.gate = c.opensAfter(now)
	c.turn(breaker.Open)
}

// turn changes the state, if it is another. Caller holds mu.
func (c *circuit) turn(to breaker.State) {
	from := c.state
	if from == to {
		return
	}
	c.state = to
	if to != breaker.HalfOpen {
		c.probe = 0
	}
	e := breaker.Event{Key: c.name, From: from, To: to, At: clock.System.Now(), Reason: breaker.Reason{Cause: breaker.ByEngine, Rule: c.rule()}}
	if to == breaker.Open {
		e.OpenFor = c.set.sleep
	}
	c.events.Add(e)
}

func (c *circuit) rule() string {
	return fmt.Sprintf("hystrix(%d%% in %v, at least %d calls)", c.set.errPercent, window, c.set.volume)
}

// Snapshot implements breaker.Inspector. What is on record the library keeps
// to itself.
func (c *circuit) Snapshot() breaker.Snapshot {
	c.mu.Lock()
	defer c.unlock()
	c.follow()
	sn := breaker.Snapshot{
		Key: c.name, State: c.state, Rule: c.rule(), MinCalls: c.set.volume, ErrorRate: float64(c.set.errPercent) / 100,
		OpenFor: c.set.sleep,
	}
	if c.state == breaker.Closed {
		sn.Share = 1
		return sn
	}
	if c.probe != 0 {
		sn.Probes = 1
	}
	if c.state == breaker.Open || c.probe != 0 {
		sn.RetryAt = c.gate
	}
	return sn
}

// unlock releases c.mu, and then lets the listener hear.
func (c *circuit) unlock() {
	c.mu.Unlock()
	c.events.Drain()
}
