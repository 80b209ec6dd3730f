package grpcwrap_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/wrapper/grpcwrap"
)

// counted is a context that lives on and counts what waits for its end.
type counted struct {
	context.Context
	done chan struct{}
	n    *atomic.Int64
}

func (c counted) Done() <-chan struct{} { return c.done }

func (c counted) AfterFunc(f func()) (stop func() bool) {
	c.n.Add(1)
	end := context.AfterFunc(c.Context, f)
	return func() bool {
		c.n.Add(-1)
		return end()
	}
}

// A stream that has ended at once, or has failed, leaves nothing with a context
// that outlives it.
func TestStreamLeavesNothing(t *testing.T) {
	for _, want := range []error{nil, status.Error(codes.Internal, "no")} {
		n := serve(t, nil, func(string, grpc.ServerStream) error { return want })
		waiting := new(atomic.Int64)
		counts := func(ctx context.Context) context.Context {
			return counted{ctx, make(chan struct{}), waiting}
		}
		wrap := func(next resilience.Func) resilience.Func {
			return func(ctx context.Context, call *resilience.Call) error { return next(counts(ctx), call) }
		}
		for name, cfg := range map[string]grpcwrap.Config{
			"the caller's": {}, "a wrapper's": {Config: resilience.Config{WrapAttempt: []resilience.Wrapper{wrap}}},
		} {
			c := dial(t, cfg, n.addr)
			c.connected(t, 1)
			ctx := within(t, 5*time.Second)
			if cfg.WrapAttempt == nil {
				ctx = counts(ctx)
			}
			if _, err := c.list(ctx, "a"); status.Code(err) != status.Code(want) {
				t.Errorf("%v, want %v", err, want)
			}
			eventually(t, name+" context without anybody waiting", func() bool { return waiting.Load() == 0 })
		}
	}
}
