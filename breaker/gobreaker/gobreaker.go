// Package gobreaker puts github.com/sony/gobreaker/v2 behind
// [breaker.Breaker], from the Settings that a team has: those of v2 as they
// are, those of v1 by [FromV1]. The library decides, and ReadyToTrip runs under
// its lock as before; it may ask for the state.
//
//	engine, err := gobreaker.NewEngine(gobreaker.Config{Settings: settings})
//	client, err := resilience.New(resilience.Config{Nodes: nodes, Engine: engine})
//
// An [Engine] makes a breaker for each node (Engine of resilience.Config), for
// each key (breaker.GroupConfig) or for the service (ServiceEngine of
// resilience.Config).
//
// What is cured, since it can be from outside:
//
//   - A half-open probe whose result never comes wedges the library for ever.
//     Here it is forfeited after ProbeTimeout, and its place given away.
//   - OnStateChange runs under the library's lock, and deadlocks if it asks for
//     the state. Here it runs in order, one call at a time, outside every lock.
//   - A done called twice counts twice. Here a permit counts once, whatever is
//     done with copies of it.
//   - Failures of calls slower than Interval, or admitted before the last
//     opening, are dropped. Here they count as failures of now while closed.
//   - It can be opened and closed from outside ([Breaker.Trip],
//     [Breaker.Reset]), and a rejection says when to come back.
//   - Ignored results are exclusions: they count neither way, in half-open
//     their place is free again.
//
// What is not, as [Limits] declares to breakertest:
//
//   - now: the library reads time.Now itself, so its breakers do not run in
//     simulated time (they do in a testing/synctest bubble).
//   - allocations: its Allow makes a closure, one allocation a call.
//
// A breaker takes half a kilobyte, and 24 bytes for each bucket of BucketPeriod.
//
// [Native] says how the same settings run on the native engine, and in what it
// would decide otherwise; [Nearest] and [Compare] go one step further.
package gobreaker

import (
	"errors"
	"time"

	sony "github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
)

// Config describes breakers of one engine. The zero Config is gobreaker's
// defaults: open after 6 failures in a row, for a minute.
type Config struct {
	// Settings are gobreaker's own. Of them Name stands before the key, as in
	// "name/key", where there are both. IsSuccessful and IsExcluded judge
	// errors, which a breaker does not see: hand them to [Judge].
	Settings sony.Settings

	// ProbeTimeout is when a half-open probe that has not reported is
	// forfeited. It should be longer than the slowest call that is still good.
	// Default 10 s.
	ProbeTimeout time.Duration
}

const (
	defaultTimeout = time.Minute // gobreaker's own
	defaultProbe   = 10 * time.Second
	maxDuration    = 8760 * time.Hour // a year
	maxBuckets     = 10_000
)

// Validate returns one [*breaker.FieldError] for each field out of range,
// joined. What gobreaker takes for its default is in range.
func (c Config) Validate() error {
	var errs []error
	if c.ProbeTimeout < 0 || c.ProbeTimeout > maxDuration {
		errs = append(errs, &breaker.FieldError{Field: "ProbeTimeout", Value: c.ProbeTimeout, Want: "0s to 8760h (0: default 10s)"})
	}
	st := c.Settings
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"Settings.Interval", st.Interval}, {"Settings.BucketPeriod", st.BucketPeriod}, {"Settings.Timeout", st.Timeout}} {
		if d.value > maxDuration {
			errs = append(errs, &breaker.FieldError{Field: d.field, Value: d.value, Want: "up to 8760h"})
		}
	}
	if st.Interval > 0 && st.BucketPeriod > 0 && st.Interval/st.BucketPeriod > maxBuckets { // each breaker allocates them all
		errs = append(errs, &breaker.FieldError{Field: "Settings.BucketPeriod", Value: st.BucketPeriod, Want: "at least a 10000th of Interval"})
	}
	return errors.Join(errs...)
}

func (c Config) filled() Config {
	if c.ProbeTimeout == 0 {
		c.ProbeTimeout = defaultProbe
	}
	if c.Settings.Timeout <= 0 {
		c.Settings.Timeout = defaultTimeout
	}
	if c.Settings.MaxRequests == 0 {
		c.Settings.MaxRequests = 1
	}
	c.Settings.Interval = max(c.Settings.Interval, 0)
	if c.Settings.BucketPeriod < 0 || c.Settings.Interval == 0 {
		c.Settings.BucketPeriod = 0
	}
	return c
}

// Engine makes breakers of one configuration. It is safe for concurrent use;
// make one by [NewEngine].
type Engine struct{ cfg Config }

var _ breaker.Engine = (*Engine)(nil)

// NewEngine checks the configuration. The error lists everything wrong with
// it, as [*breaker.FieldError]s.
func NewEngine(cfg Config) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Engine{cfg.filled()}, nil
}

// New implements [breaker.Engine]; the breaker is a [*Breaker].
func (e *Engine) New(key string) breaker.Breaker { return e.breaker(key) }

// New returns a breaker of its own configuration. The error is that of
// [NewEngine].
func New(key string, cfg Config) (*Breaker, error) {
	e, err := NewEngine(cfg)
	if err != nil {
		return nil, err
	}
	return e.breaker(key), nil
}

// Judge returns what the settings' IsExcluded and IsSuccessful make of an
// error, for a caller's own Report or for Classify of resilience.Config.
func Judge(st sony.Settings) func(error) breaker.Result {
	return func(err error) breaker.Result {
		switch {
		case st.IsExcluded != nil && st.IsExcluded(err):
			return breaker.Ignored
		case st.IsSuccessful == nil && err == nil, st.IsSuccessful != nil && st.IsSuccessful(err):
			return breaker.Success
		}
		return breaker.Failure
	}
}

// Limits is what these breakers cannot do of what package breakertest asks,
// with the reason.
func Limits() map[string]string {
	return map[string]string{
		"now":         "the library reads time.Now itself",
		"allocations": "the library's Allow makes a closure",
	}
}
