//go:build !race

package grpcwrap_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/holdfast-go/holdfast/wrapper/grpcwrap"
)

// TestAllocations: a call costs at most six more than over a bare ClientConn,
// and one if it must not be repeated, so that nobody will cut it. The server's
// count in both, for it is in this process.
func TestAllocations(t *testing.T) {
	n := serve(t, says("ok"), nil)
	wrapped := dial(t, grpcwrap.Config{}, n.addr)
	wrapped.connected(t, 1)
	cost := func(cc grpc.ClientConnInterface, method string, bounded bool) float64 {
		in, out := wrapperspb.String("in"), new(wrapperspb.StringValue)
		return testing.AllocsPerRun(2000, func() {
			ctx, cancel := t.Context(), context.CancelFunc(func() {})
			if bounded {
				ctx, cancel = context.WithTimeout(ctx, 10*time.Second)
			}
			defer cancel()
			if err := cc.Invoke(ctx, method, in, out); err != nil {
				t.Fatal(err)
			}
		})
	}
	for method, most := range map[string]float64{get: 6, post: 1} {
		for _, bounded := range []bool{false, true} {
			with, without := cost(wrapped, method, bounded), cost(bare(t, n.addr), method, bounded)
			t.Logf("%s, deadline %v: %v allocations, %v bare", method, bounded, with, without)
			if with-without > most {
				t.Errorf("%s, deadline %v: %v allocations, %v bare: want at most %v more", method, bounded, with, without, most)
			}
		}
	}
}
