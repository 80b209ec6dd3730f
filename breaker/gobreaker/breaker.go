package gobreaker

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	sony "github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/internal/relay"
)

// Breaker is a gobreaker. It is safe for concurrent use, must not be copied,
// and has no useful zero value: make one by [New], or many by an [Engine].
//
// What is admitted as a probe holds a lease that ends; no sequence of calls
// wedges it. The library itself is never called with a lock of ours held.
type Breaker struct {
	cfg  *Config
	name string
	tell relay.Relay[turn]

	cur atomic.Pointer[inner] // written with mu held

	mu     sync.Mutex
	leases []lease // of cur, while half-open, in the order in which they end
}

// inner is a breaker of the library. Trip and Reset, which it does not have,
// put another in its place.
type inner struct {
	b   *Breaker
	lib *sony.TwoStepCircuitBreaker[struct{}]

	state  atomic.Uint32 // a breaker.State; written with b.mu held
	opened atomic.Int64  // when it last opened
	failed atomic.Int64  // when the last failure that is on record came; 0: none is

	tripping bool // before anybody else has it: the next failure opens
}

// turn is a transition.
type turn struct{ from, to breaker.State }

var (
	_ breaker.Breaker = (*Breaker)(nil)
	_ breaker.Tripper = (*Breaker)(nil)
)

func (e *Engine) breaker(key string) *Breaker {
	b := &Breaker{cfg: &e.cfg, name: fullName(e.cfg.Settings.Name, key)}
	if listen := e.cfg.Settings.OnStateChange; listen != nil {
		b.tell.Listen = func(t turn) { listen(b.name, toSony(t.from), toSony(t.to)) }
	}
	b.cur.Store(b.fresh())
	return b
}

// fresh returns a new, closed breaker of the library, whose functions run
// under the library's lock.
func (b *Breaker) fresh() *inner {
	in := &inner{b: b}
	st := b.cfg.Settings
	st.Name = b.name
	forgives := st.ReadyToTrip == nil && st.BucketPeriod == 0 // one success forgives all
	st.IsExcluded = excluded
	st.IsSuccessful = func(err error) bool {
		if err == nil && forgives && in.failed.Load() != 0 {
			in.failed.Store(0)
		}
		return err == nil
	}
	ready := st.ReadyToTrip
	if ready == nil {
		ready = moreThanFive
	}
	st.ReadyToTrip = func(c sony.Counts) bool {
		in.failed.Store(clock.System.Mono() | 1) // never 0
		return in.tripping || ready(c)
	}
	st.OnStateChange = func(_ string, from, to sony.State) { in.turn(fromSony(from), fromSony(to)) }
	in.lib = sony.NewTwoStepCircuitBreaker[struct{}](st)
	return in
}

// moreThanFive is gobreaker's default ReadyToTrip.
func moreThanFive(c sony.Counts) bool { return c.ConsecutiveFailures > 5 }

// turn notes a transition of the library. It runs under the library's lock.
func (in *inner) turn(from, to breaker.State) {
	if to == breaker.Open {
		in.opened.Store(clock.System.Mono())
	}
	in.failed.Store(0)
	b := in.b
	b.mu.Lock()
	defer b.mu.Unlock()
	in.state.Store(uint32(to))
	if b.cur.Load() == in {
		b.leases = nil
		b.tell.Add(turn{from, to})
	}
}

func (in *inner) is(s breaker.State) bool { return in.state.Load() == uint32(s) }

// State implements [breaker.Breaker]. It takes no lock.
func (b *Breaker) State() breaker.State { return breaker.State(b.cur.Load().state.Load()) }

// Counts returns the library's own counters.
func (b *Breaker) Counts() sony.Counts { return b.cur.Load().lib.Counts() }

// Name is what OnStateChange hears.
func (b *Breaker) Name() string { return b.name }

// TryAcquire implements [breaker.Breaker]. The present is time.Now(), as the
// library reads it, whatever it is told. It allocates the closure that the
// library returns.
func (b *Breaker) TryAcquire(time.Time) (p breaker.Permit, retryAfter time.Duration, ok bool) {
	for {
		in := b.cur.Load()
		done, err := in.lib.Allow()
		switch {
		case err == nil:
			p, ok = b.permit(in, done), true
		case errors.Is(err, sony.ErrTooManyRequests):
			wait, forfeited := b.forfeit(in)
			if forfeited || b.cur.Load() != in {
				continue // there is room now, or another breaker
			}
			retryAfter = wait
		default:
			since := time.Duration(clock.System.Mono() - in.opened.Load())
			retryAfter = max(b.cfg.Settings.Timeout-since, 0) + 1 // the library counts the last instant in
		}
		b.tell.Drain()
		return p, retryAfter, ok
	}
}

// Trip implements [breaker.Tripper]: it opens the breaker for Timeout,
// whatever ReadyToTrip says. The library cannot be told to, so another takes
// its place, opened by one failure.
func (b *Breaker) Trip(breaker.Reason) {
	in := b.fresh()
	in.tripping = true
	if done, err := in.lib.Allow(); err == nil {
		done(errFailure)
	}
	in.tripping = false
	b.replace(in, breaker.Open)
}

// Reset implements [breaker.Tripper]: it closes the breaker and forgets all
// counts, by a new one of the library.
func (b *Breaker) Reset(breaker.Reason) { b.replace(b.fresh(), breaker.Closed) }

// replace puts in into place; an open one only where the present one is not
// open.
func (b *Breaker) replace(in *inner, to breaker.State) {
	b.mu.Lock()
	from := breaker.State(b.cur.Load().state.Load())
	if from != to || to == breaker.Closed {
		b.cur.Store(in)
		b.leases = nil
	}
	if from != to {
		b.tell.Add(turn{from, to})
	}
	b.mu.Unlock()
	b.tell.Drain()
}

// Idle reports whether the breaker is closed and the library has no failure on
// record, so that a new one would do as well; a [breaker.Group] evicts these
// first. With a ReadyToTrip of your own and no Interval a failure is on record
// for good.
func (b *Breaker) Idle() bool {
	in := b.cur.Load()
	if !in.is(breaker.Closed) {
		return false
	}
	failed, st := in.failed.Load(), &b.cfg.Settings
	return failed == 0 || st.Interval > 0 && clock.System.Mono()-failed > int64(st.Interval+st.BucketPeriod)
}

func fromSony(s sony.State) breaker.State {
	switch s {
	case sony.StateOpen:
		return breaker.Open
	case sony.StateHalfOpen:
		return breaker.HalfOpen
	}
	return breaker.Closed
}

func toSony(s breaker.State) sony.State {
	switch s {
	case breaker.Open:
		return sony.StateOpen
	case breaker.HalfOpen:
		return sony.StateHalfOpen
	}
	return sony.StateClosed
}
