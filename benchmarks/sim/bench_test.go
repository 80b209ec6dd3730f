package sim

import (
	"testing"
	"time"
)

// BenchmarkSim tells how many calls a second are simulated, with an ill node
// and without, on one core: go test -run '^$' -bench Sim -cpu 1 ./benchmarks/sim
func BenchmarkSim(b *testing.B) {
	for _, c := range []struct {
		name   string
		faults []Fault
	}{
		{"healthy", nil},
		{"crash", []Fault{{At: time.Second, For: 5 * time.Second, Do: Kill, Nodes: []int{7, 8, 9}}}},
	} {
		b.Run("fault="+c.name+"/clients=1000/nodes=100", func(b *testing.B) {
			calls := 0
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
		})
	}
}
