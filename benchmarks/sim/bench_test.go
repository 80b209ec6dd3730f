package sim

import (
	"testing"
	"time"
)

// BenchmarkSim tells how many calls a second are simulated, with ill nodes
// and without, on one core: go test -run '^$' -bench Sim -cpu 1 ./benchmarks/sim
// On a machine that others use as well, what counts is the time on the
// processor: cpu-ns/call.
func BenchmarkSim(b *testing.B) {
	for _, c := range []struct {
		name   string
		faults []Fault
	}{
		{"healthy", nil},
		{"crash", []Fault{{At: time.Second, For: 5 * time.Second, Do: Kill, Nodes: []int{7, 8, 9}}}},
	} {
		b.Run("fault="+c.name+"/clients=1000/nodes=100", func(b *testing.B) {
			calls, before := 0, processorTime()
			for b.Loop() {
				r, err := Run(System{
					Clients: 1000, Nodes: 100, Rate: 50_000, Warm: time.Second, Fault: 5 * time.Second, Recover: 14 * time.Second, Faults: c.faults,
				}, 1)
				if err != nil {
					b.Fatal(err)
				}
				calls += r.Requests
			}
			b.ReportMetric(float64(calls)/b.Elapsed().Seconds(), "calls/s")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(calls), "ns/call")
			b.ReportMetric(float64(processorTime()-before)/float64(calls), "cpu-ns/call")
		})
	}
}
