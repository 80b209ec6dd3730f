package grpcwrap_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/grpcwrap"
)

// recorder keeps what attempts came to.
type recorder struct {
	mu       sync.Mutex
	attempts []resilience.Event
}

func (r *recorder) Observe(e resilience.Event) {
	if e.Kind == resilience.AttemptDone {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.attempts = append(r.attempts, e)
	}
}

func (r *recorder) first(t testing.TB) resilience.Outcome {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.attempts) == 0 {
		t.Fatal("no attempt was observed")
	}
	return r.attempts[0].Outcome
}

// What a server's status says: a row of the outcome table each.
func TestStatus(t *testing.T) {
	pushback := func(ms string) metadata.MD { return metadata.Pairs("grpc-retry-pushback-ms", ms) }
	rows := []struct {
		code    codes.Code
		trailer metadata.MD
		header  bool // an answer that began well
		trust   bool
		want    string
		effect  retry.Effect
		again   bool
		node    breaker.Result
		after   time.Duration
	}{
		{code: codes.OK, want: "succeeded", effect: retry.Answered, node: breaker.Success},
		{code: codes.InvalidArgument, want: "failed", effect: retry.Answered, node: breaker.Success},
		{code: codes.NotFound, want: "failed", effect: retry.Answered, node: breaker.Success},
		{code: codes.AlreadyExists, want: "failed", effect: retry.Answered, node: breaker.Success},
		{code: codes.PermissionDenied, want: "failed", effect: retry.Answered, node: breaker.Success},
		{code: codes.Unauthenticated, want: "failed", effect: retry.Answered, node: breaker.Success},
		{code: codes.FailedPrecondition, want: "failed", effect: retry.Answered, node: breaker.Success},
		{code: codes.OutOfRange, want: "failed", effect: retry.Answered, node: breaker.Success},
		{code: codes.Aborted, want: "failed", effect: retry.Answered, node: breaker.Success},
		{code: codes.Unimplemented, want: "failed", effect: retry.Answered, node: breaker.Success},
		{code: codes.NotFound, header: true, want: "failed", effect: retry.Answered, node: breaker.Success},
		{code: codes.Canceled, want: "ambiguous", effect: retry.Possible, again: true, node: breaker.Failure},
		{code: codes.Unknown, want: "ambiguous", effect: retry.Possible, again: true, node: breaker.Failure},
		{code: codes.Internal, want: "ambiguous", effect: retry.Possible, again: true, node: breaker.Failure},
		{code: codes.DataLoss, want: "ambiguous", effect: retry.Possible, again: true, node: breaker.Failure},
		{code: codes.DeadlineExceeded, want: "ambiguous", effect: retry.Possible, again: true, node: breaker.Failure},
		{code: codes.Unavailable, want: "ambiguous", effect: retry.Possible, again: true, node: breaker.Failure},
		{code: codes.Unavailable, trust: true, want: "refused", effect: retry.None, again: true, node: breaker.Ignored},
		{code: codes.ResourceExhausted, want: "refused", effect: retry.None, again: true, node: breaker.Ignored},
		{code: codes.ResourceExhausted, header: true, want: "ambiguous", effect: retry.Possible, again: true, node: breaker.Failure}, // it may be ours
		{code: codes.ResourceExhausted, trailer: pushback("7"), header: true, want: "refused", effect: retry.None, again: true, node: breaker.Ignored, after: 7 * time.Millisecond},
		{code: codes.Unavailable, trailer: pushback("7"), want: "refused", effect: retry.None, again: true, node: breaker.Ignored, after: 7 * time.Millisecond},
		{code: codes.Unavailable, trailer: pushback("0"), want: "refused", effect: retry.None, again: true, node: breaker.Ignored},
		{code: codes.Unavailable, trailer: pushback("-1"), want: "ambiguous", effect: retry.Possible, node: breaker.Failure},
		{code: codes.Unavailable, trailer: pushback("soon"), want: "ambiguous", effect: retry.Possible, node: breaker.Failure},
		{code: codes.ResourceExhausted, trailer: pushback("99999999"), want: "refused", effect: retry.None, node: breaker.Ignored},
		{code: codes.Internal, trailer: pushback("7"), want: "ambiguous", effect: retry.Possible, again: true, node: breaker.Failure, after: 7 * time.Millisecond},
	}
	for _, row := range rows {
		t.Run(fmt.Sprint(row.code, row.trailer, row.header, row.trust), func(t *testing.T) {
			n := serve(t, func(ctx context.Context, _, _ string) (string, error) {
				_ = grpc.SetTrailer(ctx, row.trailer)
				if row.header {
					_ = grpc.SendHeader(ctx, metadata.Pairs("k", "v"))
				}
				return "ok", status.Error(row.code, "because")
			}, nil)
			var seen recorder
			c := dial(t, grpcwrap.Config{Config: resilience.Config{
				Observer: &seen, Settings: resilience.Settings{Attempts: 1, TrustRefusals: row.trust},
			}}, n.addr)
			_, err := c.call(within(t, 5*time.Second), post, "in")
			if status.Code(err) != row.code {
				t.Errorf("%v: want code %v", err, row.code)
			}
			got, want := seen.first(t), resilience.Outcome{Name: row.want, Effect: row.effect, Again: row.again, Node: row.node, After: row.after}
			if got != want {
				t.Errorf("%v: outcome %+v, want %+v", err, got, want)
			}
			if row.effect == retry.Answered && err != nil {
				if s, ok := err.(interface{ GRPCStatus() *status.Status }); !ok || s.GRPCStatus().Message() != "because" {
					t.Errorf("%v (%T): want the service's own error", err, err)
				}
			}
			if resilience.IsAmbiguous(err) != (row.effect == retry.Possible) {
				t.Errorf("ambiguous: %v", resilience.IsAmbiguous(err))
			}
		})
	}
}

