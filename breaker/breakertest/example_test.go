package breakertest_test

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/breaker/breakertest"
)

// An engine of one's own is held to the contract by one test. In the run's
// output (go test -v) each case is a subtest; a limit that was declared is
// printed there with its reason.
func Example() {
	testContract := func(t *testing.T) { // func TestContract(t *testing.T)
		breakertest.Run(t, breakertest.Subject{
			New: func(listen func(from, to breaker.State)) breaker.Breaker {
				b, err := breaker.New("x", breaker.Config{
					Rule: breaker.Consecutive{N: 5}, Ramp: -1,
					OnEvent: func(e breaker.Event) { listen(e.From, e.To) },
				})
				if err != nil {
					t.Error(err)
					return nil
				}
				return b
			},
			Failures:     5,
			OpenFor:      1500 * time.Millisecond, // with its spread
			Probes:       1,
			ProbeTimeout: 10 * time.Second,
		})
	}
	_ = testContract
	// Output:
}
