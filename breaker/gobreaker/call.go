package gobreaker

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
)

// What the library is told of a call. It sees errors, and a breaker results.
var (
	errFailure = errors.New("failure")
	errIgnored = errors.New("ignored")
)

// asked is a failure that notes whether the library has heard it: it drops
// results of calls from before its counts were cleared without a word.
type asked struct{ heard bool }

func (*asked) Error() string { return "failure" }

// excluded is the library's IsExcluded, which it asks first, and only about
// results that it does not drop.
func excluded(err error) bool {
	if a, ok := err.(*asked); ok { //nolint:errorlint // it is ours, and not wrapped
		a.heard = true
	}
	return err == errIgnored //nolint:errorlint // as above
}

// call is an admitted call: the settler of one permit. It is used again for
// another when its result has come, under another number, so that a copy of
// the permit settles nothing any more.
type call struct {
	number atomic.Uint64 // that of the permit; one more once it is forfeited
	in     *inner
	done   func(error) // the library's
	until  int64       // of a probe: when its lease ends; 0: none
}

var calls = sync.Pool{New: func() any { return new(call) }}

// lease is the right of one probe to be heard.
type lease struct {
	call   *call
	number uint64
	until  int64
	done   func(error)
}

// out reports whether the probe has neither reported nor been forfeited.
func (l *lease) out() bool { return l.call.number.Load() == l.number }

// permit makes the permit of a call that the library has admitted.
func (b *Breaker) permit(in *inner, done func(error)) breaker.Permit {
	c := calls.Get().(*call)
	c.in, c.done, c.until = in, done, 0
	number := c.number.Load()
	// If the state has changed since the call was admitted, its result is old
	// news, to which a lease too many or too few makes no difference.
	if in.is(breaker.HalfOpen) {
		c.until = clock.System.Mono() + int64(b.cfg.ProbeTimeout)
		b.lease(in, lease{c, number, c.until, done})
		b.forfeit(in) // so that lost ones do not pile up
	}
	return breaker.NewPermit(c, number)
}

// lease writes a probe down.
func (b *Breaker) lease(in *inner, l lease) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cur.Load() != in || !in.is(breaker.HalfOpen) {
		return
	}
	if len(b.leases) == cap(b.leases) { // so they are bounded by the probes that are out
		b.leases = slices.DeleteFunc(b.leases, func(l lease) bool { return !l.out() })
	}
	b.leases = append(b.leases, l)
}

// forfeit excludes the probes whose lease is over, which makes room for as
// many, or says how long until the next one's is: 0 if none is known.
func (b *Breaker) forfeit(in *inner) (wait time.Duration, forfeited bool) {
	now := clock.System.Mono()
	for {
		l, wait, ok := b.overdue(in, now)
		if !ok {
			return wait, forfeited
		}
		if l.call.number.CompareAndSwap(l.number, l.number+1) {
			l.done(errIgnored)
			forfeited = true
		}
	}
}

// overdue takes the first lease off the list, if it is over.
func (b *Breaker) overdue(in *inner, now int64) (l lease, wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.cur.Load() == in && len(b.leases) > 0 {
		l = b.leases[0]
		if l.out() && l.until > now {
			return lease{}, time.Duration(l.until - now), false
		}
		b.leases = b.leases[1:]
		if l.out() {
			return l, 0, true
		}
	}
	return lease{}, 0, false
}

// Settle implements [breaker.Settler].
func (c *call) Settle(number uint64, r breaker.Report) {
	forfeited := false
	if !c.number.CompareAndSwap(number, number+2) {
		if forfeited = c.number.CompareAndSwap(number+1, number+2); !forfeited {
			return // a copy of the permit
		}
	}
	in, done, until := c.in, c.done, c.until
	c.in, c.done = nil, nil
	calls.Put(c)

	b := in.b
	replaced := in != b.cur.Load() // by Trip or Reset
	if !forfeited && until != 0 && clock.System.Mono() >= until {
		forfeited = true // and nobody has come for its place
		done(errIgnored)
	}
	heard := !forfeited && !replaced
	switch {
	case r.Result == breaker.Failure:
		b.fail(heard, done, r.Elapsed)
	case !heard:
	case r.Result == breaker.Success:
		done(nil)
	default:
		done(errIgnored)
	}
	b.tell.Drain()
}

// fail reports a failure. One that the library would not hear, or drops since
// its call was admitted before the counts were last cleared, counts as one of
// now, while closed: it is no less a failure for having taken long.
func (b *Breaker) fail(heard bool, done func(error), elapsed time.Duration) {
	if heard {
		a := new(asked)
		done(a)
		// In a rolling window it is heard, and falls out of the window.
		st := &b.cfg.Settings
		rolledOut := st.BucketPeriod > 0 && elapsed >= st.Interval+st.BucketPeriod
		if a.heard && !rolledOut {
			return
		}
	}
	in := b.cur.Load()
	if !in.is(breaker.Closed) {
		return
	}
	done, err := in.lib.Allow()
	switch {
	case err != nil:
	case in.is(breaker.Closed):
		done(errFailure)
	default: // it has become a probe meanwhile, and is none
		done(errIgnored)
	}
}
