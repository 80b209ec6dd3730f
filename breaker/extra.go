package breaker

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// extra is what a circuit needs only once something has happened to it. Times
// are nanoseconds since base, which keeps it small and lets a call be rejected
// without a lock. The circuit's mutex guards what is not atomic.
type extra struct {
	gate        atomic.Int64  // open, half-open: all calls are rejected until then
	rampFrom    atomic.Int64  // when the ramp began
	wouldReject atomic.Uint64 // calls let through by shadow mode only
	shadow      atomic.Int32  // of its own: 0 as configured, 1 on, -1 off

	openings int32 // in a row
	passed   int32 // half-open: the probes that succeeded
	acted    bool  // there was a transition
	closed   int64 // when it last closed
	since    int64 // the last transition …
	reason   Reason

	lease  uint64  // number of the last
	leases []lease // half-open: the probes that are out

	bus *bus // nil: nobody listens and nothing is on its way
}

// lease is the right of one probe to be heard.
type lease struct {
	number uint64
	until  int64
}

// noGate lets calls through to the lock.
const noGate = math.MinInt64

// base is what instants are counted from. Any would do within 292 years of the
// instants that are given.
var base = clock.System.Now()

// at is an instant as the atomic fields hold it.
func (*extra) at(t time.Time) int64 { return int64(t.Sub(base)) }

// instant is the reverse of at.
func instant(at int64) time.Time { return base.Add(time.Duration(at)) }

// healthyFor is how long a closed circuit has been so. Of one that never opened
// it means nothing, and its zero openings need nothing.
func (x *extra) healthyFor(now time.Time) time.Duration {
	return time.Duration(x.at(now) - x.closed)
}

// more returns c.ext, made if need be. The caller holds c.mu.
func (c *Circuit) more(now time.Time) *extra {
	if c.ext == nil {
		c.ext = &extra{}
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