// What is found fault with on our side is no fault of the node's, and is not
// tried again.
func TestLocalErrors(t *testing.T) {
	n := serve(t, says("ok"), nil)
	rows := []struct {
		name string
		call func(c *conn, ctx context.Context) error
	}{
		{"message too large", func(c *conn, ctx context.Context) error {
			_, err := c.call(ctx, get, strings.Repeat("x", 1000), grpc.MaxCallSendMsgSize(10))
			return err
		}},
		{"no protobuf", func(c *conn, ctx context.Context) error {
			return c.Invoke(ctx, get, "a string", new(wrapperspb.StringValue))
		}},
		{"metadata", func(c *conn, ctx context.Context) error {
			_, err := c.call(metadata.AppendToOutgoingContext(ctx, "k", "bin\x00ary"), get, "in")
			return err
		}},
		{"compressor", func(c *conn, ctx context.Context) error {
			_, err := c.call(ctx, get, "in", grpc.UseCompressor("none of these"))
			return err
		}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var seen recorder
			c := dial(t, grpcwrap.Config{Config: resilience.Config{Observer: &seen}}, n.addr)
			err := row.call(c, within(t, 5*time.Second))
			if e := failure(t, err); len(e.Attempts) != 1 || e.Why != retry.Final || e.Ambiguous() {
				t.Errorf("%v: want one attempt that was not sent", err)
			}
			if got := seen.first(t); got.Node != breaker.Ignored || got.Effect != retry.None {
				t.Errorf("outcome %+v", got)
			}
		})
	}
	// An answer that we cannot take was carried out.
	c := dial(t, grpcwrap.Config{}, n.addr)
	_, err := c.call(within(t, 5*time.Second), get, "in", grpc.MaxCallRecvMsgSize(1))
	if e := failure(t, err); len(e.Attempts) != 1 || !e.Ambiguous() || status.Code(err) != codes.ResourceExhausted {
		t.Errorf("%v: want one ambiguous attempt", err)
	}
}

// Two of three addresses are dead: calls meet nobody there, whatever they do.
func TestDeadNodes(t *testing.T) {
	alive := serve(t, says("alive"), nil)
	c := dial(t, grpcwrap.Config{}, deadAddr(t), deadAddr(t), alive.addr)
	for range 20 {
		if got, err := c.call(within(t, 5*time.Second), post, "in"); err != nil || got != "alive" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	// None is alive: not sent, and said so, with the reason.
	c = dial(t, grpcwrap.Config{}, deadAddr(t), deadAddr(t))
	_, err := c.call(within(t, 5*time.Second), post, "in")
	if e := failure(t, err); e.Ambiguous() || status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("%v: want unavailable, connection refused, not ambiguous", err)
	}
}

// A retry goes to another node, and says how many attempts there were.
func TestRetryAvoidsTriedNodes(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	h := func(name string) handler {
		return func(ctx context.Context, _, _ string) (string, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			mu.Lock()
			seen = append(seen, name+fmt.Sprint(md["grpc-previous-rpc-attempts"]))
			n := len(seen)
			mu.Unlock()
			if n < 3 {
				return "", status.Error(codes.Unavailable, "no")
			}
			return name, nil
		}
	}
	a, b, d := serve(t, h("a"), nil), serve(t, h("b"), nil), serve(t, h("d"), nil)
	c := dial(t, grpcwrap.Config{}, a.addr, b.addr, d.addr)
	c.connected(t, 3)
	if _, err := c.call(within(t, 5*time.Second), get, "in"); err != nil {
		t.Fatal(err)
	}
	nodes := make(map[byte]bool)
	for i, s := range seen {
		nodes[s[0]] = true
		if want := []string{"[]", "[1]", "[2]"}[i]; s[1:] != want {
			t.Errorf("attempt %d says %s, want %s", i+1, s[1:], want)
		}
	}
	if len(nodes) != 3 {
		t.Errorf("%v: want three nodes", seen)
	}
}

