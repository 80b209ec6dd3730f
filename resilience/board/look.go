package board

import (
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/selector"
)

// State returns what there is to see now.
func (b *Board) State() State {
	st := State{SchemaVersion: SchemaVersion, At: clock.System.Now(), Steering: b.cfg.Steer != nil, Services: []Service{}}
	seen := make(names)
	for _, s := range b.list() {
		sv := s.look()
		sv.Name = seen.unique(sv.Name)
		st.Services = append(st.Services, sv)
	}
	st.Log = b.log.list()
	return st
}

func (b *Board) serveState(w http.ResponseWriter, _ *http.Request) { writeState(w, b.State()) }

func writeState(w http.ResponseWriter, st any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(st) // the reader has gone: nobody to tell
}

func (s *service) look() Service {
	now := s.clk.Now()
	second := s.at(now)
	sv := Service{Name: s.name, Nodes: []Node{}}
	var calls, attempts sums
	calls.add(&s.calls, second)
	node := func(r *row) Window {
		var own sums
		if r != nil {
			own.add(r, second)
			attempts.add(r, second)
		}
		return own.window()
	}
	rows := *s.nodes.Load()
	if c := s.client.Load(); c != nil {
		settings := c.Settings()
		sv.Settings, sv.Refused = &settings, s.refused.Load()
		sv.Breaker = breakerOf(c.ServiceBreaker())
		if tokens, most := c.Budget().Balance(now); !math.IsInf(most, 1) {
			sv.Budget = &Budget{tokens, most}
		}
		trial := s.trial(c.Candidate())
		sv.Trial = trial.candidate()
		list := c.Selector().Nodes()
		for i := range list {
			r := rows[list[i].Node.ID]
			if r == nil {
				continue // beyond the bound, or just come
			}
			n := nodeOf(&list[i])
			n.Attempts = node(r)
			p := s.recall(n.ID)
			n.History, n.LastEjection = p.changes, p.ejected
			n.Would = trial.node(&list[i], &p, now)
			sv.Nodes = append(sv.Nodes, n)
			sv.InFlight += n.InFlight
		}
		if settings.Bulkhead > 0 {
			sv.InFlight = c.InFlight()
		}
		s.calls.tally().second(second).reach(sv.InFlight)
	} else {
		for _, id := range slices.Sorted(maps.Keys(rows)) {
			sv.Nodes = append(sv.Nodes, Node{ID: id, Attempts: node(rows[id])})
		}
	}
	if s.crowded.Load() {
		sv.Nodes = append(sv.Nodes, Node{ID: others, Attempts: node(&s.rest)})
	}
	sv.Calls, sv.Attempts = calls.window(), attempts.window()
	sv.Peak = max(int(calls.n[peak]), sv.InFlight)
	return sv
}

func nodeOf(status *selector.Status) Node {
	n := Node{
		ID: status.Node.ID, Addr: status.Node.Addr, Zone: status.Node.Zone,
		Ejected: status.Ejected, NotReady: status.NotReady, InFlight: status.InFlight,
		Score: status.Score, Threshold: status.Threshold, RetryAt: maybe(status.RetryAt),
		Breaker: breakerOf(status.Breaker),
	}
	n.Breaker.State = status.State.String()
	n.OwnRule = ownRule(status)
	return n
}

func breakerOf(b breaker.Breaker) *Breaker {
	if b == nil {
		return nil
	}
	in, ok := b.(breaker.Inspector)
	if !ok {
		return &Breaker{State: b.State().String()}
	}
	sn := in.Snapshot()
	out := &Breaker{
		State: sn.State.String(), Shadow: sn.Shadow, Rule: sn.Rule,
		MinCalls: sn.MinCalls, ErrorRate: sn.ErrorRate, OpenFor: ms(sn.OpenFor),
		Score: sn.Score, Threshold: sn.Threshold, RetryAt: maybe(sn.RetryAt), Since: maybe(sn.Since), WouldReject: sn.WouldReject,
	}
	if sn.Mode != breaker.Auto {
		out.Mode = sn.Mode.String()
	}
	if out.Since != nil {
		out.Reason = reasonOf(sn.Reason)
	}
	return out
}

// window is x as it is shown.
func (x *sums) window() Window {
	w := Window{
		Succeeded: x.n[succeeded], Answered: x.n[answered], Failed: x.n[failed], TimedOut: x.n[timedOut],
		Rejected: x.n[rejected], ShortCircuited: x.n[shorted], Abandoned: x.n[abandoned],
		Ambiguous: x.n[ambiguous], Retries: x.n[retried], FellBack: x.n[fellBack], FallbackFailed: x.n[fallbackFailed],
	}
	for c := succeeded; c <= abandoned; c++ {
		w.Total += x.n[c]
	}
	w.Latency = Latency{
		Count: x.count, Mean: ms(x.mean()), Min: ms(x.at(0)), P25: ms(x.at(25)), P50: ms(x.at(50)), P75: ms(x.at(75)),
		P90: ms(x.at(90)), P95: ms(x.at(95)), P99: ms(x.at(99)), P995: ms(x.at(99.5)), Max: ms(x.at(100)),
	}
	return w
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func maybe(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// names keeps what is shown apart.
type names map[string]int

// unique returns name, or name~2 when it was returned before, and so on.
func (seen names) unique(name string) string {
	for {
		seen[name]++
		n := seen[name]
		if n == 1 {
			return name
		}
		if again := name + "~" + strconv.Itoa(n); seen[again] == 0 {
			seen[again] = 1
			return again
		}
	}
}
