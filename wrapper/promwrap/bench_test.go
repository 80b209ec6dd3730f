package promwrap

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-go/holdfast/internal/overhead"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// BenchmarkTelemetry: what (on − off) costs is to be compared with bare, which
// is the same two counters and one histogram of a successful call, written by
// hand with Prometheus' own vectors:
//
//	go test -run '^$' -bench Telemetry/ratio -benchtime 2000x -count 5 .
//
// mode=… measure one after the other. ratio takes turns, of 1000 calls each
// and in random order, so that what else the machine does hits all.
func BenchmarkTelemetry(b *testing.B) {
	collector, _ := newCollector(b, Config{})
	off, on, bare := called(b, nil), called(b, collector), byHand()
	for _, w := range []overhead.Way{off, on, bare} {
		b.Run("mode="+w.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.Do(b)
			}
		})
	}
	b.Run("ratio", func(b *testing.B) { overhead.Telemetry(b, off, on, bare) })
}

func op(context.Context, *selector.Node) error { return nil }

// called is a call of a client that o observes.
func called(b *testing.B, o resilience.Observer) overhead.Way {
	client, err := resilience.New(resilience.Config{Service: "users", Nodes: selector.Addrs("a", "b", "c"), Observer: o})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = client.Close() })
	w := overhead.Way{Name: "off", Do: func(b *testing.B) {
		if err := client.Do(context.Background(), resilience.Safe("get"), op); err != nil {
			b.Fatal(err)
		}
	}}
	if o != nil {
		w.Name = "on"
	}
	return w
}

// byHand is an operation that is instrumented as one would: the time that it
// takes is measured, and labels are looked up where they are told.
func byHand() overhead.Way {
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "calls"}, []string{"service", "method", "outcome"})
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "attempts"}, []string{"service", "node", "outcome"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "duration"}, []string{"service", "method"})
	return overhead.Way{Name: "bare", Do: func(b *testing.B) {
		start := time.Now()
		if err := op(context.Background(), nil); err != nil {
			b.Fatal(err)
		}
		attempts.WithLabelValues("users", "a", "succeeded").Inc()
		calls.WithLabelValues("users", "get", "succeeded").Inc()
		duration.WithLabelValues("users", "get").Observe(time.Since(start).Seconds())
	}}
}
