package gobreaker

import (
	"fmt"
	"time"

	sony "github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
)

// Difference is a way in which the native engine decides otherwise than
// gobreaker would with the same settings. Its text says how.
type Difference string

// The differences. A differential test holds the native engine against the
// library over millions of random events: there are no others. Each has a test
// that shows the library's defect.
const (
	// LostProbes applies to all settings.
	LostProbes Difference = "a probe that has not reported within ProbeTimeout is forfeited; gobreaker waits for it for ever"
	// DroppedFailures applies to all settings.
	DroppedFailures Difference = "a failure counts while closed, however old its call; gobreaker drops those from before its counts were last cleared"
	// Intervals applies with an Interval.
	Intervals Difference = "failures in a row are forgotten by a success alone; gobreaker forgets all at the end of each Interval, and so never opens on a dead node that gets few calls in one"
	// Shares applies with a ReadyToTrip that goes by a share of failures.
	Shares Difference = "the share of failures is that of calls that ended within the last Interval (10 s without one); gobreaker counts calls that are still out, and counts from the start of the Interval, or without one for ever"
)

// Native returns the native engine's configuration for the settings, and how
// it will decide otherwise. What it decides alike is all else, to the
// nanosecond.
//
// A ReadyToTrip of your own is a function, which cannot be read; it is asked
// about some thousand counts, and taken for failures in a row or for a share
// of failures as it answers. It is called with counts only, outside any lock.
// The error is one [*breaker.FieldError] for each field that the native engine
// cannot do, or a ReadyToTrip that is neither.
func Native(cfg Config) (breaker.Config, []Difference, error) {
	if err := cfg.Validate(); err != nil {
		return breaker.Config{}, nil, err
	}
	cfg = cfg.filled()
	st := cfg.Settings
	differs := []Difference{LostProbes, DroppedFailures}
	shape, err := readyShape(st.ReadyToTrip)
	if err != nil {
		return breaker.Config{}, nil, err
	}
	openFor := min(st.Timeout+1, maxDuration) // gobreaker's open time includes its last instant
	out := breaker.Config{
		OpenFor: openFor, OpenMax: openFor, Spread: -1, Ramp: -1,
		Probes: int(st.MaxRequests), ProbeTimeout: cfg.ProbeTimeout,
	}
	if shape.share == 0 {
		out.Rule = breaker.Consecutive{N: shape.straight}
		if st.Interval > 0 {
			differs = append(differs, Intervals)
		}
	} else {
		window := st.Interval
		if window == 0 {
			window = 10 * time.Second
		}
		out.Rule = breaker.Rate{Window: window, MinCalls: shape.straight, Threshold: shape.share}
		differs = append(differs, Shares)
	}
	if listen := st.OnStateChange; listen != nil {
		name := st.Name
		out.OnEvent = func(e breaker.Event) {
			if e.From != e.To {
				listen(fullName(name, e.Key), toSony(e.From), toSony(e.To))
			}
		}
	}
	return out, differs, out.Validate()
}

// shape is what a ReadyToTrip goes by.
type shape struct {
	straight int     // failures in a row that open, when there is nothing else
	share    float64 // of failures that opens; 0: it goes by failures in a row alone
}

const mostStraight = 1000

// readyShape finds out what ready goes by, by asking it.
func readyShape(ready func(sony.Counts) bool) (shape, error) {
	if ready == nil {
		return shape{straight: 6}, nil
	}
	s := shape{straight: 1}
	for ; !ready(failing(s.straight, s.straight, s.straight)); s.straight++ {
		if s.straight == mostStraight {
			return s, &breaker.FieldError{
				Field: "Settings.ReadyToTrip", Value: fmt.Sprintf("false after %d failures in a row", mostStraight),
				Want: "a function that opens after fewer",
			}
		}
	}
	if inARow(ready, s.straight) {
		return s, nil
	}
	few, many := share(ready, 1000), share(ready, 4000)
	if s.share = few; few > 0 && few-many < 0.002 { // of a number of failures it would be a quarter
		return s, nil
	}
	return s, &breaker.FieldError{
		Field: "Settings.ReadyToTrip", Value: "neither",
		Want: "a function that goes by ConsecutiveFailures, or by the share of failures",
	}
}

// inARow reports whether ready goes by failures in a row alone, as far as some
// thousand random counts tell.
func inARow(ready func(sony.Counts) bool, straight int) bool {
	upTo := dice()
	for range 5000 {
		calls := upTo(3 * mostStraight)
		failures := upTo(calls)
		row := upTo(min(failures, 2*straight))
		if ready(failing(calls, failures, row)) != (row >= straight) {
			return false
		}
	}
	return true
}

// dice returns random numbers from 1 to n, always the same ones, so that the
// same settings always have the same answer.
func dice() func(n int) int {
	rng := clock.NewVirtual(1)
	return func(n int) int { return 1 + int(rng.Rand()%uint64(n)) }
}

// share is the smallest share of failures that opens after so many calls, of
// which only the last two have failed in a row; 0: none does.
func share(ready func(sony.Counts) bool, calls int) float64 {
	for failures := 1; failures <= calls; failures++ {
		if ready(failing(calls, failures, 1)) {
			return float64(failures) / float64(calls)
		}
	}
	return 0
}

// failing is what ReadyToTrip is told after so many calls have ended.
func failing(calls, failures, row int) sony.Counts {
	return sony.Counts{
		Requests: uint32(calls), TotalFailures: uint32(failures), TotalSuccesses: uint32(calls - failures), ConsecutiveFailures: uint32(row),
	}
}

// fullName is what OnStateChange hears.
func fullName(name, key string) string {
	switch {
	case name == "":
		return key
	case key == "":
		return name
	}
	return name + "/" + key
}
