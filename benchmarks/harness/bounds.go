package harness

import "time"

// What bounds are computed from: the run as it was.

// BaselineMs is the latency below which the given percentage of the requests
// of the warm-up stayed, its first third left out, in which connections are
// made.
func (r *Run) BaselineMs(percent float64) float64 {
	return quantileMs(r.Latencies(r.Plan.Warm/3, r.Plan.Warm), percent)
}

// InFlight returns the requests that were in flight, when the step with that
// index was done, on the instances to which it was done: those that had begun
// there, as the ledger says, and had not ended before; and those of which a
// client was waiting for such an instance, which are on the wire or in a
// socket's queue as well. An attempt that provably was not sent was not in
// flight.
func (r *Run) InFlight(step int) map[string]Route {
	d := r.Steps[step]
	on := map[string]bool{}
	for _, n := range d.Nodes {
		on[r.node(n)] = true
	}
	set := map[string]Route{}
	type attempt struct {
		node, id string
		n        int
	}
	ended := map[attempt]time.Duration{}
	for _, rec := range r.Records {
		if rec.Kind.over() && on[rec.Node] {
			ended[attempt{rec.Node, rec.ID, rec.Attempt}] = r.At(rec.At)
		}
	}
	for _, rec := range r.Records {
		if rec.Kind != Begun || !on[rec.Node] || r.At(rec.At) > d.End {
			continue
		}
		if end, ok := ended[attempt{rec.Node, rec.ID, rec.Attempt}]; !ok || end >= d.Begin {
			set[rec.ID] = rec.Route
		}
	}
	for _, list := range r.Entries {
		for _, e := range list {
			if e.Kind != TriedNode || !on[e.Node] || e.NotSent || r.At(e.End) < d.Begin {
				continue
			}
			born := !e.Born.IsZero() && r.At(e.Born) <= d.End // see run.inFlight
			if r.At(e.Start) <= d.End || born {
				set[e.ID] = e.Route
			}
		}
	}
	return set
}

// InFlightPosts counts the POSTs that were in flight when a step was done and
// that no client may repeat: none, where POSTs are keyed.
func (r *Run) InFlightPosts(step int) int {
	if r.Info.Keyed || step >= len(r.Steps) {
		return 0
	}
	return posts(r.InFlight(step))
}
