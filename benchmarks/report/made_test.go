package report

import "github.com/holdfast-go/holdfast/benchmarks/harness"

// made is a summary whose figures a test chooses: a run for each value of
// failed, p99 ten times that.
type made struct{ Summary }

func (m *made) add(scenario, stack string, failed ...int) *made {
	for i, n := range failed {
		m.Runs = append(m.Runs, Run{
			Scenario: scenario, Stack: stack, Seed: uint64(i + 1), Valid: true,
			Metrics:  harness.Metrics{Requests: 1000, Failed: n, P99Ms: float64(10 * n)},
			Bounds:   map[string]float64{"failed": 4},
			Baseline: map[string]float64{"p99Ms": 30},
		})
	}
	return m
}

func (m *made) addInvalid(scenario, stack string) *made {
	m.Runs = append(m.Runs, Run{
		Scenario: scenario, Stack: stack, Seed: 99, Load: harness.LoadQuality{Invalid: "too late"},
		Metrics: harness.Metrics{Requests: 1000, Failed: 777, P99Ms: 7777}, // nobody may look at them
	})
	return m
}
