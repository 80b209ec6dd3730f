package breaker

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// Config describes breakers of one family. The zero Config is good.
type Config struct {
	// Rule decides when to open. Nil: CUSUM{}, whose zero value means 1 %
	// normal, 50 % broken, one false trip in a million calls. Never{} leaves
	// the decision to Trip.
	Rule Rule

	// SlowCall makes a success that took at least this long a failure, in
	// every state. 0: off.
	SlowCall time.Duration

	// OpenFor is the open time after the first trip: it doubles with each
	// trip that follows before the breaker stayed closed for OpenMax, up to
	// OpenMax, and is spread by Spread. Default 1 s, or OpenMax if that is
	// less.
	OpenFor time.Duration

	// OpenMax caps the open time, before the spread. Default 30 s, or OpenFor
	// if that is more. The same as OpenFor: the open time does not grow.
	OpenMax time.Duration

	// Spread is how far the open time is spread at random, either way, as a
	// share of it, so that many clients do not come back at once. Default 0.5,
	// at most 1; negative: off.
	Spread float64

	// Probes is how many calls must succeed in half-open to close, and how many
	// pass to find out: another only in the place of one that said nothing. One
	// failure opens again. At most 1000. Default 1.
	Probes int

	// ProbeTimeout is the lease of a probe: one that has not reported by then
	// is forfeited, its place given away and its result no longer counted as a
	// probe's. It should be longer than the slowest call that is still good.
	// Default 10 s.
	ProbeTimeout time.Duration

	// Ramp is how long after closing the admitted share of calls takes to
	// grow, linearly, from a tenth to all. Default 10 s, negative: off.
	Ramp time.Duration

	// Shadow admits every call and only reports what it would have done.
	// [Circuit.SetShadow] overrides it for one breaker.
	Shadow bool

	// OnEvent, if not nil, hears every transition: in order, outside every
	// lock; it may call the breaker.
	OnEvent func(Event)

	// Clock is the time and randomness; nil: the real ones. Tests get a
	// virtual one from package resiliencetest.
	Clock clock.Clock
}

// FieldError is one field of a configuration that is out of range. It is found
// with errors.As; several are joined with errors.Join.
type FieldError struct {
	Field string // e.g. "CUSUM.Baseline"
	Value any    // what it is
	Want  string // the accepted range, and the default
}

// Error implements error.
func (e *FieldError) Error() string {
	return fmt.Sprintf("breaker: %s is %v: want %s", e.Field, e.Value, e.Want)
}

const (
	maxDuration = 8760 * time.Hour // a year
	maxProbes   = 1000
)

// filled returns the configuration with its defaults.
func (c Config) filled() Config {
	if c.Rule == nil {
		c.Rule = CUSUM{}
	}
	switch {
	case c.OpenFor == 0 && c.OpenMax == 0:
		c.OpenFor, c.OpenMax = time.Second, 30*time.Second
	case c.OpenFor == 0:
		c.OpenFor = min(time.Second, c.OpenMax)
	case c.OpenMax == 0:
		c.OpenMax = max(30*time.Second, c.OpenFor)
	}
	if c.Spread == 0 {
		c.Spread = 0.5
	}
	if c.Probes == 0 {
		c.Probes = 1
	}
	if c.ProbeTimeout == 0 {
		c.ProbeTimeout = 10 * time.Second
	}
	if c.Ramp == 0 {
		c.Ramp = 10 * time.Second
	}
	if c.Clock == nil {
		c.Clock = clock.System
	}
	return c
}

// Validate returns one [*FieldError] for each field out of range, joined; nil
// when the configuration is good. New and NewFamily call it.
func (c Config) Validate() error {
	var errs []error
	bad := func(field string, value any, want string) {
		errs = append(errs, &FieldError{field, value, want})
	}
	switch c.Rule.(type) {
	case nil:
	case CUSUM, Consecutive, Rate, Count, Never:
		errs = append(errs, c.Rule.Validate())
	default: // a pointer, perhaps to nil, or a struct around a Rule
		bad("Rule", fmt.Sprintf("a %T", c.Rule), "CUSUM, Consecutive, Rate, Count or Never, by value (nil: CUSUM{})")
	}
	outside := func(d time.Duration) bool { return d < 0 || d > maxDuration }
	if outside(c.SlowCall) {
		bad("SlowCall", c.SlowCall, "0s to 8760h (0: off)")
	}
	if outside(c.OpenFor) {
		bad("OpenFor", c.OpenFor, "0s to 8760h (0: default 1s)")
	}
	if outside(c.OpenMax) {
		bad("OpenMax", c.OpenMax, "0s to 8760h (0: default 30s)")
	} else if c.OpenMax != 0 && c.OpenMax < c.OpenFor {
		bad("OpenMax", c.OpenMax, fmt.Sprintf("OpenFor, which is %v, to 8760h (0: default 30s)", c.OpenFor))
	}
	if !(c.Spread <= 1) {
		bad("Spread", c.Spread, "more than 0, up to 1 (0: default 0.5, negative: off)")
	}
	if c.Probes < 0 || c.Probes > maxProbes {
		bad("Probes", c.Probes, "0 to 1000 (0: default 1)")
	}
	if outside(c.ProbeTimeout) {
		bad("ProbeTimeout", c.ProbeTimeout, "0s to 8760h (0: default 10s)")
	}
	if c.Ramp > maxDuration {
		bad("Ramp", c.Ramp, "up to 8760h (0: default 10s, negative: off)")
	}
	return errors.Join(errs...)
}

// settings is a checked configuration, ready for use; immutable. Family keeps
// the clock and the listener, which Update does not change.
type settings struct {
	rule         judge
	slowCall     time.Duration // MaxInt64: off
	openFor      time.Duration
	openMax      time.Duration
	spread       float64 // 0: off
	probeTimeout time.Duration
	ramp         time.Duration // 0: off
	probes       int32
	shadow       bool
}

func (c Config) settings() *settings {
	c = c.filled()
	if c.SlowCall == 0 {
		c.SlowCall = math.MaxInt64
	}
	return &settings{
		rule:         c.Rule.judge(),
		slowCall:     c.SlowCall,
		openFor:      c.OpenFor,
		openMax:      c.OpenMax,
		spread:       max(0, c.Spread),
		probeTimeout: c.ProbeTimeout,
		ramp:         max(0, c.Ramp),
		probes:       int32(c.Probes),
		shadow:       c.Shadow,
	}
}

// quiet is what a success must be quicker than for it to say nothing to a
// breaker without failures on record.
func (s *settings) quiet() int64 {
	if s.rule.kind().windowed() {
		return math.MinInt64
	}
	return int64(s.slowCall)
}

// openTime is the open time of the k-th opening in a row, counted from 0;
// u is uniform in [0, 1).
func (s *settings) openTime(k int, u float64) time.Duration {
	d := s.openMax
	if k < 62 && s.openFor <= s.openMax>>k {
		d = s.openFor << k
	}
	return time.Duration(float64(d) * (1 + s.spread*(2*u-1)))
}

// share is the admitted share of calls so long after closing.
func (s *settings) share(since time.Duration) float64 {
	if since >= s.ramp {
		return 1
	}
	return 0.1 + 0.9*float64(max(0, since))/float64(s.ramp)
}

// rampWait is when to ask again after a rejection by the ramp: soon, since the
// next draw may admit.
func (s *settings) rampWait(since time.Duration) time.Duration {
	return min(max(s.ramp/100, time.Millisecond), max(s.ramp-since, 1))
}
