package gobreaker_test

import (
	"os"
	"strings"
	"testing"
	"time"

	v1 "github.com/sony/gobreaker"
	sony "github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/breaker/breakertest"
	"github.com/holdfast-go/holdfast/breaker/gobreaker"
)

// TestContract: the adapter keeps the contract, but for what Limits declares.
func TestContract(t *testing.T) {
	for name, st := range map[string]sony.Settings{
		"defaults": {},
		"probes":   {MaxRequests: 3, Timeout: time.Second},
		"interval": {MaxRequests: 2, Interval: time.Minute, Timeout: time.Second},
		"rolling":  {MaxRequests: 2, Interval: time.Minute, BucketPeriod: time.Second, Timeout: time.Second},
		"of v1":    gobreaker.FromV1(v1.Settings{MaxRequests: 2, Interval: time.Minute, Timeout: time.Second}),
		"ratio": {Timeout: time.Second, ReadyToTrip: func(c sony.Counts) bool {
			ended := c.TotalSuccesses + c.TotalFailures // unlike Requests, which counts those that are out
			return ended >= 5 && float64(c.TotalFailures) >= 0.6*float64(ended)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := breakertest.Subject{
				New: func(listen func(from, to breaker.State)) breaker.Breaker {
					st := st
					st.OnStateChange = func(_ string, from, to sony.State) { listen(state(from), state(to)) }
					b, err := gobreaker.New("x", gobreaker.Config{Settings: st})
					if err != nil {
						t.Error(err)
						return nil
					}
					return b
				},
				Failures: 6, OpenFor: time.Second, Probes: max(int(st.MaxRequests), 1), ProbeTimeout: 10 * time.Second,
				Limits: gobreaker.Limits(),
			}
			if st.Timeout == 0 {
				s.OpenFor = time.Minute
			}
			if st.ReadyToTrip != nil {
				s.Failures = 5
			}
			breakertest.Run(t, s)
		})
	}
}

func state(s sony.State) breaker.State {
	return map[sony.State]breaker.State{
		sony.StateClosed: breaker.Closed, sony.StateOpen: breaker.Open, sony.StateHalfOpen: breaker.HalfOpen,
	}[s]
}

// TestLimitsAreDocumented: what is declared stands in the package's
// documentation.
func TestLimitsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("gobreaker.go")
	if err != nil {
		t.Fatal(err)
	}
	doc, _, _ := strings.Cut(string(text), "\npackage ")
	for name := range gobreaker.Limits() {
		if !strings.Contains(doc, "//   - "+name+": ") {
			t.Errorf("the package's documentation does not name the limit %q", name)
		}
	}
}
