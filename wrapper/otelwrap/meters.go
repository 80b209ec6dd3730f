package otelwrap

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// meters are one client's instruments.
type meters struct {
	meter     metric.Meter
	calls     metric.Float64Histogram
	attempts  metric.Float64Histogram
	ejections metric.Int64Counter
	changes   metric.Int64Counter
	nodes     metric.Int64ObservableGauge
	extra     []attribute.KeyValue

	series atomic.Pointer[map[seriesKey][]metric.RecordOption]

	mu       sync.Mutex // to replace series, and:
	watching map[*resilience.Client]metric.Registration
}

// boundaries are those that the conventions advise for the duration of HTTP
// requests.
var boundaries = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}

func newMeters(m metric.Meter, extra []attribute.KeyValue) (*meters, error) {
	x := &meters{meter: m, extra: extra, watching: make(map[*resilience.Client]metric.Registration)}
	x.series.Store(&map[seriesKey][]metric.RecordOption{})
	var errs [5]error
	x.calls, errs[0] = m.Float64Histogram("holdfast.client.call.duration",
		metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(boundaries...), metric.WithDescription("Duration of calls, retries and waits included."))
	x.attempts, errs[1] = m.Float64Histogram("holdfast.client.attempt.duration",
		metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(boundaries...), metric.WithDescription("Duration of the attempts that calls are made of."))
	x.ejections, errs[2] = m.Int64Counter("holdfast.client.ejections",
		metric.WithUnit("{decision}"), metric.WithDescription("Nodes that were ejected, kept by the cap, spared because the others did no better, or readmitted."))
	x.changes, errs[3] = m.Int64Counter("holdfast.client.breaker.changes",
		metric.WithUnit("{change}"), metric.WithDescription("Changes of the service breaker's state."))
	x.nodes, errs[4] = m.Int64ObservableGauge("holdfast.client.nodes",
		metric.WithUnit("{node}"), metric.WithDescription("Nodes in the set."))
	return x, errors.Join(errs[:]...)
}

// seriesKey is what tells the series of a histogram apart.
type seriesKey struct {
	operation
	outcome string
	why     retry.Reason // of a call without an attempt
	attempt bool
	retry   bool // of an attempt
	doubt   bool // of a call
	failed  bool
}

// maxSeries bounds them: methods and outcomes come from users.
const maxSeries = 1024

func (m *meters) observe(e *resilience.Event) {
	switch e.Kind {
	case resilience.AttemptDone:
		if e.Node != nil {
			m.record(m.attempts, e, seriesKey{attempt: true, retry: e.Attempt > 1})
		}
	case resilience.CallDone:
		key := seriesKey{doubt: e.Ambiguous}
		if e.Outcome.Name == "" {
			key.why = e.Why
		}
		m.record(m.calls, e, key)
	case resilience.NodeEvent:
		if name := decision(e.Change.Kind); name != "" {
			m.ejections.Add(context.Background(), 1, m.with(e.Service, "holdfast.decision", name))
		}
	case resilience.ServiceBreakerEvent:
		if e.Breaker.From != e.Breaker.To {
			m.changes.Add(context.Background(), 1, m.with(e.Service, "holdfast.state", e.Breaker.To.String()))
		}
	case resilience.ClientOpened:
		m.watch(e.Client)
	case resilience.ClientClosed:
		m.unwatch(e.Client)
	}
}

func decision(k selector.Kind) string {
	switch k {
	case selector.Ejected:
		return "ejected"
	case selector.Prevented:
		return "prevented"
	case selector.Spared:
		return "spared"
	case selector.Readmitted:
		return "readmitted"
	}
	return ""
}

func (m *meters) with(service, key, value string) metric.MeasurementOption {
	return metric.WithAttributes(append(operation{service: service}.attributes(m.extra), attribute.String(key, value))...)
}

// record adds to a histogram, under the call's context, for exemplars.
func (m *meters) record(h metric.Float64Histogram, e *resilience.Event, key seriesKey) {
	ctx := e.Context
	if ctx == nil {
		ctx = context.Background()
	}
	key.operation, key.outcome, key.failed = operation{e.Service, e.Method}, e.Outcome.Name, e.Err != nil
	options := (*m.series.Load())[key]
	if options == nil {
		options = m.add(key)
	}
	h.Record(ctx, e.Elapsed.Seconds(), options...)
}

// add makes the options of a series.
func (m *meters) add(key seriesKey) []metric.RecordOption {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := *m.series.Load()
	if len(old) >= maxSeries {
		key.method, key.outcome = others, others
	}
	if options := old[key]; options != nil {
		return options
	}
	key.service, key.method, key.outcome = strings.Clone(key.service), strings.Clone(key.method), strings.Clone(key.outcome)
	list := key.attributes(m.extra)
	if key.outcome != "" {
		list = append(list, outcomeKey.String(key.outcome))
	}
	if key.failed {
		list = append(list, semconv.ErrorTypeKey.String(errorType(key.outcome, key.why)))
	}
	if key.attempt {
		list = append(list, attribute.Bool("holdfast.retry", key.retry))
	} else {
		list = append(list, attribute.Bool("holdfast.ambiguous", key.doubt))
	}
	next := make(map[seriesKey][]metric.RecordOption, len(old)+1)
	for k, v := range old {
		next[k] = v
	}
	next[key] = []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(list...))}
	m.series.Store(&next)
	return next[key]
}

// watch tells of a client's nodes, until unwatch.
func (m *meters) watch(c *resilience.Client) {
	admitted, ejected := m.with(c.Service(), "holdfast.state", "admitted"), m.with(c.Service(), "holdfast.state", "ejected")
	r, err := m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		in, out := 0, 0
		for _, n := range c.Selector().Nodes() {
			if n.Ejected {
				out++
			} else {
				in++
			}
		}
		o.ObserveInt64(m.nodes, int64(in), admitted)
		o.ObserveInt64(m.nodes, int64(out), ejected)
		return nil
	}, m.nodes)
	if err != nil {
		return // a provider that cannot: then there is no such gauge
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watching[c] = r
}

func (m *meters) unwatch(c *resilience.Client) {
	m.mu.Lock()
	r := m.watching[c]
	delete(m.watching, c)
	m.mu.Unlock()
	if r != nil {
		_ = r.Unregister() // it can only be gone already
	}
}
