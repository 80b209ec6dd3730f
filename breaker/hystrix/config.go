package hystrix

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/afex/hystrix-go/hystrix"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
)

// CommandConfig is the library's own, so that configurations can be shared
// with code that still uses it: times are in milliseconds, 0 means the default.
type CommandConfig = hystrix.CommandConfig

// The defaults of a [CommandConfig], under the library's names. Change them, if
// at all, before the first command.
var (
	DefaultTimeout               = 1000 // milliseconds
	DefaultMaxConcurrent         = 10
	DefaultVolumeThreshold       = 20
	DefaultSleepWindow           = 5000 // milliseconds
	DefaultErrorPercentThreshold = 50
)

// settings are a CommandConfig with its defaults, in Go's units.
type settings struct {
	timeout, sleep                 time.Duration
	concurrent, volume, errPercent int
}

const (
	year     = 8760 * time.Hour / time.Millisecond
	maxCalls = int(1e9) // more than ten seconds can see
)

// read fills in the defaults, and returns one [*breaker.FieldError] for each
// field out of range, joined.
func read(cfg CommandConfig) (settings, error) {
	var errs []error
	field := func(name string, value, or int, most int64, want string) int {
		if value == 0 {
			value = or
		}
		if value < 0 || int64(value) > most {
			errs = append(errs, &breaker.FieldError{
				Field: "CommandConfig." + name, Value: value, Want: fmt.Sprintf("%s (0: default %d)", want, or),
			})
		}
		return value
	}
	const aTime, aNumber = "0 to 31536000000 milliseconds, a year", "0 or more"
	s := settings{
		timeout:    milliseconds(field("Timeout", cfg.Timeout, DefaultTimeout, int64(year), aTime)),
		concurrent: field("MaxConcurrentRequests", cfg.MaxConcurrentRequests, DefaultMaxConcurrent, 1e9, "0 to 1e9"),
		volume:     field("RequestVolumeThreshold", cfg.RequestVolumeThreshold, DefaultVolumeThreshold, 1<<62, aNumber),
		sleep:      milliseconds(field("SleepWindow", cfg.SleepWindow, DefaultSleepWindow, int64(year), aTime)),
		errPercent: field("ErrorPercentThreshold", cfg.ErrorPercentThreshold, DefaultErrorPercentThreshold, 1<<62, aNumber),
	}
	return s, errors.Join(errs...)
}

// config is the reverse of read.
func (s settings) config() CommandConfig {
	return CommandConfig{
		Timeout: int(s.timeout / time.Millisecond), SleepWindow: int(s.sleep / time.Millisecond),
		MaxConcurrentRequests: s.concurrent, RequestVolumeThreshold: s.volume, ErrorPercentThreshold: s.errPercent,
	}
}

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// rule is when a circuit opens.
func (s settings) rule() breaker.Rate {
	if s.errPercent > 100 { // never
		return breaker.Rate{Window: window, MinCalls: maxCalls, Threshold: 1}
	}
	return breaker.Rate{Window: window, MinCalls: min(s.volume, maxCalls), Threshold: threshold(s.errPercent)}
}

// window is how far back a circuit looks, in ten steps.
const window = 10 * time.Second

// threshold is the share of failures that opens: the library rounds percentages
// to whole ones before it compares them, in floating point, by which some that
// lie half way fall short.
func threshold(percent int) float64 {
	at := (float64(percent) - 0.5) / 100
	if int(at*100+0.5) < percent {
		at = math.Nextafter(at, 1)
	}
	return at
}

// lease is how long a probe may take. One by Do ends with its timeout.
func (s settings) lease() time.Duration { return max(s.sleep, s.timeout) }

// Native returns the native engine's configuration for cfg, and how it will
// decide otherwise than the library: a rate over ten seconds, an open time that
// is always the same, one probe, no ramp. What it decides alike is all else, to
// the nanosecond. The error lists everything wrong with cfg, as
// [*breaker.FieldError]s.
//
// In hystrix an ErrorPercentThreshold of more than 100 turns the circuit off,
// and so it does here.
func Native(cfg CommandConfig) (breaker.Config, []Difference, error) {
	s, err := read(cfg)
	if err != nil {
		return breaker.Config{}, nil, err
	}
	return s.breaker(), Differences(), nil
}

func (s settings) breaker() breaker.Config {
	openFor := instantAfter(s.sleep)
	return breaker.Config{
		Rule: s.rule(), OpenFor: openFor, OpenMax: openFor, Spread: -1, ProbeTimeout: instantAfter(s.lease()), Ramp: -1,
	}
}

// instantAfter is when the library finds that a time is over: it wants more.
func instantAfter(d time.Duration) time.Duration { return min(d+1, year*time.Millisecond) }

// ClientSettings is cfg as settings of a resilience.Client: the breaker above
// the retries, the bulkhead, and the timeout of the whole call. What a
// CommandConfig does not say is zero, which is good. Change it as you like: a
// spread of the open time and a ramp are what a fleet of clients wants. The
// error is that of [Native].
func ClientSettings(cfg CommandConfig) (resilience.Settings, error) {
	s, err := read(cfg)
	if err != nil {
		return resilience.Settings{}, err
	}
	return s.client(), nil
}

func (s settings) client() resilience.Settings {
	r := s.rule()
	return resilience.Settings{
		Timeout:  s.timeout,
		Bulkhead: s.concurrent,
		ServiceBreaker: &resilience.RuleSettings{
			BreakerSettings: resilience.BreakerSettings{OpenFor: s.sleep, OpenMax: s.sleep, Spread: -1, ProbeTimeout: s.lease()},
			Rule:            "rate", Window: r.Window, MinCalls: r.MinCalls, Threshold: r.Threshold, Ramp: -1,
		},
	}
}
