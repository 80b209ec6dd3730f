package sim

import (
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/retry"
)

// FromPlan makes a System of what `holdfast bench` runs. keyed says that POSTs
// carry a key (harness.Info.Keyed).
func FromPlan(name string, p harness.Plan, keyed bool) System {
	p = p.WithDefaults()
	s := System{
		Name: name, Nodes: p.Nodes, Clients: p.Processes * p.Clients, Rate: p.Rate, Timeout: p.Timeout,
		Warm: p.Warm, Fault: p.Fault, Recover: p.Recover,
		Service: Service{Mean: p.Service.Mean, CV: p.Service.CV, Workers: p.Service.Workers, Queue: p.Service.Queue},
		Methods: methodsOf(p.Mix, keyed),
	}
	if p.Service.CV == 0 {
		s.Service.CV = -1
	}
	for _, g := range p.Surges {
		s.Surges = append(s.Surges, Surge(g))
	}
	for i, step := range p.Steps {
		if f, ok := faultOf(p, step); ok {
			s.Faults = append(s.Faults, f.until(p, i)...)
		}
	}
	return s
}

// The methods of hello.
func methodsOf(mix []float64, keyed bool) []Method {
	if len(mix) == 0 {
		mix = []float64{1, 1}
	}
	var list []Method
	for i, part := range mix {
		if part == 0 {
			continue
		}
		m := Method{Name: methodName(harness.Route(i)), Share: part, Kind: retry.Safe}
		if harness.Route(i) == harness.Post {
			if m.Kind = retry.NonIdempotent; keyed {
				m.Kind = retry.Keyed
			}
		}
		list = append(list, m)
	}
	return list
}

func methodName(r harness.Route) string { return [...]string{"get", "post", "list"}[r] }

// deeds are the deeds that begin something.
var deeds = map[harness.Deed]Deed{
	harness.DoKill: Kill, harness.DoDrain: Drain, harness.DoStop: Stop, harness.DoRefuse: Refuse,
	harness.DoCut: Cut, harness.DoSicken: Sicken,
}

// faultOf is what a step begins, if it begins something.
func faultOf(p harness.Plan, s harness.Step) (f Fault, ok bool) {
	do, ok := deeds[s.Do]
	if !ok || s.Do == harness.DoSicken && s.Illness == (harness.Illness{}) {
		return f, false
	}
	i := s.Illness
	f = Fault{
		At: s.At, Do: do, Nodes: s.Nodes, Innocent: s.Innocent,
		Slow: i.Slow, Errors: i.Errors, Lose: i.Lose, Silent: i.Silent, Capacity: i.Capacity, Die: i.Die,
	}
	if i.Route != nil {
		f.Method = methodName(*i.Route)
	}
	if n := len(s.From); n > 0 { // the first processes, in all scenarios
		f.Share = float64(n) / float64(p.Processes)
	}
	return f, true
}

// until says how long the fault of a step lasts: till the next step that does
// something to the same node, which may be another for each.
func (f Fault) until(p harness.Plan, index int) (list []Fault) {
	ends := map[time.Duration][]int{}
	for _, n := range f.Nodes {
		end := time.Duration(0)
		for _, s := range p.Steps[index+1:] {
			if slices.Contains(s.Nodes, n) {
				end = s.At
				break
			}
		}
		ends[end] = append(ends[end], n)
	}
	for _, n := range f.Nodes { // in their order
		for end, nodes := range ends {
			if nodes[0] != n {
				continue
			}
			part := f
			part.Nodes = nodes
			if end > 0 {
				part.For = end - f.At
			}
			list = append(list, part)
		}
	}
	return list
}
