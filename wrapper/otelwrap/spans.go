package otelwrap

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// telemetry is one client's. It is the client's observer, besides.
type telemetry struct {
	tracer trace.Tracer // nil: no spans
	meters *meters      // nil: no metrics
	extra  []attribute.KeyValue

	adding sync.Mutex
	names  atomic.Pointer[map[operation]*names]
}

// operation is what is called.
type operation struct{ service, method string }

// others is the method of what is beyond the bounds.
const others = "(others)"

// maxOperations bounds the names: methods come from users.
const maxOperations = 256

// names are an operation's, and what its spans begin with.
type names struct {
	call, attempt string
	// What the spans begin with, but for what differs from attempt to attempt.
	startCall, startAttempt []trace.SpanStartOption
}

// named returns an operation's names, made at its first use.
func (t *telemetry) named(service, method string) *names {
	op := operation{service, method}
	if n := (*t.names.Load())[op]; n != nil {
		return n
	}
	t.adding.Lock()
	defer t.adding.Unlock()
	old := *t.names.Load()
	if len(old) >= maxOperations {
		op.method = others
	}
	if n := old[op]; n != nil {
		return n
	}
	op = operation{strings.Clone(op.service), strings.Clone(op.method)}
	n := newNames(op, t.extra)
	next := make(map[operation]*names, len(old)+1)
	for k, v := range old {
		next[k] = v
	}
	next[op] = n
	t.names.Store(&next)
	return n
}

func newNames(op operation, extra []attribute.KeyValue) *names {
	n := &names{call: strings.TrimSpace(op.service + " " + op.method)}
	if n.call == "" {
		n.call = "call"
	}
	n.attempt = n.call + " attempt"
	same := trace.WithAttributes(op.attributes(extra)...)
	n.startCall = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindInternal), same}
	n.startAttempt = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient), same}
	return n
}

const methodKey = attribute.Key("holdfast.method")

func (op operation) attributes(extra []attribute.KeyValue) []attribute.KeyValue {
	list := append([]attribute.KeyValue(nil), extra...)
	if op.service != "" {
		list = append(list, semconv.ServicePeerName(op.service))
	}
	if op.method != "" {
		list = append(list, methodKey.String(op.method))
	}
	return list
}

// span is a call's context and span, and the span of the attempt that is under
// way: the observer, which hears of both on the call's own goroutine, finds
// them by the context.
type span struct {
	context.Context // with the call's span
	owner           *telemetry
	call, attempt   trace.Span
}

type spanKey struct{}

// Value implements context.Context.
func (s *span) Value(key any) any {
	if key == (spanKey{}) {
		return s
	}
	return s.Context.Value(key)
}

// spanOf returns the span of the call that ctx belongs to, nil if there is none
// of ours.
func (t *telemetry) spanOf(ctx context.Context) *span {
	if t.tracer == nil || ctx == nil {
		return nil
	}
	if s, ok := ctx.Value(spanKey{}).(*span); ok && s.owner == t {
		return s
	}
	return nil
}

// call is the wrapper around a call.
func (t *telemetry) call(next resilience.Func) resilience.Func {
	return func(ctx context.Context, call *resilience.Call) error {
		n, s := t.named(call.Service, call.Method), &span{owner: t}
		s.Context, s.call = t.tracer.Start(ctx, n.call, n.startCall...)
		defer func() { // after a panic too, as of a listener's between an attempt's end and the observer
			if s.attempt != nil {
				s.attempt.End()
			}
			s.call.End()
		}()
		err := next(s, call)
		if err != nil {
			s.call.SetStatus(codes.Error, err.Error())
		}
		return err
	}
}

// attempt is the wrapper around an attempt. Its span ends when the observer
// hears what the attempt came to, which is right after it.
func (t *telemetry) attempt(next resilience.Func) resilience.Func {
	return func(ctx context.Context, call *resilience.Call) error {
		s := t.spanOf(ctx)
		if s == nil {
			return next(ctx, call)
		}
		n := t.named(call.Service, call.Method)
		ctx, attempt := t.tracer.Start(ctx, n.attempt, n.startAttempt...)
		if attempt.IsRecording() {
			attempt.SetAttributes(where(call)...)
		}
		returned := false
		defer func() {
			if !returned { // a panic: nobody will hear of it
				attempt.End()
			}
		}()
		err := next(ctx, call)
		returned, s.attempt = true, attempt
		return err
	}
}

// where is what an attempt's span says of its node and number.
func where(call *resilience.Call) []attribute.KeyValue {
	list := make([]attribute.KeyValue, 0, 3) // a first attempt's
	if n := call.Node; n != nil {
		if host, port, err := net.SplitHostPort(n.Addr); err == nil {
			list = append(list, semconv.ServerAddress(host))
			if p, err := strconv.Atoi(port); err == nil {
				list = append(list, semconv.ServerPort(p))
			}
		} else if n.Addr != "" {
			list = append(list, semconv.ServerAddress(n.Addr))
		}
		if n.ID != "" {
			list = append(list, attribute.String("holdfast.node", n.ID))
		}
	}
	if call.Attempt > 1 {
		list = append(list, semconv.HTTPRequestResendCount(call.Attempt-1))
	}
	if call.Probe() {
		list = append(list, attribute.Bool("holdfast.probe", true))
	}
	return list
}

const (
	outcomeKey = attribute.Key("holdfast.outcome")
	reasonKey  = attribute.Key("holdfast.reason")
)

// Observe implements resilience.Observer.
func (t *telemetry) Observe(e resilience.Event) {
	if t.meters != nil {
		t.meters.observe(&e)
	}
	s := t.spanOf(e.Context)
	if s == nil || !s.call.IsRecording() {
		if s != nil && s.attempt != nil {
			s.attempt.End()
			s.attempt = nil
		}
		return
	}
	switch e.Kind {
	case resilience.AttemptDone:
		s.attemptDone(&e)
	case resilience.RetryWaiting:
		s.call.AddEvent("waiting", trace.WithAttributes(attribute.Float64("holdfast.wait", e.Wait.Seconds())))
	case resilience.CallDone:
		s.callDone(&e)
	case resilience.FallbackDone:
		s.call.SetAttributes(attribute.Bool("holdfast.fallback", true))
	}
}

func (s *span) attemptDone(e *resilience.Event) {
	if s.attempt == nil { // no node was chosen
		return
	}
	s.attempt.SetAttributes(ended(e, 0)...)
	if e.Err != nil {
		s.attempt.SetStatus(codes.Error, e.Err.Error())
	}
	s.attempt.End()
	s.attempt = nil
}

func (s *span) callDone(e *resilience.Event) {
	list := append(ended(e, 1), attribute.Int("holdfast.attempts", e.Attempt))
	if e.Err != nil {
		list = append(list, reasonKey.String(e.Why.String()))
	}
	if e.Ambiguous {
		list = append(list, attribute.Bool("holdfast.ambiguous", true))
	}
	s.call.SetAttributes(list...)
}

// ended is what is said of how a call or an attempt ended, with room for more.
func ended(e *resilience.Event, more int) []attribute.KeyValue {
	list := make([]attribute.KeyValue, 0, 1+more) // a success's
	if e.Outcome.Name != "" {
		list = append(list, outcomeKey.String(e.Outcome.Name))
	}
	if e.Err != nil {
		list = append(list, semconv.ErrorTypeKey.String(errorType(e.Outcome.Name, e.Why)))
	}
	return list
}

// errorType names a failure from a bounded set: by its outcome, or by why there
// was no attempt.
func errorType(outcome string, why retry.Reason) string {
	if outcome != "" {
		return outcome
	}
	return why.String()
}
