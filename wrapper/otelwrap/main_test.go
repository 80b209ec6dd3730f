package otelwrap_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/resiliencetest"
	"github.com/holdfast-go/holdfast/wrapper/otelwrap"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const ms = time.Millisecond

var errOp = errors.New("the op's own error")

// sink is what OpenTelemetry was told.
type sink struct {
	spans  *tracetest.InMemoryExporter
	reader *sdkmetric.ManualReader
	otelwrap.Config
}

func newSink() *sink {
	s := &sink{spans: tracetest.NewInMemoryExporter(), reader: sdkmetric.NewManualReader()}
	s.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSyncer(s.spans))
	s.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.reader))
	return s
}

// list is the spans that have ended, in that order.
func (s *sink) list() tracetest.SpanStubs { return s.spans.GetSpans() }

// values are a metric's, by the attributes of their series: of a histogram, how
// many there were.
func (s *sink) values(t testing.TB, name string) map[string]int64 {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := s.reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]int64)
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != name {
				continue
			}
			switch d := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					got[text(p.Attributes.ToSlice())] = int64(p.Count) //nolint:gosec // few
				}
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					got[text(p.Attributes.ToSlice())] = p.Value
				}
			case metricdata.Gauge[int64]:
				for _, p := range d.DataPoints {
					got[text(p.Attributes.ToSlice())] = p.Value
				}
			default:
				t.Fatalf("%s is a %T", name, d)
			}
		}
	}
	return got
}

// text is attributes, sorted by their keys.
func text(list []attribute.KeyValue) (out string) {
	set := attribute.NewSet(list...)
	for i, kv := range set.ToSlice() {
		if i > 0 {
			out += " "
		}
		out += fmt.Sprintf("%s=%s", kv.Key, kv.Value.String())
	}
	return out
}

// newClient is a client on b, told of to s.
func newClient(t testing.TB, b *resiliencetest.Bench, s *sink, cfg resilience.Config) *resilience.Client {
	t.Helper()
	cfg.Strategy = "round-robin"
	cfg, err := otelwrap.Instrument(cfg, s.Config)
	if err != nil {
		t.Fatal(err)
	}
	client, err := b.Client(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func do(b *resiliencetest.Bench, c *resilience.Client, hint resilience.Hint, op resilience.Op) (err error) {
	b.Run(func() { err = c.Do(context.Background(), hint, op) })
	return err
}
