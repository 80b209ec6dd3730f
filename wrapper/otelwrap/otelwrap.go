// Package otelwrap tells OpenTelemetry what a client does: a span for each call
// and, below it, one for each attempt, and metrics of both.
//
//	cfg, err := otelwrap.Instrument(resilience.Config{Service: "users", …}, otelwrap.Config{
//		TracerProvider: otel.GetTracerProvider(),
//		MeterProvider:  otel.GetMeterProvider(),
//	})
//	…
//	client, err := resilience.New(cfg)
//
// An attempt's context carries its span, so that what op does is below it. With
// httpwrap, hand the trace on by
//
//	httpwrap.Config{Header: otelwrap.Header(otel.GetTextMapPropagator()), …}
//
// Names follow OpenTelemetry's semantic conventions (1.43) where they have one;
// what they have none for begins with "holdfast.":
//
//	span      attributes
//	call      service.peer.name, holdfast.method, holdfast.outcome, holdfast.attempts, holdfast.reason, holdfast.ambiguous, error.type
//	attempt   service.peer.name, holdfast.method, server.address, server.port, holdfast.node, http.request.resend_count (from the
//	          second on), holdfast.probe, holdfast.outcome, error.type
//
//	metric                             kind       attributes
//	holdfast.client.call.duration      histogram  service.peer.name, holdfast.method, holdfast.outcome, holdfast.ambiguous, error.type
//	holdfast.client.attempt.duration   histogram  service.peer.name, holdfast.method, holdfast.outcome, holdfast.retry, error.type
//	holdfast.client.ejections          counter    service.peer.name, holdfast.decision: ejected, prevented, spared, readmitted
//	holdfast.client.breaker.changes    counter    service.peer.name, holdfast.state: that of the service breaker, from now on
//	holdfast.client.nodes              gauge      service.peer.name, holdfast.state: admitted, ejected
//
// What requests and responses contain (method, status, size) is for the
// protocol's own instrumentation to tell, below an attempt's span.
package otelwrap

import (
	"context"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/resilience"
)

// scope names the instrumentation.
const scope = "github.com/holdfast-go/holdfast/wrapper/otelwrap"

// Config says what is told, and whom.
type Config struct {
	// TracerProvider gets the spans. Nil: there are none, and they cost
	// nothing; otel.GetTracerProvider() is the global one.
	TracerProvider trace.TracerProvider

	// MeterProvider gets the metrics. Nil: there are none, and they cost
	// nothing; otel.GetMeterProvider() is the global one.
	MeterProvider metric.MeterProvider

	// Attributes are added to all spans and metrics.
	Attributes []attribute.KeyValue
}

// Instrument returns cfg with the telemetry added: around the call, outside of
// cfg.Wrap, around each attempt, outside of cfg.WrapAttempt, and beside
// cfg.Observer. Without any provider it returns cfg as it is. It fails when the
// MeterProvider refuses an instrument.
func Instrument(cfg resilience.Config, to Config) (resilience.Config, error) {
	if to.TracerProvider == nil && to.MeterProvider == nil {
		return cfg, nil
	}
	t := &telemetry{extra: slices.Clone(to.Attributes)}
	t.names.Store(&map[operation]*names{})
	if to.TracerProvider != nil {
		t.tracer = to.TracerProvider.Tracer(scope)
		cfg.Wrap = append([]resilience.Wrapper{t.call}, cfg.Wrap...)
		cfg.WrapAttempt = append([]resilience.Wrapper{t.attempt}, cfg.WrapAttempt...)
	}
	if to.MeterProvider != nil {
		m, err := newMeters(to.MeterProvider.Meter(scope), t.extra)
		if err != nil {
			return cfg, err
		}
		t.meters = m
	}
	cfg.Observer = resilience.Observers(t, cfg.Observer)
	return cfg, nil
}

// Header hands a trace on in the header of each attempt: it is for
// httpwrap.Config.Header.
func Header(p propagation.TextMapPropagator) func(context.Context, http.Header) {
	return func(ctx context.Context, h http.Header) { p.Inject(ctx, propagation.HeaderCarrier(h)) }
}