// Where idempotency comes from, from the lowest precedence up.
func TestIdempotency(t *testing.T) {
	down := func(context.Context, string, string) (string, error) {
		return "", status.Error(codes.Unavailable, "no")
	}
	a, b := serve(t, down, nil), serve(t, down, nil)
	methods := map[string]resilience.MethodSettings{put: {Idempotency: retry.NonIdempotent}, post: {Idempotency: retry.Idempotent}}
	hinted := func(h resilience.Hint) func(context.Context) context.Context {
		return func(ctx context.Context) context.Context { return grpcwrap.WithHint(ctx, h) }
	}
	rows := []struct {
		method   string
		settings map[string]resilience.MethodSettings
		ctx      func(context.Context) context.Context
		want     retry.Idempotency
	}{
		{method: get, want: retry.Safe},
		{method: put, want: retry.Idempotent},
		{method: post, want: retry.Unspecified},
		{method: "/no.such/Method", want: retry.Unspecified},
		{method: put, settings: methods, want: retry.NonIdempotent},
		{method: post, settings: methods, want: retry.Idempotent},
		{method: post, want: retry.Keyed, ctx: func(ctx context.Context) context.Context {
			return metadata.AppendToOutgoingContext(ctx, "idempotency-key", "k")
		}},
		{method: put, settings: methods, ctx: hinted(resilience.Hint{Idempotency: retry.Safe}), want: retry.Safe},
		{method: get, ctx: hinted(resilience.Hint{Idempotency: retry.NonIdempotent}), want: retry.NonIdempotent},
	}
	for _, row := range rows {
		var seen recorder
		c := dial(t, grpcwrap.Config{Config: resilience.Config{Observer: &seen, Settings: resilience.Settings{Methods: row.settings}}}, a.addr, b.addr)
		ctx := within(t, 5*time.Second)
		if row.ctx != nil {
			ctx = row.ctx(ctx)
		}
		_, err := c.call(ctx, row.method, "in")
		if err == nil {
			t.Fatal("no error")
		}
		if got := seen.attempts[0]; got.Idempotency != row.want || got.Method != row.method {
			t.Errorf("%s: %v, %s, want %v", row.method, got.Idempotency, got.Method, row.want)
		}
		if again := len(seen.attempts) > 1; row.method != "/no.such/Method" && again != row.want.Repeatable() {
			t.Errorf("%s, %v: %d attempts", row.method, row.want, len(seen.attempts))
		}
	}
}

// A timeout cuts an attempt only where another is permitted.
func TestAttemptTimeout(t *testing.T) {
	var calls atomic.Int32
	hang := func(ctx context.Context, _, _ string) (string, error) {
		if calls.Add(1) == 1 {
			<-ctx.Done()
			return "", ctx.Err()
		}
		return "ok", nil
	}
	for _, method := range []string{get, post} {
		a, b := serve(t, hang, nil), serve(t, hang, nil)
		c := dial(t, grpcwrap.Config{Config: resilience.Config{Settings: resilience.Settings{AttemptTimeout: 50 * time.Millisecond}}}, a.addr, b.addr)
		c.connected(t, 2)
		calls.Store(0)
		got, err := c.call(within(t, 500*time.Millisecond), method, "in")
		if method == get && (err != nil || got != "ok") {
			t.Errorf("%s: %q, %v: want it cut and made again", method, got, err)
		}
		if method == post {
			if e := failure(t, err); len(e.Attempts) != 1 || !e.Ambiguous() || status.Code(err) != codes.DeadlineExceeded || calls.Load() != 1 {
				t.Errorf("%s: %v: want one attempt to the caller's deadline", method, err)
			}
		}
	}
}

// A call that waits for a connection is sent nowhere, and may go elsewhere
// whatever it would do.
func TestWaitingIsCut(t *testing.T) {
	black := blackHole(t)
	n := serve(t, says("ok"), nil)
	c := dial(t, grpcwrap.Config{Config: resilience.Config{Settings: resilience.Settings{AttemptTimeout: 50 * time.Millisecond}}}, black)
	ctx, cancel := context.WithCancel(within(t, 5*time.Second))
	done := make(chan error)
	go func() {
		_, err := c.call(ctx, post, "in")
		done <- err
	}()
	cancel()
	if e := failure(t, <-done); e.Ambiguous() || e.Why != retry.Cancelled {
		t.Errorf("%v: want cancelled, not ambiguous", e)
	}
	c.res.UpdateState(state(black, n.addr))
	for range 10 {
		if got, err := c.call(within(t, 5*time.Second), post, "in"); err != nil || got != "ok" {
			t.Fatalf("%q, %v", got, err)
		}
	}
}

