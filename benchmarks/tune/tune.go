// Package tune is the command `holdfast tune`: settings that follow from a
// service's own traffic and from two wishes, how many false ejections are
// tolerable and what error rate is broken; with the formula of each, the price,
// and a simulation that checks them.
//
// What is normal is taken from a trace or a description ([Facts]). Recommend
// works the settings out by formula; Check runs them in package sim, beside the
// present ones and five peers' defaults on the same arrivals.
package tune

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
)

// Wishes are what only the user can say.
type Wishes struct {
	// FalseEjections are tolerable in the time Per, of all nodes by all clients
	// together. Default 1.
	FalseEjections float64 `json:"falseEjections"`
	// Per is that time. Default a week.
	Per time.Duration `json:"perNs"`
	// Broken is the failure rate from which on a node is broken. Default 0.3.
	Broken float64 `json:"broken"`
	// Spare is the capacity of the nodes beyond the present traffic, as a share
	// of that: 1 is twice the capacity that is in use. 0: not known.
	Spare float64 `json:"spare,omitempty"`
}

// Validate returns all that is wrong, joined.
func (w Wishes) Validate() error {
	w = w.withDefaults()
	var errs []error
	check := func(ok bool, field string, value any, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("tune: %s %v: want %s", field, value, want))
		}
	}
	check(w.FalseEjections > 0 && w.FalseEjections <= 1e9, "falseEjections", w.FalseEjections, "more than 0, at most 1e9")
	check(w.Per >= time.Second && w.Per <= 10*year, "per", w.Per, "1s to 10 years")
	check(w.Broken >= .02 && w.Broken <= 1, "broken", w.Broken, "0.02 to 1")
	check(w.Spare >= 0 && w.Spare <= 1000, "spare", w.Spare, "0 (not known) to 1000")
	return errors.Join(errs...)
}

const (
	week = 7 * 24 * time.Hour
	year = 365 * 24 * time.Hour
)

func (w Wishes) withDefaults() Wishes {
	orElse(&w.FalseEjections, 1)
	orElse(&w.Per, week)
	orElse(&w.Broken, .3)
	return w
}

func orElse[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Recommendation is settings, and why.
type Recommendation struct {
	Facts    *Facts              `json:"facts"`
	Wishes   Wishes              `json:"wishes"`
	Settings resilience.Settings `json:"settings"`
	Steps    []Step              `json:"steps"`   // how each number came about
	Promise  Promise             `json:"promise"` // what the formulae say of Settings
	Present  Promise             `json:"present"` // and of those in use
	Unknown  []string            `json:"unknown"` // what the data cannot tell

	// Refined is how the thresholds were found by simulation; nil: they are the
	// formula's.
	Refined *Refined `json:"refined,omitempty"`

	present resilience.Settings
}

// Step is a number and its formula.
type Step struct {
	Field   string `json:"field"`   // of resilience.Settings
	Value   string `json:"value"`   //
	Formula string `json:"formula"` // in symbols
	With    string `json:"with"`    // and in numbers
}

// Promise is what the formulae say of some settings.
type Promise struct {
	Settings   resilience.Settings `json:"settings"`
	False      Number              `json:"falseEjections"`       // expected in Wishes.Per, at most
	Bound      Number              `json:"pageBound"`            // of looks that end in a comparison, by Page: coarser, and asks nothing of the peers
	Calls      Tail                `json:"calls"`                // of a client at a node at the broken rate, until it ejects it
	Time       Tail                `json:"seconds"`              // the same in time, at the traffic of Facts.PairRate
	Impossible string              `json:"impossible,omitempty"` // why it never ejects at that rate
}

// Tail is a mean and two quantiles.
type Tail struct {
	Mean Number `json:"mean"`
	P50  Number `json:"p50"`
	P99  Number `json:"p99"`
}

// Number is a float64 that is null in JSON where it is not finite: never.
type Number float64

// MarshalJSON implements json.Marshaler.
func (n Number) MarshalJSON() ([]byte, error) {
	if f := float64(n); math.IsInf(f, 0) || math.IsNaN(f) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Number) UnmarshalJSON(b []byte) error {
	f := math.Inf(1)
	if string(b) != "null" {
		if err := json.Unmarshal(b, &f); err != nil {
			return err
		}
	}
	*n = Number(f)
	return nil
}

// TooLittleError says that the data do not carry a recommendation, and how
// much more would.
type TooLittleError struct {
	Lacks []string // each a sentence
	More  float64  // times the attempts there are; 0: more of the same would not help
}

// Error implements error.
func (e *TooLittleError) Error() string {
	text := "too little data"
	for i, l := range e.Lacks {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		text += sep + l
	}
	if e.More > 0 {
		text += fmt.Sprintf("; %.2g times the traffic that was recorded would do", e.More)
	}
	return text
}
