package harness

import (
	"strings"
	"time"
)

// run is what was seen of one stack's run: by the load generator (shots), by
// the servers (records), and by the client under test (entries).
type run struct {
	cfg     *Config
	stack   string
	victim  string
	nodes   []*instance
	start   time.Time
	down    span // doing the fault
	back    span // undoing it
	shots   []Shot
	records []Record
	torn    int
	entries []Entry
}

// phase is the one in which a request was due.
func (r *run) phase(due time.Duration) Phase {
	switch at := r.start.Add(due); {
	case at.Before(r.down.begin):
		return Before
	case at.Before(r.back.end):
		return Down
	}
	return Back
}

// counts reports whether a request is part of the load.
func counts(id string) bool { return !strings.HasPrefix(id, warmPrefix) }

func (r *run) report() *StackReport {
	s := &StackReport{
		Name: r.stack, Requests: len(r.shots), Victim: r.victim, TornRecords: r.torn,
		AttemptsSeen: map[string]int{}, Ejections: map[string]int{},
		Routes: r.routes(), Load: r.load(), Timeline: r.timeline(),
	}
	for _, n := range r.nodes {
		s.AttemptsSeen[n.node.ID] = 0
	}
	r.effects(s)
	r.client(s)
	flight := r.inFlight()
	s.InFlightAtFault, s.InFlightPosts = len(flight), posts(flight)
	s.PendingPosts = posts(r.pending())
	return s
}

// effects compares what callers were told with what the ledger says.
func (r *run) effects(s *StackReport) {
	applied := map[string]int{}
	for _, rec := range r.records {
		if !counts(rec.ID) {
			continue
		}
		switch rec.Kind {
		case Begun:
			s.AttemptsSeen[rec.Node]++
		case Applied:
			applied[rec.ID]++
		}
	}
	for _, n := range applied {
		s.Duplicated += n - 1
	}
	for i := range r.shots {
		shot := &r.shots[i]
		if !shot.OK {
			s.Failed++
		}
		switch {
		case shot.Route != Post:
		case !shot.OK:
			s.FailedPosts++
			if shot.Ambiguous {
				s.FailedPostsAmbiguous++
			}
			if applied[shot.ID] > 0 {
				s.Ghosts++
			}
		case applied[shot.ID] == 0:
			s.Lost++
		}
	}
}

// client sums up what only the client knows.
func (r *run) client(s *StackReport) {
	for _, e := range r.entries {
		victim := e.Node == r.victim
		switch e.Kind {
		case TriedNode:
			if victim && counts(e.ID) && r.metTheDead(e) {
				s.AttemptsOnDeadNode++
			}
		case Retried:
			s.Retries++
			if e.NotSent {
				s.RetriedNotSent++
			}
		case Ejected:
			s.Ejections[e.Node]++
			if victim && s.TimeToEjectMs == nil && !e.End.Before(r.down.begin) {
				s.TimeToEjectMs = since(r.down.begin, e.End)
			}
		case Readmitted:
			if victim && s.TimeToReadmitMs == nil && !e.End.Before(r.back.begin) {
				s.TimeToReadmitMs = since(r.back.end, e.End)
			}
		}
	}
}

// metTheDead reports whether an attempt on the victim began while the fault was
// in force: when it had been done and was not being undone; and in those
// moments themselves, which take long on a busy machine, if it was refused.
func (r *run) metTheDead(e Entry) bool {
	if e.NotSent {
		return !e.Start.Before(r.down.begin) && e.Start.Before(r.back.end)
	}
	return e.Start.After(r.down.end) && e.Start.Before(r.back.begin)
}

// since is at least 0: what happens while we are still noticing that the node
// is back took no time.
func since(from, to time.Time) *float64 {
	d := ms(max(0, to.Sub(from)))
	return &d
}

// inFlight returns the requests that were in flight on the victim at the
// moment of the fault, measured from both sides and joined:
//
//   - the server's: its ledger says that they had begun, and not that they
//     had ended before;
//   - the client's: the user API was waiting for the victim. That adds those
//     on the wire or in a socket's queue, which the server never saw.
//
// For the client the moment lasts until it learns of it: a request that it
// puts on a connection to the dead process, before its kernel's news of the
// end of that connection has reached it, was sent to the instance that was
// killed. Such requests are known by the age of their connection.
//
// An attempt that provably was not sent was not in flight.
func (r *run) inFlight() map[string]Route {
	set := r.onVictim(r.down.begin, r.down.end)
	if r.cfg.Fault == Stop { // its connections live on
		return set
	}
	for _, e := range r.entries {
		if e.Kind == TriedNode && e.Node == r.victim && !e.NotSent && counts(e.ID) &&
			!e.Born.IsZero() && !e.Born.After(r.down.end) && !e.End.Before(r.down.begin) {
			set[e.ID] = e.Route
		}
	}
	return set
}

// pending returns the requests that were on the victim at any moment from the
// fault until it was undone.
func (r *run) pending() map[string]Route { return r.onVictim(r.down.begin, r.back.end) }

// onVictim returns the requests of which the server or the client says that
// they were on the victim at any moment between from and to.
func (r *run) onVictim(from, to time.Time) map[string]Route {
	set := map[string]Route{}
	type attempt struct {
		id string
		n  int
	}
	ended := map[attempt]time.Time{} // the last end
	for _, rec := range r.records {
		if rec.Kind.over() && rec.Node == r.victim {
			ended[attempt{rec.ID, rec.Attempt}] = rec.At
		}
	}
	for _, rec := range r.records {
		if rec.Kind != Begun || rec.Node != r.victim || !counts(rec.ID) || rec.At.After(to) {
			continue
		}
		if end, ok := ended[attempt{rec.ID, rec.Attempt}]; !ok || !end.Before(from) {
			set[rec.ID] = rec.Route
		}
	}
	for _, e := range r.entries {
		if e.Kind == TriedNode && e.Node == r.victim && !e.NotSent && counts(e.ID) &&
			!e.Start.After(to) && !e.End.Before(from) {
			set[e.ID] = e.Route
		}
	}
	return set
}

func posts(set map[string]Route) (n int) {
	for _, route := range set {
		if route == Post {
			n++
		}
	}
	return n
}
