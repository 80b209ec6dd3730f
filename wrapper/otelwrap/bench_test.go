package otelwrap_test

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/internal/overhead"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/otelwrap"
)

// BenchmarkTelemetry: what (on − off) costs is to be compared with bare, which
// is the same two spans and two records of a successful call, written by hand:
//
//	go test -run '^$' -bench Telemetry/ratio -benchtime 1000x -count 5 .
//
// mode=… measure one after the other. ratio takes turns, of 1000 calls each
// and in random order, so that what else the machine does hits all.
func BenchmarkTelemetry(b *testing.B) {
	providers := otelwrap.Config{
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(dropped{})),
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
	}
	off, on, bare := called(b, "off", otelwrap.Config{}), called(b, "on", providers), byHand(b, providers)
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

// called is a call of a client that tells to what it does.
func called(b *testing.B, name string, to otelwrap.Config) overhead.Way {
	cfg, err := otelwrap.Instrument(resilience.Config{Service: "users", Nodes: selector.Addrs("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")}, to)
	if err != nil {
		b.Fatal(err)
	}
	client, err := resilience.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = client.Close() })
	return overhead.Way{Name: name, Do: func(b *testing.B) {
		if err := client.Do(context.Background(), resilience.Safe("get"), op); err != nil {
			b.Fatal(err)
		}
	}}
}

// dropped is a processor that makes spans be recorded, and does nothing with
// them.
type dropped struct{}

func (dropped) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (dropped) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (dropped) Shutdown(context.Context) error                  { return nil }
func (dropped) ForceFlush(context.Context) error                { return nil }

// byHand is an operation that is instrumented as one would: options that do not
// change are made once.
func byHand(b *testing.B, to otelwrap.Config) overhead.Way {
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
	return overhead.Way{Name: "bare", Do: func(b *testing.B) {
		begin := time.Now()
		ctx, call := tracer.Start(context.Background(), "users get", start...)
		inner, attempt := tracer.Start(ctx, "users get attempt", startAttempt...)
		attempt.SetAttributes(attribute.String("server.address", "10.0.0.1"), attribute.Int("server.port", 80), attribute.String("holdfast.node", "10.0.0.1:80"))
		if err := op(inner, nil); err != nil {
			b.Fatal(err)
		}
		attempts.Record(ctx, time.Since(begin).Seconds(), attemptSet...)
		attempt.SetAttributes(outcome)
		attempt.End()
		calls.Record(ctx, time.Since(begin).Seconds(), callSet...)
		call.SetAttributes(outcome, attribute.Int("holdfast.attempts", 1))
		call.End()
	}}
}
