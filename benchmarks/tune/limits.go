package tune

import (
	"fmt"
	"math"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/sim"
)

// planAlarms runs the recommended settings with lower thresholds, at nodes that
// fail as often as is still normal: there false alarms can be counted. The
// recommended one has none in any run of reasonable length.
func (r *Recommendation) planAlarms(b *batch, s sim.System) (sum func() []Sparse) {
	s.Faults, s.Warm, s.Fault = nil, s.Warm+3*s.Fault, time.Millisecond
	s.Methods = append([]sim.Method(nil), s.Methods...)
	for i := range s.Methods {
		s.Methods[i].Errors, s.Methods[i].Burst = r.Settings.Ejection.Baseline, 1
	}
	var clients []sim.Client
	var levels []float64
	for _, a := range []float64{100, 300, 1000} {
		if a <= r.Settings.Ejection.FalseAlarm {
			c := sim.Client{Stack: sim.Holdfast, Settings: r.Settings}
			c.Settings.Ejection.FalseAlarm = a
			clients, levels = append(clients, c), append(levels, a)
		}
	}
	j := b.add(s, clients, max(b.runs.Seeds/extra, 1))
	return func() (list []Sparse) {
		for i, results := range j.byClient() {
			row := rowOf("", s, results, 0)
			e := clients[i].Settings.Ejection
			most := row.Healthy * r.Facts.falseEjections(Wishes{Per: time.Second}, e, e.Baseline) / r.Facts.Rate
			list = append(list, Sparse{FalseAlarm: levels[i], Healthy: row.Healthy, False: row.False, Most: most})
		}
		return list
	}
}

// planLimits measures what the recommendation cannot promise.
func (r *Recommendation) planLimits(b *batch, s sim.System) (sum func() []Limit) {
	parts := []func() []Limit{r.planEpisodes(b, s), r.planClusters(b, s), r.planQueues(b, s)}
	return func() (list []Limit) {
		for _, p := range parts {
			list = append(list, p()...)
		}
		return list
	}
}

// ours is the recommended settings as a client.
func (r *Recommendation) ours() []sim.Client {
	return []sim.Client{{Stack: sim.Holdfast, Settings: r.Settings}}
}

// planEpisodes: a node that is ill for a moment and well again. Failures that
// are not independent of each other break the promise; the longer they last
// the more often, and no threshold tells them from a broken node.
func (r *Recommendation) planEpisodes(b *batch, s sim.System) func() []Limit {
	if math.IsInf(float64(r.Promise.Time.P50), 0) {
		return func() []Limit { return nil }
	}
	parts := []float64{.25, .5, 1}
	var jobs []*experiment
	var spans []time.Duration
	for _, part := range parts {
		d := span(part * float64(r.Promise.Time.P50))
		one := s
		one.Faults = []sim.Fault{{At: s.Warm, For: d, Do: sim.Sicken, Nodes: []int{0}, Errors: r.Wishes.Broken, Innocent: true}}
		jobs, spans = append(jobs, b.add(one, r.ours(), max(b.runs.Seeds/extra, 1))), append(spans, d)
	}
	return func() (list []Limit) {
		for i, j := range jobs {
			row := rowOf("", j.s, j.byClient()[0], 0)
			n := len(j.results) * s.Clients
			list = append(list, Limit{
				What:   fmt.Sprintf("A node fails %s of its calls for %s, and is well again", percent(r.Wishes.Broken), spell(spans[i])),
				Result: fmt.Sprintf("it is ejected in %d of %d such moments", min(row.False, n), n),
			})
		}
		return list
	}
}

// planClusters: as many failures, in bursts of twenty.
func (r *Recommendation) planClusters(b *batch, s sim.System) func() []Limit {
	s.Faults, s.Warm, s.Fault = nil, s.Warm+3*s.Fault, time.Millisecond
	s.Methods = append([]sim.Method(nil), s.Methods...)
	for i := range s.Methods {
		s.Methods[i].Errors = max(s.Methods[i].Errors, r.Settings.Ejection.Baseline)
		s.Methods[i].Burst = 20
	}
	lumped := b.add(s, r.ours(), max(b.runs.Seeds/extra, 1))
	apart := r.ours()
	apart[0].Settings.Ejection.Burst = -1
	counted := b.add(s, apart, max(b.runs.Seeds/extra, 1))
	return func() []Limit {
		one, other := rowOf("", s, lumped.byClient()[0], 0), rowOf("", s, counted.byClient()[0], 0)
		return []Limit{{
			What: fmt.Sprintf("Failures at %s of the calls come in bursts of 20 within 10 ms", percent(r.Settings.Ejection.Baseline)),
			Result: fmt.Sprintf("%d false ejections in %.3g calls; %d if each failure were counted (ejection.burst off)",
				one.False, one.Healthy, other.False),
		}}
	}
}

// busyWorkers is how many workers of a node are at work, where queues are
// simulated: with one or two, waiting would be all there is.
const busyWorkers = 8

// planQueues: nodes with workers and queues, which no trace shows.
func (r *Recommendation) planQueues(b *batch, s sim.System) func() []Limit {
	spare := r.Wishes.Spare
	if spare == 0 {
		spare = .43
	}
	work := mean(r.Facts.Latency.Sample).Seconds()
	load := r.Facts.PairRate * float64(s.Clients) * work // of a node, in workers
	if load < busyWorkers {
		s.Clients = min(int(math.Ceil(busyWorkers/(r.Facts.PairRate*work))), 400)
		s.Rate = r.Facts.PairRate * float64(s.Clients*s.Nodes)
		load = r.Facts.PairRate * float64(s.Clients) * work
	}
	calls := s.Rate * s.Total().Seconds()
	seeds := int(min(max(float64(b.runs.Seeds)*runCalls/extra/calls, 2), float64(b.runs.Seeds)))
	free := b.add(s, r.ours(), seeds)
	s.Service.Workers = max(1, int(math.Round(load*(1+spare))))
	s.Service.Queue = 10 * s.Service.Workers
	busy := float64(load) / float64(s.Service.Workers)
	queued := b.add(s, r.ours(), seeds)
	return func() []Limit {
		promised := float64(r.Promise.Time.P99)
		one, other := rowOf("", s, free.byClient()[0], promised), rowOf("", s, queued.byClient()[0], promised)
		return []Limit{{
			What: fmt.Sprintf("Nodes have queues, and are busy for %s (a trace does not show that)", percent(busy)),
			Result: fmt.Sprintf("time to eject, p99: %s instead of %s; calls that failed: %s instead of %s; false ejections: %d in %.3g calls instead of %d",
				seconds(other.P99), seconds(one.P99), percent(other.Failed), percent(one.Failed), other.False, other.Healthy, one.False),
		}}
	}
}
