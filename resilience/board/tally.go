package board

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// count is one thing that is counted of calls or attempts.
type count uint8

const (
	succeeded count = iota
	answered        // by the service with its own error, a 404 perhaps: nobody's failure
	failed
	timedOut
	rejected  // a call by the bulkhead, an attempt by its node, for load
	shorted   // by an open breaker
	abandoned // by the caller

	// Not another way to end, but beside one of those above.
	ambiguous
	retried
	fellBack
	fallbackFailed
	peak // of calls in flight: a maximum

	counts
)

// ran reports whether the latency says something.
func (c count) ran() bool { return c <= timedOut }

// tally is what is counted for one row. All of it is allocated when the row
// first counts something. What a call writes is one number of a second and one
// of a part; only the first of a second, or of ten, takes the lock.
type tally struct {
	mu      sync.Mutex // to take a second or a part into use
	seconds [16]second
	parts   [minute]part
}

const (
	window = 10 // seconds that counts are summed over
	minute = 6  // parts that latencies are taken from, as Hystrix has it
)

// second is the counts of one second.
type second struct {
	stamp atomic.Int64 // which second, from 1; 0: unused
	n     [counts]atomic.Uint32
	_     [64 - 8 - 4*counts]byte // a cache line
}

// reach raises the peak to n.
func (s *second) reach(n int) {
	raise(&s.n[peak], uint32(min(max(n, 0), math.MaxUint32))) //nolint:gosec // bounded
}

// second returns the place of a second, counted from 0. One so long past that
// its place is taken counts as the one that took it.
func (t *tally) second(at int64) *second {
	s := &t.seconds[at%int64(len(t.seconds))]
	if s.stamp.Load() <= at {
		t.mu.Lock()
		defer t.mu.Unlock()
		if s.stamp.Load() <= at {
			for i := range s.n {
				s.n[i].Store(0)
			}
			s.stamp.Store(at + 1)
		}
	}
	return s
}

// part returns the place of a second's latencies.
func (t *tally) part(at int64) *part {
	at /= window
	p := &t.parts[at%minute]
	if p.stamp.Load() <= at {
		t.mu.Lock()
		defer t.mu.Unlock()
		if p.stamp.Load() <= at {
			p.clear(at + 1)
		}
	}
	return p
}

// sums is what several rows, or one, come to.
type sums struct {
	n [counts]uint64
	histogram
}

// add adds the counts of the ten whole seconds before now, and the latencies
// of the last minute: the ten seconds that are under way and the fifty before.
func (x *sums) add(r *row, now int64) {
	t := r.made.Load()
	if t == nil {
		return
	}
	for i := range t.seconds {
		s := &t.seconds[i]
		if at := s.stamp.Load() - 1; at < 0 || at < now-window || at >= now {
			continue
		}
		for k := range x.n {
			n := uint64(s.n[k].Load())
			if count(k) == peak {
				x.n[k] = max(x.n[k], n)
			} else {
				x.n[k] += n
			}
		}
	}
	for i := range t.parts {
		p := &t.parts[i]
		if at := p.stamp.Load() - 1; at >= 0 && at > now/window-minute && at <= now/window {
			x.merge(p)
		}
	}
}

// row is a tally that is made when it is first needed.
type row struct{ made atomic.Pointer[tally] }

func (r *row) tally() *tally {
	if t := r.made.Load(); t != nil {
		return t
	}
	r.made.CompareAndSwap(nil, new(tally))
	return r.made.Load()
}

// add counts the end of a call or an attempt.
func (r *row) add(at int64, c count, d time.Duration) *second {
	t := r.tally()
	s := t.second(at)
	s.n[c].Add(1)
	if c.ran() {
		t.part(at).add(d)
	}
	return s
}

// countOf is how the call or the attempt that e tells of ended.
func countOf(e *resilience.Event) count {
	switch {
	case e.Err == nil:
		return succeeded
	case e.Outcome.Effect == retry.Answered:
		return answered
	case e.Outcome.Name == resilience.Rejected.Name && errors.Is(e.Err, breaker.ErrOpen):
		return shorted
	case e.Outcome.Name == resilience.Rejected.Name, e.Outcome.Name == resilience.Refused.Name:
		return rejected
	case isTimeout(e.Err):
		return timedOut
	case e.Outcome.Name == resilience.Abandoned.Name, e.Why == retry.Cancelled:
		return abandoned
	}
	return failed
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
