package promwrap

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// BenchmarkTelemetry: what (on − off) costs is to be compared with bare, which
// is the same two counters and one histogram of a successful call, written by
// hand with Prometheus' own vectors.
func BenchmarkTelemetry(b *testing.B) {
	op := func(context.Context, *selector.Node) error { return nil }
	for _, mode := range []string{"off", "on"} {
		b.Run("mode="+mode, func(b *testing.B) {
			cfg := resilience.Config{Service: "users", Nodes: selector.Addrs("a", "b", "c")}
			if mode == "on" {
				cfg.Observer, _ = newCollector(b, Config{})
			}
			client, err := resilience.New(cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = client.Close() }()
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if err := client.Do(ctx, resilience.Safe("get"), op); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("mode=bare", func(b *testing.B) {
		calls := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "calls"}, []string{"service", "method", "outcome"})
		attempts := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "attempts"}, []string{"service", "node", "outcome"})
		duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "duration"}, []string{"service", "method"})
		b.ReportAllocs()
		for b.Loop() {
			if err := op(b.Context(), nil); err != nil {
				b.Fatal(err)
			}
			attempts.WithLabelValues("users", "a", "succeeded").Inc()
			calls.WithLabelValues("users", "get", "succeeded").Inc()
			duration.WithLabelValues("users", "get").Observe(.001)
		}
	})
}