// Errors of Config, and of its use.
func TestConfig(t *testing.T) {
	bad := grpcwrap.Config{MaxPushback: -1, Config: resilience.Config{
		Settings: resilience.Settings{Attempts: -1},
		Fallback: func(context.Context, *resilience.Call, error) error { return nil },
	}}
	creds := grpc.WithTransportCredentials(insecure.NewCredentials())
	_, err := grpcwrap.New(bad)
	_, viaDial := grpc.NewClient("passthrough:///x", append(grpcwrap.DialOptions(bad), creds)...)
	for _, err := range []error{err, viaDial} {
		for _, want := range []string{"maxPushback", "attempts", "fallback"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: want it to name %s", err, want)
			}
		}
	}
	opts := append(grpcwrap.DialOptions(grpcwrap.Config{}), creds)
	cc, err := grpc.NewClient("passthrough:///x", opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	if _, err := grpc.NewClient("passthrough:///x", opts...); err == nil || !strings.Contains(err.Error(), "another") {
		t.Errorf("%v: want the second ClientConn refused", err)
	}
	// Another balancer after ours.
	cc2, err := grpc.NewClient("passthrough:///x", append(grpcwrap.DialOptions(grpcwrap.Config{}), creds,
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`))...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc2.Close() }()
	if err := cc2.Invoke(within(t, 5*time.Second), get, wrapperspb.String(""), new(wrapperspb.StringValue)); status.Code(err) != codes.Internal {
		t.Errorf("%v: want it refused", err)
	}
	if _, err := grpc.NewClient("passthrough:///x", creds, grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"holdfast":{}}]}`)); err == nil {
		t.Error("the balancer was configured by hand")
	}
}

// Nodes of Config.Nodes, with what they are: the target names no address.
func TestNodes(t *testing.T) {
	a, b := serve(t, says("a"), nil), serve(t, says("b"), nil)
	src := &source{}
	opts := append(grpcwrap.DialOptions(grpcwrap.Config{Config: resilience.Config{Nodes: src, Settings: resilience.Settings{Zone: "here"}}}),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	cc, err := grpc.NewClient("holdfast:///echo", opts...)
	if err != nil {
		t.Fatal(err)
	}
	src.report([]selector.Node{{ID: "one", Addr: a.addr, Zone: "here"}, {ID: "two", Addr: b.addr, Zone: "there"}}, nil)
	call := func() string {
		out := new(wrapperspb.StringValue)
		if err := cc.Invoke(within(t, 5*time.Second), post, wrapperspb.String("in"), out); err != nil {
			t.Fatal(err)
		}
		return out.GetValue()
	}
	eventually(t, "the node of our zone", func() bool { return call() == "a" })
	for range 10 {
		if got := call(); got != "a" {
			t.Errorf("%s: want the node of our zone", got)
		}
	}
	src.report(nil, errors.New("the source is down"))
	src.report([]selector.Node{{ID: "two", Addr: b.addr}}, nil)
	eventually(t, "the other node", func() bool { return call() == "b" })
	if err := cc.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the source to be closed", func() bool { return src.closed.Load() })
}

// source is a selector.Source by hand.
type source struct {
	report func([]selector.Node, error)
	closed atomic.Bool
}

func (s *source) Watch(report func([]selector.Node, error)) error {
	s.report = report
	return nil
}

func (s *source) Close() error {
	s.closed.Store(true)
	return nil
}

// A resolver that fails, and then does not; one that goes away.
func TestResolverFails(t *testing.T) {
	n := serve(t, says("ok"), nil)
	c := dial(t, grpcwrap.Config{}, n.addr)
	if _, err := c.call(within(t, 5*time.Second), post, "in"); err != nil {
		t.Fatal(err)
	}
	c.res.CC().ReportError(errors.New("the resolver is down"))
	c.res.UpdateState(state())
	if _, err := c.call(within(t, 5*time.Second), post, "in"); err != nil {
		t.Errorf("%v: want the last good set kept", err)
	}

	c = dial(t, grpcwrap.Config{})
	_, err := c.call(within(t, 5*time.Second), post, "in")
	if status.Code(err) != codes.Unavailable {
		t.Errorf("%v: want unavailable", err)
	}
	c.res.UpdateState(state(n.addr))
	if _, err := c.call(within(t, 5*time.Second), post, "in"); err != nil {
		t.Errorf("%v: want it to work when there are addresses", err)
	}
}
