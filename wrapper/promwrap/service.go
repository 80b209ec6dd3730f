package promwrap

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// service is what is counted of all clients of a service.
type service struct {
	methods *table[method]
	nodes   *table[node]

	givenUp     *table[atomic.Uint64] // by reason
	fallbacks   *table[atomic.Uint64]
	decisions   *table[atomic.Uint64]
	transitions *table[atomic.Uint64]
	readmitted  atomic.Uint64
	sourceFails atomic.Uint64

	mu      sync.Mutex // everything below, and the time in nodes
	watches map[*watch]bool
	open    stretches
	guarded bool // there is, or was, a service breaker
}

// method is what is counted of one method.
type method struct {
	duration  prometheus.Observer
	outcomes  *table[atomic.Uint64]
	ambiguous atomic.Uint64
	retries   atomic.Uint64
}

// node is what is counted of one node, or of those beyond the bound.
type node struct {
	outcomes  *table[atomic.Uint64]
	ejections atomic.Uint64
	out       stretches
}

func (c *Collector) newService(name string) *service {
	return &service{
		methods: newTable(c.cfg.Methods, func(m string) *method {
			return &method{duration: c.duration.WithLabelValues(name, m), outcomes: counters(maxOutcomes)}
		}),
		nodes:     newTable(c.cfg.Nodes, func(string) *node { return &node{outcomes: counters(maxOutcomes)} }),
		givenUp:   counters(maxOutcomes),
		fallbacks: counters(2), decisions: counters(3), transitions: counters(3),
		watches: make(map[*watch]bool),
	}
}

// count counts what an event of any client says.
func (s *service) count(e *resilience.Event) {
	switch e.Kind {
	case resilience.AttemptDone:
		if e.Node != nil {
			s.nodes.get(e.Node.ID).outcomes.get(e.Outcome.String()).Add(1)
		}
		if e.Attempt > 1 {
			s.methods.get(e.Method).retries.Add(1)
		}
	case resilience.CallDone:
		m := s.methods.get(e.Method)
		m.outcomes.get(outcomeOf(e)).Add(1)
		m.duration.Observe(e.Elapsed.Seconds())
		if e.Ambiguous {
			m.ambiguous.Add(1)
		}
		if e.Err != nil && e.Why != retry.Final {
			s.givenUp.get(e.Why.String()).Add(1)
		}
	case resilience.FallbackDone:
		result := "answered"
		if e.Err != nil {
			result = "failed"
		}
		s.fallbacks.get(result).Add(1)
	case resilience.NodeEvent:
		s.countNode(e.Change)
	case resilience.ServiceBreakerEvent:
		if e.Breaker.From != e.Breaker.To {
			s.transitions.get(e.Breaker.To.String()).Add(1)
		}
	}
}

// outcomeOf is a call's: that of its last attempt, or abandoned if there was
// none since the caller's context had ended.
func outcomeOf(e *resilience.Event) string {
	if e.Outcome.Name == "" && e.Why == retry.Cancelled {
		return resilience.Abandoned.Name
	}
	return e.Outcome.String()
}

func (s *service) countNode(c *selector.Event) {
	switch c.Kind {
	case selector.Ejected:
		s.decisions.get("enforced").Add(1)
		s.nodes.get(c.Node.ID).ejections.Add(1)
	case selector.Prevented:
		s.decisions.get("prevented").Add(1)
	case selector.Spared:
		s.decisions.get("spared").Add(1)
	case selector.Readmitted:
		s.readmitted.Add(1)
	case selector.SourceFailed:
		s.sourceFails.Add(1)
	}
}

// gather is what clients come to together, while Prometheus asks.
type gather struct {
	nodes    int
	inFlight map[string]int
	ejected  map[string]int
	states   map[string]int
	tokens   float64
	budgets  bool
}

// collect tells put all there is.
func (s *service) collect(put func(m metric, value float64, labels ...string)) {
	tell := func(m metric, t *table[atomic.Uint64], labels ...string) {
		for name, n := range t.list() {
			put(m, float64(n.Load()), append(labels[:len(labels):len(labels)], name)...)
		}
	}
	for name, m := range s.methods.list() {
		tell(calls, m.outcomes, name)
		put(ambiguous, float64(m.ambiguous.Load()), name)
		put(retries, float64(m.retries.Load()), name)
	}
	tell(givenUp, s.givenUp)
	tell(fallbacks, s.fallbacks)
	for _, d := range []string{"enforced", "prevented", "spared"} {
		put(ejections, float64(s.decisions.get(d).Load()), d) // from 0 on, so that the first is an increase
	}
	put(readmitted, float64(s.readmitted.Load()))
	put(sourceFails, float64(s.sourceFails.Load()))

	g := s.gather()
	put(nodes, float64(g.nodes))
	if g.budgets {
		put(tokens, g.tokens)
	}
	for name, n := range g.inFlight {
		put(inFlight, float64(n), name)
	}
	for name, n := range g.ejected {
		put(nodeEjected, float64(n), name)
	}
	s.mu.Lock()
	guarded, open := s.guarded, s.open.total()
	out := make(map[*node]time.Duration)
	for _, n := range s.nodes.list() {
		out[n] = n.out.total()
	}
	s.mu.Unlock()
	if guarded {
		put(openSeconds, open.Seconds())
		for _, st := range []breaker.State{breaker.Closed, breaker.Open, breaker.HalfOpen} {
			put(state, float64(g.states[st.String()]), st.String())
			put(transitions, float64(s.transitions.get(st.String()).Load()), st.String())
		}
	}
	for name, n := range s.nodes.list() {
		tell(attempts, n.outcomes, name)
		put(nodeTimes, float64(n.ejections.Load()), name)
		put(nodeSeconds, out[n].Seconds(), name)
	}
}

// gather looks at the clients. It calls them, so not under mu.
func (s *service) gather() gather {
	g := gather{inFlight: make(map[string]int), ejected: make(map[string]int), states: make(map[string]int)}
	s.mu.Lock()
	clients := make([]*resilience.Client, 0, len(s.watches))
	for w := range s.watches {
		clients = append(clients, w.client)
	}
	s.mu.Unlock()
	known := s.nodes.list()
	ids := make(map[string]bool)
	for _, c := range clients {
		for _, st := range c.Selector().Nodes() {
			ids[st.Node.ID] = true
			name := st.Node.ID
			if known[name] == nil {
				name = others
			}
			g.inFlight[name] += st.InFlight
			if st.Ejected {
				g.ejected[name]++
			} else {
				g.ejected[name] += 0
			}
		}
		if b := c.ServiceBreaker(); b != nil {
			g.states[b.State().String()]++
		}
		if n, most := c.Budget().Balance(c.Clock().Now()); !math.IsInf(most, 1) {
			g.tokens, g.budgets = g.tokens+n, true
		}
	}
	g.nodes = len(ids)
	return g
}
