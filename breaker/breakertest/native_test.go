package breakertest_test

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/breaker/breakertest"
)

// The native engine passes, whatever its rule.
func TestNative(t *testing.T) {
	for _, tt := range []struct {
		rule     breaker.Rule
		failures int
	}{
		{breaker.CUSUM{}, 4},
		{breaker.Consecutive{N: 6}, 6},
		{breaker.Rate{Window: 24 * time.Hour, MinCalls: 5}, 5},
		{breaker.Count{Size: 10, MinCalls: 5}, 5},
	} {
		for _, probes := range []int{1, 3} {
			t.Run(tt.rule.String(), func(t *testing.T) {
				breakertest.Run(t, breakertest.Subject{
					New: func(listen func(from, to breaker.State)) breaker.Breaker {
						b, err := breaker.New("x", breaker.Config{
							Rule: tt.rule, Probes: probes, Ramp: -1, OpenMax: time.Minute,
							OnEvent: func(e breaker.Event) { listen(e.From, e.To) },
						})
						if err != nil {
							t.Error(err)
							return nil
						}
						return b
					},
					Failures: tt.failures, OpenFor: 1500 * time.Millisecond, Probes: probes, ProbeTimeout: 10 * time.Second,
				})
			})
		}
	}
}
