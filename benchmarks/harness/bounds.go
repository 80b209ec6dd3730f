package harness

import (
	"slices"
	"time"
)

// What bounds are computed from: the run as it was.

// BaselineMs is the latency below which the given percentage of the requests
// would stay if nothing were injected: the service times, as they are drawn,
// and what else a request takes, as it was in the warm-up (without its first
// third, in which connections are made). All sums of the two are taken, so that
// a short warm-up will do.
func (r *Run) BaselineMs(percent float64) float64 {
	if r.sums == nil {
		r.sums = newHistogram()
		service := r.Plan.Service.spread()
		for _, o := range thin(r.overhead(), len(service)) {
			for _, s := range service {
				_ = r.sums.RecordValue(clampMicros(s + o))
			}
		}
	}
	return quantileMs(r.sums, percent)
}

// overhead is what the requests of the warm-up took besides their service
// times.
func (r *Run) overhead() (list []time.Duration) {
	served := map[string]Record{}
	for _, rec := range r.Records {
		if rec.Kind == Ended && r.At(rec.At) < r.Plan.Warm+r.Plan.Timeout {
			served[rec.ID] = rec
		}
	}
	for i := range r.Shots {
		s := &r.Shots[i]
		rec, ok := served[s.ID]
		if ok && s.OK && s.Due >= r.Plan.Warm/3 && s.Due+s.Latency() < r.Plan.Warm {
			work := r.Plan.Service.draw(Request{ID: s.ID, Attempt: rec.Attempt}, rec.Node)
			list = append(list, max(0, s.Latency()-work))
		}
	}
	return list
}

// thin returns at most n of the list, evenly.
func thin(list []time.Duration, n int) []time.Duration {
	slices.Sort(list)
	if len(list) <= n {
		return list
	}
	few := make([]time.Duration, n)
	for i := range few {
		few[i] = list[(2*i+1)*len(list)/(2*n)]
	}
	return few
}

// SilenceMs is how long nobody can tell an instance that does not answer from
// one that is about to: the service time that one request in a thousand
// exceeds, and what else a request usually takes.
func (r *Run) SilenceMs() float64 {
	spread := r.Plan.Service.spread()
	silence := spread[len(spread)-1]
	if usual := thin(r.overhead(), 1); len(usual) > 0 {
		silence += usual[0]
	}
	return ms(silence)
}

// WorkedMs is the latency below which the given percentage of the requests in
// the window would stay if every attempt had followed the one before at once:
// what the instances worked on them in all, and the overhead of the warm-up
// for each attempt.
func (r *Run) WorkedMs(percent float64) float64 {
	overhead := thin(r.overhead(), 1)
	if len(overhead) == 0 {
		return 0
	}
	took := map[string]time.Duration{}
	for _, rec := range r.Records {
		switch {
		case rec.Kind == Begun:
			took[rec.ID] += overhead[0] - r.At(rec.At)
		case rec.Kind.over():
			took[rec.ID] += r.At(rec.At)
		}
	}
	from, to := r.Window()
	h := newHistogram()
	for i := range r.Shots {
		if s := &r.Shots[i]; s.Due >= from && s.Due < to && !s.Unsent {
			_ = h.RecordValue(clampMicros(took[s.ID]))
		}
	}
	return quantileMs(h, percent)
}

// Back is when the first of the instances that a step starts is back: when it
// said so, or an attempt had arrived there.
func (r *Run) Back(step int) time.Duration {
	d := &r.Steps[step]
	back := max(d.Begin, d.First)
	for _, rec := range r.Records {
		if at := r.At(rec.At); rec.Kind == Begun && at >= d.Begin {
			back = min(back, at)
		}
	}
	return back
}

// deaths corrects when instances died by themselves: not when they were told
// to, but right after the last thing that they wrote, a moment before we
// noticed.
func (r *Run) deaths() {
	for i := range r.Steps {
		d := &r.Steps[i]
		if d.Illness.Die == "" {
			continue
		}
		told := d.Begin
		for _, rec := range r.Records {
			if at := r.At(rec.At); slices.ContainsFunc(d.Nodes, func(n int) bool { return r.node(n) == rec.Node }) && at >= told && at <= d.End {
				d.Begin = max(d.Begin, at)
			}
		}
	}
}

// attempt names one attempt of a request at an instance.
type attempt struct {
	node, id string
	n        int
}

