package connectwrap

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// call is what interceptor and transport tell each other about one call.
type call struct {
	unary    bool
	deadline time.Time                      // the caller's; zero: none
	facts    atomic.Pointer[httpwrap.Facts] // what the transport knows in the end
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// begin adds to a context what Connect knows of the call. What the caller has
// said goes before it.
func begin(ctx context.Context, spec connect.Spec) (context.Context, *call) {
	c := new(call)
	c.deadline, _ = ctx.Deadline()
	hint := httpwrap.HintOf(ctx)
	if hint.Method == "" {
		hint.Method = spec.Procedure
	}
	hint.Default = hint.Default.Or(byLevel(spec.IdempotencyLevel))
	return context.WithValue(httpwrap.WithHint(ctx, hint), callKey{}, c), c
}

// byLevel is what a method's idempotency_level says:
// google.protobuf.MethodOptions.IdempotencyLevel.
func byLevel(level connect.IdempotencyLevel) retry.Idempotency {
	switch level {
	case connect.IdempotencyNoSideEffects:
		return retry.Safe
	case connect.IdempotencyIdempotent:
		return retry.Idempotent
	}
	return retry.Unspecified
}

// explained returns a call's error with what is known of its attempts. An error
// that came without a response tells already.
func (c *call) explained(err error) error {
	f := c.facts.Load()
	if err == nil || f == nil || len(f.History) == 0 {
		return err
	}
	var told *resilience.Error
	if errors.As(err, &told) {
		return err
	}
	return &resilience.Error{Service: f.Service, Method: f.Method, Key: f.Key, Why: f.Why, Attempts: f.History, Err: err}
}

// interceptor is the clients' side of it; handlers pass through.
type interceptor struct{}

// WrapUnary implements connect.Interceptor.
func (interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if !req.Spec().IsClient {
			return next(ctx, req)
		}
		ctx, c := begin(ctx, req.Spec())
		c.unary = true
		resp, err := next(ctx, req)
		return resp, c.explained(err)
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		ctx, c := begin(ctx, spec)
		return &stream{StreamingClientConn: next(ctx, spec), call: c}
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// stream explains a stream's errors.
type stream struct {
	connect.StreamingClientConn
	call *call
}

// Receive implements connect.StreamingClientConn.
func (s *stream) Receive(msg any) error {
	err := s.StreamingClientConn.Receive(msg)
	if errors.Is(err, io.EOF) {
		return err
	}
	return s.call.explained(err)
}
