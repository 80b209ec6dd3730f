package otelwrap_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/resiliencetest"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
	"github.com/holdfast-go/holdfast/wrapper/otelwrap"
)

// TestSpans: a call of two attempts is three spans, with all that they say.
func TestSpans(t *testing.T) {
	b := resiliencetest.New(1)
	b.Node("10.0.0.1:80", resiliencetest.Steps(resiliencetest.Reply{After: 10 * ms, Outcome: resilience.Ambiguous, Err: errOp}))
	b.Node("10.0.0.2:80", resiliencetest.Steps(resiliencetest.Reply{After: 20 * ms}))
	s := newSink()
	s.Attributes = []attribute.KeyValue{attribute.String("team", "x")}
	client := newClient(t, b, s, resilience.Config{Service: "users", Nodes: selector.Addrs("10.0.0.1:80", "10.0.0.2:80")})
	var inside []trace.SpanID
	op := func(ctx context.Context, node *selector.Node) error {
		inside = append(inside, trace.SpanContextFromContext(ctx).SpanID())
		return b.Op(ctx, node)
	}
	if err := do(b, client, resilience.Safe("get"), op); err != nil {
		t.Fatal(err)
	}
	want := []struct {
		name, attributes string
		kind             trace.SpanKind
		status           codes.Code
	}{
		{
			"users get attempt", "error.type=ambiguous holdfast.method=get holdfast.node=10.0.0.1:80 holdfast.outcome=ambiguous server.address=10.0.0.1 server.port=80 service.peer.name=users team=x",
			trace.SpanKindClient, codes.Error,
		},
		{
			"users get attempt", "holdfast.method=get holdfast.node=10.0.0.2:80 holdfast.outcome=succeeded http.request.resend_count=1 server.address=10.0.0.2 server.port=80 service.peer.name=users team=x",
			trace.SpanKindClient, codes.Unset,
		},
		{"users get", "holdfast.attempts=2 holdfast.method=get holdfast.outcome=succeeded service.peer.name=users team=x", trace.SpanKindInternal, codes.Unset},
	}
	spans := s.list()
	if len(spans) != len(want) {
		t.Fatalf("%d spans, want %d: %v", len(spans), len(want), spans)
	}
	call := spans[2].SpanContext
	for i, w := range want {
		got := spans[i]
		if a := text(got.Attributes); got.Name != w.name || a != w.attributes || got.SpanKind != w.kind || got.Status.Code != w.status {
			t.Errorf("span %d:\ngot  %s %v %v %s\nwant %s %v %v %s", i, got.Name, got.SpanKind, got.Status, a, w.name, w.kind, w.status, w.attributes)
		}
		if i < 2 && (got.Parent.SpanID() != call.SpanID() || got.SpanContext.SpanID() != inside[i]) {
			t.Errorf("attempt %d is not below its call, or its op not within", i+1)
		}
	}
	if spans[2].Parent.IsValid() {
		t.Error("the call has a parent")
	}
}

// TestCallsThatFail: what a failed call's span says.
func TestCallsThatFail(t *testing.T) {
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	tests := []struct {
		name  string
		ctx   context.Context
		reply resiliencetest.Reply
		cfg   resilience.Config
		want  string
	}{
		{
			"in doubt", context.Background(),
			resiliencetest.Reply{Outcome: resilience.Ambiguous, Err: errOp},
			resilience.Config{},
			"error.type=ambiguous holdfast.ambiguous=true holdfast.attempts=1 holdfast.method=pay holdfast.outcome=ambiguous holdfast.reason=not repeatable",
		},
		{
			"answered", context.Background(),
			resiliencetest.Reply{Outcome: resilience.Failed, Err: errOp},
			resilience.Config{},
			"error.type=failed holdfast.attempts=1 holdfast.method=pay holdfast.outcome=failed holdfast.reason=final",
		},
		{"over before it began", gone, resiliencetest.Reply{}, resilience.Config{}, "error.type=cancelled holdfast.attempts=0 holdfast.method=pay holdfast.reason=cancelled"},
		{
			"fallback", context.Background(),
			resiliencetest.Reply{Outcome: resilience.Ambiguous, Err: errOp},
			resilience.Config{Fallback: func(context.Context, *resilience.Call, error) error { return nil }},
			"error.type=ambiguous holdfast.ambiguous=true holdfast.attempts=1 holdfast.fallback=true holdfast.method=pay holdfast.outcome=ambiguous holdfast.reason=not repeatable",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := resiliencetest.New(1)
			b.Node("a", resiliencetest.Steps(tt.reply))
			s := newSink()
			client := newClient(t, b, s, tt.cfg)
			var err error
			b.Run(func() { err = client.Do(tt.ctx, resilience.Unsafe("pay"), b.Op) })
			spans := s.list()
			call := spans[len(spans)-1]
			if got := text(call.Attributes); call.Name != "pay" || got != tt.want {
				t.Errorf("%s\ngot  %s\nwant %s", call.Name, got, tt.want)
			}
			if failed := call.Status.Code == codes.Error; failed != (err != nil) {
				t.Errorf("status %v of a call that returned %v", call.Status, err)
			}
		})
	}
}