// InFlight returns the requests that were in flight, when the step with that
// index was done, on the instances to which it was done: those that had begun
// there, as the ledger says, and had not ended before; and those of which a
// client was waiting for such an instance, which are on the wire or in a
// socket's queue as well. Of a kill, the moment lasts until the client learns
// of it: what it puts on a connection to the dead process was sent to the
// instance that was killed. An attempt that provably was not sent was not in
// flight.
func (r *Run) InFlight(step int) map[string]Route {
	d := r.Steps[step]
	on, from := map[string]bool{}, r.from(d.Step)
	for _, n := range d.Nodes {
		on[r.node(n)] = true
	}
	set := map[string]Route{}
	ended := map[attempt]time.Duration{}
	for _, rec := range r.Records {
		if rec.Kind.over() && on[rec.Node] {
			ended[attempt{rec.Node, rec.ID, rec.Attempt}] = r.At(rec.At)
		}
	}
	for _, rec := range r.Records {
		if rec.Kind != Begun || !on[rec.Node] || !from(rec.ID) || r.At(rec.At) > d.End {
			continue
		}
		if end, ok := ended[attempt{rec.Node, rec.ID, rec.Attempt}]; !ok || end >= d.Begin {
			set[rec.ID] = rec.Route
		}
	}
	kill := d.Do == DoKill || d.Illness.Die != ""
	for _, list := range r.Entries {
		for _, e := range list {
			if e.Kind != TriedNode || !on[e.Node] || !from(e.ID) || e.NotSent || r.At(e.End) < d.Begin {
				continue
			}
			if r.At(e.Start) <= d.End || kill && !e.Born.IsZero() && r.At(e.Born) <= d.End {
				set[e.ID] = e.Route
			}
		}
	}
	return set
}

// from returns which requests come from the client processes that a step is
// about.
func (r *Run) from(s Step) func(id string) bool {
	if len(s.From) == 0 {
		return func(string) bool { return true }
	}
	hit := map[string]bool{}
	for i := range r.Shots {
		if slices.Contains(s.From, r.Shots[i].Process) {
			hit[r.Shots[i].ID] = true
		}
	}
	return func(id string) bool { return hit[id] }
}

// lost are the POSTs that were in flight when a step was done, that no client
// may repeat, and that were not answered all the same: none, where POSTs are
// keyed.
func (r *Run) lost(step int) map[string]bool {
	if r.Info.Keyed || step >= len(r.Steps) {
		return nil
	}
	set := map[string]bool{}
	for id, route := range r.InFlight(step) {
		if route == Post {
			set[id] = true
		}
	}
	for i := range r.Shots {
		s := &r.Shots[i]
		if s.OK && slices.ContainsFunc(r.Steps[step].Nodes, func(n int) bool { return r.node(n) == s.Node }) {
			delete(set, s.ID)
		}
	}
	return set
}

// InFlightPosts counts the POSTs that were in flight when a step was done, that
// no client may repeat, and that the instance did not answer all the same.
func (r *Run) InFlightPosts(step int) int { return len(r.lost(step)) }

// InFlightGhosts counts those of [Run.InFlightPosts] that were carried out.
func (r *Run) InFlightGhosts(step int) (n int) {
	set := r.lost(step)
	for _, rec := range r.Records {
		if set[rec.ID] && rec.Kind == Applied {
			delete(set, rec.ID)
			n++
		}
	}
	return n
}

// UnseenPosts counts the POSTs that no client may repeat and that were on their
// way to an instance when a step was done to it, which never saw them: what a
// connection takes with it that ends in an orderly way. Only clients that
// tell of their attempts can be asked.
func (r *Run) UnseenPosts(step int) (n int) {
	if r.Info.Keyed || step >= len(r.Steps) {
		return 0
	}
	d := r.Steps[step]
	seen := map[attempt]bool{}
	for _, rec := range r.Records {
		if rec.Kind == Begun {
			seen[attempt{rec.Node, rec.ID, rec.Attempt}] = true
		}
	}
	for _, list := range r.Entries {
		for _, e := range list {
			if e.Kind != TriedNode || e.Route != Post || e.NotSent || e.Detail == "" || r.At(e.End) < d.Begin || r.At(e.Start) > d.End {
				continue
			}
			for _, i := range d.Nodes {
				if e.Node == r.node(i) && !seen[attempt{e.Node, e.ID, e.Attempt}] {
					n++
				}
			}
		}
	}
	return n
}

// FailedPosts counts the POSTs that an instance answered with an error between
// two times and that no client may repeat, and those of them whose effect had
// been carried out.
func (r *Run) FailedPosts(from, to time.Duration) (failed, applied int) {
	if r.Info.Keyed {
		return 0, 0
	}
	bad := map[string]bool{}
	for _, rec := range r.Records {
		if at := r.At(rec.At); rec.Kind == Failed && rec.Route == Post && at >= from && at < to {
			bad[rec.ID] = true
		}
	}
	for _, rec := range r.Records {
		if rec.Kind == Applied && bad[rec.ID] {
			applied++
		}
	}
	return len(bad), applied
}
