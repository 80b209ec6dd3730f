package breaker

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// Config describes breakers of one family. The zero Config is good.
type Config struct {
	// Rule decides when to open. Nil: CUSUM{}, whose zero value means 1 %
	// normal, 50 % broken, one false trip in a million calls. Never{} leaves
	// the decision to Trip.
	Rule Rule

	// SlowCall makes a success that took at least this long a failure.
	// 0: off.
	SlowCall time.Duration

	// OpenFor is the open time after the first trip: it doubles with each
	// trip that follows before the breaker stayed closed for OpenMax, up to
	// OpenMax, and is spread over ×0.5–1.5. Default 1 s.
	OpenFor time.Duration

	// OpenMax caps the open time, before the spread. Default 30 s.
	OpenMax time.Duration

	// Probes is how many calls pass at once when half-open, and how many must
	// succeed in a row to close; one failure opens again. Default 1.
	Probes int

	// ProbeTimeout is the lease of a probe: one that has not reported by then
	// is forfeited and its place given away. Default 10 s.
	ProbeTimeout time.Duration

	// Ramp is how long after closing the admitted share of calls takes to
	// grow, linearly, from a tenth to all. Default 10 s, negative: off.
	Ramp time.Duration

	// Shadow admits every call and only reports what it would have done.
	Shadow bool

	// OnEvent, if not nil, hears every transition: in order, outside every
	// lock; it may call the breaker.
	OnEvent func(Event)

	// Clock is the time and randomness; nil: the real ones. Tests get a
	// virtual one from package resiliencetest.
	Clock clock.Clock
}
