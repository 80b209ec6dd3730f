package retry

import (
	"math"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// Exponential returns a constructor of backoff/v4's exponential intervals:
// initial, initial·multiplier, … up to most, for ever, without its own
// randomisation (which exceeds the cap by half). [Intervals] spreads them.
func Exponential(initial, most time.Duration, multiplier float64) func() backoff.BackOff {
	return func() backoff.BackOff {
		return backoff.NewExponentialBackOff(
			backoff.WithInitialInterval(min(initial, most)), // which backoff/v4 would not cap
			backoff.WithMaxInterval(most),
			backoff.WithMultiplier(multiplier),
			backoff.WithRandomizationFactor(0),
			backoff.WithMaxElapsedTime(0),
		)
	}
}

// Intervals are the pauses of one call. The zero value has none. It is not
// safe for concurrent use; a backoff.BackOff is made by New at the first
// retry only, so that a call that succeeds at once pays nothing.
type Intervals struct {
	New      func() backoff.BackOff // makes the call's own generator; nil: no pauses
	Verbatim bool                   // take its intervals as they are, without jitter

	generator backoff.BackOff
}

// Next returns the pause before the next attempt: the generator's interval
// under full jitter, uniform on [0, interval), so never above its cap
// (M. Brooker, "Exponential Backoff And Jitter", 2015); with Verbatim the
// interval itself. A server's hint after is a floor: the pause is added to it,
// never taken from it. It is negative when the generator says stop.
func (iv *Intervals) Next(c clock.Clock, after time.Duration) time.Duration {
	after = max(after, 0)
	if iv.New == nil {
		return after
	}
	if iv.generator == nil {
		if iv.generator = iv.New(); iv.generator == nil {
			return after
		}
		iv.generator.Reset()
	}
	d := iv.generator.NextBackOff()
	if d == backoff.Stop {
		return -1
	}
	d = max(d, 0) // a negative interval of somebody's generator is none
	if !iv.Verbatim {
		d = clock.Jitter(c, d)
	}
	if d > math.MaxInt64-after {
		return math.MaxInt64
	}
	return after + d
}
