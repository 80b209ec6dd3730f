package sim

import (
	"cmp"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// replay is a run of [harness.Bench] that is simulated: the same requests, and
// the same luck at the instances. So what differs is the model's fault, or
// chance in the clients, and not that of another load.
type replay struct {
	plan     harness.Plan // with defaults and seed
	requests []request    // in the order in which they are due
	lag      lag          // the machine's
}

// request is one that was made.
type request struct {
	harness.Arrival
	client int // of all
}

func newReplay(p harness.Plan) *replay {
	r := &replay{plan: p}
	for process := range p.Processes {
		for _, a := range p.Load(process).Arrivals() {
			r.requests = append(r.requests, request{a, process*p.Clients + a.Client})
		}
	}
	slices.SortStableFunc(r.requests, func(a, b request) int { return cmp.Compare(a.Due, b.Due) })
	return r
}

// fill makes c the request with that number.
func (r *replay) fill(c *call) {
	x := &r.requests[c.id]
	c.client = x.client
	c.method = slices.IndexFunc(c.w.sys.Methods, func(m Method) bool { return m.Name == methodName(x.Route) })
}

// luck draws what becomes of a job.
func (r *replay) luck(j *job) time.Duration {
	x := &r.requests[j.call.id]
	late := r.lag.overrun(uniform(j.node.w.draw(aboutOverrun, j)))
	var ill *harness.Illness
	if n := j.node; n.illOf != 0 {
		ill = &harness.Illness{Errors: n.ill.errors, Lose: n.ill.lose}
		for route := range harness.AllRoutes {
			if at := harness.Route(route); n.ill.method == methodName(at) {
				ill.Route = &at
			}
		}
	}
	work, fails, after, loses := r.plan.Service.Luck(harness.Request{Route: x.Route, ID: x.ID, Attempt: j.number}, nodeName(j.node.index), ill)
	j.fate = fateOf(fails, after, loses, j.node.ill.silent)
	return work + late
}

func fateOf(fails, after, loses, silent bool) fate {
	switch {
	case fails && after:
		return failsAfter
	case fails:
		return failsFirst
	case loses && silent:
		return silentReply
	case loses:
		return lostReply
	}
	return good
}
