package hystrix

import (
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/breaker/breakertest"
)

func contractConfig(volume int) CommandConfig {
	return CommandConfig{RequestVolumeThreshold: volume, SleepWindow: 1000, Timeout: 1000}
}

// The native breaker of a CommandConfig passes all of the contract.
func TestContractOfTheNativeBreaker(t *testing.T) {
	for _, volume := range []int{1, 5} {
		t.Run(fmt.Sprint("volume=", volume), func(t *testing.T) {
			cfg, _, err := Native(contractConfig(volume))
			if err != nil {
				t.Fatal(err)
			}
			breakertest.Run(t, breakertest.Subject{
				New: func(listen func(from, to breaker.State)) breaker.Breaker {
					cfg.OnEvent = func(e breaker.Event) { listen(e.From, e.To) }
					b, err := breaker.New("x", cfg)
					if err != nil {
						t.Error(err)
						return nil
					}
					return b
				},
				Failures: volume, OpenFor: time.Second + 1, Probes: 1, ProbeTimeout: time.Second + 1,
			})
		})
	}
}

// The library's own circuit passes what can be made of it from outside. Its
// goroutines keep all cases in child processes.
func TestContractOfTheLibrary(t *testing.T) {
	for _, volume := range []int{1, 5} {
		t.Run(fmt.Sprint("volume=", volume), func(t *testing.T) {
			n := 0
			breakertest.Run(t, breakertest.Subject{
				New: func(listen func(from, to breaker.State)) breaker.Breaker {
					e, err := NewEngine(EngineConfig{Command: contractConfig(volume), OnEvent: func(e breaker.Event) { listen(e.From, e.To) }})
					if err != nil {
						t.Error(err)
						return nil
					}
					n++
					b, err := e.Circuit(fmt.Sprint("contract-", n))
					if err != nil {
						t.Error(err)
						return nil
					}
					return b
				},
				Failures: volume, OpenFor: time.Second + 1, Probes: 1, ProbeTimeout: time.Second + 1,
				Limits: Limits(),
			})
		})
	}
}
