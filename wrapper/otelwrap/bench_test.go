package otelwrap_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/otelwrap"
)

// BenchmarkTelemetry: what (on − off) costs is to be compared with bare, which
// is the same two spans and two records of a successful call, written by hand.
func BenchmarkTelemetry(b *testing.B) {
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(dropped{}))
	providers := otelwrap.Config{TracerProvider: tracers, MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))}
	op := func(context.Context, *selector.Node) error { return nil }
	for _, mode := range []struct {
		name string
		to   otelwrap.Config
	}{{"off", otelwrap.Config{}}, {"on", providers}} {
		b.Run("mode="+mode.name, func(b *testing.B) {
			cfg, err := otelwrap.Instrument(resilience.Config{Service: "users", Nodes: selector.Addrs("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")}, mode.to)
			if err != nil {
				b.Fatal(err)
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
	b.Run("mode=bare", func(b *testing.B) { bare(b, providers, op) })
}

// dropped is a processor that makes spans be recorded, and does nothing with
// them.
type dropped struct{}

func (dropped) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (dropped) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (dropped) Shutdown(context.Context) error                  { return nil }
func (dropped) ForceFlush(context.Context) error                { return nil }

// bare is an operation that is instrumented by hand, as one would: options that
// do not change are made once.
func bare(b *testing.B, to otelwrap.Config, op resilience.Op) {
	tracer, meter := to.TracerProvider.Tracer("bare"), to.MeterProvider.Meter("bare")
	calls, err := meter.Float64Histogram("calls")
	if err != nil {
		b.Fatal(err)
	}
	attempts, err := meter.Float64Histogram("attempts")
	if err != nil {
		b.Fatal(err)
	}
	common := []attribute.KeyValue{attribute.String("service.peer.name", "users"), attribute.String("holdfast.method", "get")}
	outcome := attribute.String("holdfast.outcome", "succeeded")
	callSet := []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(append(common, outcome, attribute.Bool("holdfast.ambiguous", false))...))}
	attemptSet := []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(append(common, outcome, attribute.Bool("holdfast.retry", false))...))}
	start := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindInternal), trace.WithAttributes(common...)}
	startAttempt := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(common...)}
	b.ReportAllocs()
	for b.Loop() {
		ctx, call := tracer.Start(b.Context(), "users get", start...)
		inner, attempt := tracer.Start(ctx, "users get attempt", startAttempt...)
		attempt.SetAttributes(attribute.String("server.address", "10.0.0.1"), attribute.Int("server.port", 80), attribute.String("holdfast.node", "10.0.0.1:80"))
		if err := op(inner, nil); err != nil {
			b.Fatal(err)
		}
		attempts.Record(ctx, .001, attemptSet...)
		attempt.SetAttributes(outcome)
		attempt.End()
		calls.Record(ctx, .001, callSet...)
		call.SetAttributes(outcome, attribute.Int("holdfast.attempts", 1))
		call.End()
	}
}
