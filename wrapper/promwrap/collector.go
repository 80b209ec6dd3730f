package promwrap

import (
	"errors"
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-go/holdfast/resilience"
)

// Config describes a [Collector]. The zero Config is good.
type Config struct {
	// Methods is how many methods of a service are told apart; further ones
	// share one value. Default 64.
	Methods int

	// Nodes is how many nodes of a service are told apart; further ones share
	// one value. Default 500.
	Nodes int

	// Buckets are the upper bounds of the duration histogram's, in seconds,
	// rising. Default prometheus.DefBuckets.
	Buckets []float64
}

// Validate returns all that is wrong, joined.
func (cfg Config) Validate() error {
	var errs []error
	if cfg.Methods < 0 {
		errs = append(errs, fmt.Errorf("promwrap: methods %d: want 1 or more (0: default 64)", cfg.Methods))
	}
	if cfg.Nodes < 0 {
		errs = append(errs, fmt.Errorf("promwrap: nodes %d: want 1 or more (0: default 500)", cfg.Nodes))
	}
	for i := 1; i < len(cfg.Buckets); i++ {
		if !(cfg.Buckets[i] > cfg.Buckets[i-1]) {
			errs = append(errs, fmt.Errorf("promwrap: buckets[%d] %v: want more than %v before it", i, cfg.Buckets[i], cfg.Buckets[i-1]))
		}
	}
	return errors.Join(errs...)
}

// The bounds that are not for users to turn.
const (
	maxServices = 256
	maxOutcomes = 32
)

// Collector counts what its clients do and tells Prometheus. It is a
// prometheus.Collector, and the Observer of its clients. It is safe for
// concurrent use; make one by [New].
type Collector struct {
	cfg      Config
	duration *prometheus.HistogramVec
	services *table[service]
}

var (
	_ prometheus.Collector = (*Collector)(nil)
	_ resilience.Watcher   = (*Collector)(nil)
)

// New makes a Collector. The error lists everything wrong with cfg.
func New(cfg Config) (*Collector, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Methods == 0 {
		cfg.Methods = 64
	}
	if cfg.Nodes == 0 {
		cfg.Nodes = 500
	}
	c := &Collector{cfg: cfg}
	c.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "holdfast_call_duration_seconds", Help: "Duration of calls, retries and waits included.",
		Buckets: slices.Clone(cfg.Buckets),
	}, []string{"service", "method"})
	c.services = newTable(maxServices, c.newService)
	return c, nil
}

// Watch implements resilience.Watcher.
func (c *Collector) Watch(name string) resilience.Observer { return c.services.get(name).watch() }

// Observe implements resilience.Observer, for calls that are stacked by hand
// and so have no client: of their nodes no more is known than where attempts
// went.
func (c *Collector) Observe(e resilience.Event) { c.services.get(e.Service).count(&e) }

// metric is one of those that are read when Prometheus asks.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func counter(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("holdfast_"+name, help, append([]string{"service"}, labels...), nil), prometheus.CounterValue}
}

func gauge(name, help string, labels ...string) metric {
	m := counter(name, help, labels...)
	m.kind = prometheus.GaugeValue
	return m
}

var (
	calls       = counter("calls_total", "Calls that ended, by the last attempt's outcome.", "method", "outcome")
	ambiguous   = counter("calls_ambiguous_total", "Calls that failed and may have been carried out.", "method")
	givenUp     = counter("calls_given_up_total", "Calls that failed, by why there was no further attempt.", "reason")
	attempts    = counter("attempts_total", "Attempts that reached a node, or tried to.", "node", "outcome")
	retries     = counter("retries_total", "Attempts that were not their call's first.", "method")
	fallbacks   = counter("fallbacks_total", "Fallbacks that answered, or failed too.", "result")
	nodes       = gauge("nodes", "Nodes in the set.")
	inFlight    = gauge("node_in_flight", "Attempts that are under way.", "node")
	nodeEjected = gauge("node_ejected", "Clients that hold the node out.", "node")
	nodeTimes   = counter("node_ejections_total", "Times the node was ejected.", "node")
	nodeSeconds = counter("node_ejected_seconds_total", "Time the node was ejected.", "node")
	ejections   = counter("ejections_total", "Ejections that were enforced, prevented by the cap, or spared by the guard since the others did no better.", "decision")
	readmitted  = counter("readmissions_total", "Ejected nodes that came back.")
	sourceFails = counter("source_failures_total", "Times the source of nodes could not be read or believed.")
	state       = gauge("breaker_state", "Clients whose service breaker is in the state.", "state")
	transitions = counter("breaker_transitions_total", "Changes of service breakers to the state.", "state")
	openSeconds = counter("breaker_open_seconds_total", "Time service breakers were open.")
	tokens      = gauge("retry_budget_tokens", "Retries that may be made at once.")
)

var all = []metric{
	calls, ambiguous, givenUp, attempts, retries, fallbacks, nodes, inFlight, nodeEjected, nodeTimes, nodeSeconds, ejections,
	readmitted, sourceFails, state, transitions, openSeconds, tokens,
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	c.duration.Describe(ch)
	for _, m := range all {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	c.duration.Collect(ch)
	for name, s := range c.services.list() {
		s.collect(func(m metric, value float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, value, append([]string{name}, labels...)...)
		})
	}
}
