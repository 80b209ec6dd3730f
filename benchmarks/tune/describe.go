package tune

import (
	"math"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/sim"
)

// Describe takes the facts from a description, whose faults are left out.
func Describe(s sim.System, source string) *Facts {
	s = s.WithDefaults()
	pair := s.Rate / float64(s.Clients*s.Nodes)
	f := &Facts{
		Source: source, Clients: s.Clients, Nodes: s.Nodes, Rate: s.Rate, PairRate: pair, PairMedian: pair,
		Burst: usualBurst, BurstMean: 1, Dispersion: 1, Incidents: []Incident{}, Given: true,
	}
	var errors, bursts, work float64
	for _, m := range s.Methods {
		share := m.Share / totalShare(s)
		f.Methods = append(f.Methods, Method{Name: m.Name, Share: share, Rate: m.Errors / m.Burst})
		errors, bursts, work = errors+share*m.Errors, bursts+share*m.Errors/m.Burst, work+share*m.Slow
		f.Bursty = f.Bursty || m.Errors > 0 && m.Burst > 1
	}
	if bursts > 0 {
		f.BurstMean = errors / bursts
	}
	f.Normal = Rate{Value: bursts, Low: bursts, High: bursts}
	f.Worst = NodeRate{Node: "each", Rate: f.Normal}
	f.Latency = describedLatency(s)
	if f.Bursty { // of a burst, what begins after its first failure counts again
		late := max(0, usualBurst-f.Latency.P50).Seconds()
		again := (1 - 1/f.BurstMean) * -math.Expm1(-pair*late)
		f.Follow = []float64{max(bursts, again)}
	}
	if w := s.Service.Workers; w > 0 {
		f.Spare = max(0, float64(s.Nodes*w)/(s.Rate*work*mean(serviceTimes(s.Service)).Seconds())-1)
	}
	return f
}

// serviceTimes are 2001 quantiles of equal distance.
func serviceTimes(s sim.Service) []time.Duration {
	const n = 2000
	list := make([]time.Duration, n+1)
	for i := range list {
		p := min(max(float64(i)/n, .25/n), 1-.25/n)
		switch {
		case len(s.Sample) == 1:
			list[i] = s.Sample[0]
		case len(s.Sample) > 1:
			at := p * float64(len(s.Sample)-1)
			k := min(int(at), len(s.Sample)-2)
			list[i] = s.Sample[k] + time.Duration((at-float64(k))*float64(s.Sample[k+1]-s.Sample[k]))
		default: // log-normal
			v := math.Log1p(max(0, s.CV) * max(0, s.CV))
			z := math.Sqrt2 * math.Erfinv(2*p-1)
			list[i] = time.Duration(float64(s.Mean) * math.Exp(math.Sqrt(v)*z-v/2))
		}
	}
	return list
}

// describedLatency is the service times of all methods, and the wire.
func describedLatency(s sim.System) Latency {
	var list []int64
	for _, m := range s.Methods {
		for range max(1, int(math.Round(20*m.Share/totalShare(s)))) {
			for _, d := range serviceTimes(s.Service) {
				list = append(list, int64(float64(d)*m.Slow)+int64(max(0, s.Wire)))
			}
		}
	}
	l := latencyOf(list)
	l.Calls, l.Tail, l.Bound = 0, .999, l.P999
	return l
}

func totalShare(s sim.System) (sum float64) {
	for _, m := range s.Methods {
		sum += m.Share
	}
	return sum
}

func mean(list []time.Duration) time.Duration {
	sum := time.Duration(0)
	for _, d := range list {
		sum += d / time.Duration(len(list))
	}
	return sum
}