// TestPanic: no span is left open.
func TestPanic(t *testing.T) {
	s := newSink()
	cfg, err := otelwrap.Instrument(resilience.Config{}, s.Config)
	if err != nil {
		t.Fatal(err)
	}
	client, err := resilience.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	func() {
		defer func() { _ = recover() }()
		_ = client.Do(t.Context(), resilience.Safe("get"), func(context.Context, *selector.Node) error { panic("boom") })
	}()
	var names []string
	for _, span := range s.list() {
		names = append(names, span.Name)
	}
	if !slices.Equal(names, []string{"get attempt", "get"}) {
		t.Errorf("ended: %q", names)
	}
}

// TestListenerPanic: nor by a listener's, after the attempt's end.
func TestListenerPanic(t *testing.T) {
	b := resiliencetest.New(1)
	b.Node("a:1", resiliencetest.Steps(resiliencetest.Reply{Outcome: resilience.Ambiguous, Err: errOp}))
	s := newSink()
	client := newClient(t, b, s, resilience.Config{Nodes: selector.Addrs("a:1"), Classify: func(context.Context, error) resilience.Outcome { panic("boom") }})
	func() {
		defer func() { _ = recover() }()
		_ = do(b, client, resilience.Unsafe("get"), b.Op)
	}()
	var names []string
	for _, span := range s.list() {
		names = append(names, span.Name)
	}
	if !slices.Equal(names, []string{"get attempt", "get"}) {
		t.Errorf("ended: %q", names)
	}
}

// TestNested: a client that is called within another's attempt has its spans
// below that.
func TestNested(t *testing.T) {
	s := newSink()
	open := func(name string) *resilience.Client {
		cfg, err := otelwrap.Instrument(resilience.Config{Service: name}, s.Config)
		if err != nil {
			t.Fatal(err)
		}
		client, err := resilience.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		return client
	}
	outer, inner := open("outer"), open("inner")
	plain, err := resilience.New(resilience.Config{Service: "plain"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	ok := func(context.Context, *selector.Node) error { return nil }
	err = outer.Do(t.Context(), resilience.Safe(""), func(ctx context.Context, _ *selector.Node) error {
		return errors.Join(plain.Do(ctx, resilience.Safe(""), ok), inner.Do(ctx, resilience.Safe(""), ok))
	})
	if err != nil {
		t.Fatal(err)
	}
	parents := map[string]string{"inner attempt": "inner", "inner": "outer attempt", "outer attempt": "outer", "outer": ""}
	names := map[trace.SpanID]string{}
	for _, span := range s.list() {
		names[span.SpanContext.SpanID()] = span.Name
	}
	for _, span := range s.list() {
		if want, ok := parents[span.Name]; !ok || names[span.Parent.SpanID()] != want {
			t.Errorf("%s is below %q, want %q", span.Name, names[span.Parent.SpanID()], want)
		}
	}
	if n := len(s.list()); n != 4 {
		t.Errorf("%d spans, want 4", n)
	}
}

// TestHTTP: over real HTTP, each attempt hands on its own span.
func TestHTTP(t *testing.T) {
	var mu sync.Mutex
	var parents []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		parents = append(parents, r.Header.Get("Traceparent"))
		if len(parents) == 1 {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer server.Close()
	s := newSink()
	cfg, err := otelwrap.Instrument(resilience.Config{Service: "users", Nodes: selector.Addrs(server.Listener.Addr().String())}, s.Config)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := httpwrap.New(httpwrap.Config{
		Services: map[string]resilience.Config{"users": cfg},
		Header:   otelwrap.Header(propagation.TraceContext{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = transport.Close() }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://users/42", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	spans := s.list()
	if len(spans) != 3 || len(parents) != 2 {
		t.Fatalf("%d spans, %d requests", len(spans), len(parents))
	}
	for i, parent := range parents {
		sc := spans[i].SpanContext
		if parent != "00-"+sc.TraceID().String()+"-"+sc.SpanID().String()+"-01" {
			t.Errorf("request %d came with %q, its attempt is %v", i, parent, sc.SpanID())
		}
	}
	if got := text(spans[1].Attributes); spans[1].Name != "users GET attempt" || !strings.Contains(got, "http.request.resend_count=1") {
		t.Errorf("%s %s", spans[1].Name, got)
	}
}

// TestOff: without providers the configuration is as it was: nothing is paid.
func TestOff(t *testing.T) {
	cfg, err := otelwrap.Instrument(resilience.Config{Service: "users"}, otelwrap.Config{Attributes: []attribute.KeyValue{attribute.Int("x", 1)}})
	if err != nil || !reflect.DeepEqual(cfg, resilience.Config{Service: "users"}) {
		t.Errorf("%+v, %v", cfg, err)
	}
}

// TestUnsampled: what is not recorded is handed on all the same, and leaves
// nothing open.
func TestUnsampled(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter), sdktrace.WithSampler(sdktrace.NeverSample()))
	cfg, err := otelwrap.Instrument(resilience.Config{}, otelwrap.Config{TracerProvider: provider})
	if err != nil {
		t.Fatal(err)
	}
	client, err := resilience.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	err = client.Do(t.Context(), resilience.Safe("get"), func(ctx context.Context, _ *selector.Node) error {
		if sc := trace.SpanContextFromContext(ctx); !sc.IsValid() || sc.IsSampled() {
			t.Errorf("within the attempt: %+v", sc)
		}
		return nil
	})
	if err != nil || len(exporter.GetSpans()) != 0 {
		t.Error(err, exporter.GetSpans())
	}
}
