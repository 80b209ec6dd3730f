package breaker

import (
	"math"
	"sync/atomic"
	"time"
)

// extra is what a circuit needs only once something has happened to it. Times
// are held as nanoseconds since base, so that rejecting needs no lock. The
// circuit's mutex guards what is not atomic.
type extra struct {
	base time.Time // immutable

	gate        atomic.Int64  // open, half-open: all calls are rejected until then
	rampFrom    atomic.Int64  // when the ramp began
	wouldReject atomic.Uint64 // calls let through by shadow mode only
	shadow      atomic.Int32  // of its own: 0 as configured, 1 on, -1 off

	openings int       // in a row
	closed   time.Time // when it last closed
	since    time.Time // the last transition …
	reason   Reason    // … and its reason

	lease  uint64  // number of the last
	leases []lease // half-open: the probes that are out
	passed int     // half-open: the probes that succeeded

	subs       []*subscriber
	queue      []delivery
	delivering bool // somebody is emptying the queue
}

// lease is the right of one probe to be heard.
type lease struct {
	number uint64
	until  int64
}

// noGate lets calls through to the lock.
const noGate = math.MinInt64

// at is an instant as the atomic fields hold it.
func (x *extra) at(t time.Time) int64 { return int64(t.Sub(x.base)) }

// more returns c.ext, made if need be. The caller holds c.mu.
func (c *Circuit) more(now time.Time) *extra {
	if c.ext == nil {
		c.ext = &extra{base: now}
	}
	return c.ext
}

// shadowed reports whether the circuit is in shadow mode. Callers that do not
// hold c.mu have seen a word that needs c.ext.
func (c *Circuit) shadowed(s *settings) bool {
	if c.ext != nil {
		if own := c.ext.shadow.Load(); own != 0 {
			return own > 0
		}
	}
	return s.shadow
}
