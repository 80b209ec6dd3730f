package gobreaker

import (
	"io"

	sony "github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
)

// Nearest returns the CUSUM rule nearest to the settings: on a thing that is
// dead it opens after exactly as many calls, and it sees partial failure,
// which failures in a row are blind to. Where the settings go by a share of
// failures, that is what counts as broken. [Compare] shows the two side by
// side. The error is that of [Native] for ReadyToTrip.
func Nearest(st sony.Settings) (breaker.CUSUM, error) {
	s, err := readyShape(st.ReadyToTrip)
	if err != nil {
		return breaker.CUSUM{}, err
	}
	return breaker.NearestCUSUM(s.straight, s.share), nil
}

// Compare prints the nearest CUSUM and how many calls pass, in the middle of
// 101 simulated runs, until either opens: at several error rates, independent
// failures, and without Interval, which only makes the settings forget.
func Compare(w io.Writer, st sony.Settings) error {
	nearest, err := Nearest(st)
	if err != nil {
		return err
	}
	native, _, err := Native(Config{Settings: st})
	if err != nil {
		return err
	}
	ready := st.ReadyToTrip
	if ready == nil {
		ready = moreThanFive
	}
	return breaker.CompareCUSUM(w, native.Rule.String(), func() func(bool) bool { return asSet(ready) }, nearest)
}

// asSet counts as gobreaker does, for a caller that makes one call at a time.
func asSet(ready func(sony.Counts) bool) func(failed bool) bool {
	var c sony.Counts
	return func(failed bool) bool {
		c.Requests++
		if !failed {
			c.TotalSuccesses++
			c.ConsecutiveSuccesses++
			c.ConsecutiveFailures = 0
			return false
		}
		c.TotalFailures++
		c.ConsecutiveFailures++
		c.ConsecutiveSuccesses = 0
		return ready(c)
	}
}
