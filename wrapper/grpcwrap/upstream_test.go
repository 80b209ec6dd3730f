package grpcwrap_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/wrapper/grpcwrap"
)

func always(context.Context, string) bool { return true }

// Three real layers of three attempts, the bottom down: what reaches it stays
// within the first layer's budget, a fifth of what succeeded, but for what
// those in flight at its end did not know of each other. Without
// ServerOptions it does not.
func TestLayersDoNotMultiply(t *testing.T) {
	const healthy, ill, share = 800, 800, 0.2
	for _, coordinated := range []bool{true, false} {
		t.Run("coordinated="+strconv.FormatBool(coordinated), func(t *testing.T) {
			var bottom atomic.Int64
			var down atomic.Bool
			addrs := make([]string, 2)
			for i := range addrs {
				addrs[i] = serve(t, func(context.Context, string, string) (string, error) {
					if bottom.Add(1); down.Load() {
						return "", status.Error(codes.Unavailable, "down")
					}
					return "ok", nil
				}, nil).addr
			}
			client := func(addrs []string) *conn {
				// No fixed allowance, whose size would depend on how long the test
				// takes, and no retries because the machine is busy.
				c := dial(t, grpcwrap.Config{Config: resilience.Config{Settings: resilience.Settings{
					Budget:   resilience.BudgetSettings{Floor: -1},
					Ejection: resilience.EjectionSettings{IgnoreSilence: true},
				}}}, addrs...)
				c.connected(t, len(addrs))
				return c
			}
			for range 2 {
				below := client(addrs)
				h := func(ctx context.Context, method, in string) (string, error) { return below.call(ctx, method, in) }
				var opts []grpc.ServerOption
				if coordinated {
					opts = grpcwrap.ServerOptions(always)
				}
				addrs = []string{serve(t, h, nil, opts...).addr, serve(t, h, nil, opts...).addr}
			}
			edge := client(addrs)
			load := func(n int) (failed int64) {
				var bad atomic.Int64
				for range n / 8 {
					var all sync.WaitGroup
					for range 8 {
						all.Go(func() {
							if _, err := edge.call(within(t, 10*time.Second), get, "in"); err != nil {
								bad.Add(1)
							}
						})
					}
					all.Wait()
				}
				return bad.Load()
			}
			if failed := load(healthy); failed != 0 || bottom.Load() != healthy {
				t.Fatalf("healthy: %d failed, %d at the bottom; want 0 and %d", failed, bottom.Load(), healthy)
			}
			bottom.Store(0)
			down.Store(true)
			if failed := load(ill); failed != ill {
				t.Fatalf("%d failed of %d with the bottom down", failed, ill)
			}
			extra := bottom.Load() - ill
			t.Logf("%d requests, %d attempts at the bottom: %.2f", ill, bottom.Load(), float64(bottom.Load())/ill)
			switch most := int64(share*healthy + 8*2); {
			case extra <= 0:
				t.Error("no retry reached the bottom: the bound means nothing")
			case coordinated && extra > most:
				t.Errorf("%d retries at the bottom, want at most %d, the first layer's budget", extra, most)
			case !coordinated && extra <= most:
				t.Errorf("%d retries at the bottom: within the bound of %d, which then shows nothing", extra, most)
			}
		})
	}
}

// Who is trusted is believed and told, unary and streaming; nobody else.
func TestServerOptions(t *testing.T) {
	for _, row := range []struct {
		name             string
		trusted          func(context.Context, string) bool
		credit, previous string
		attempts         int // that were made below
		spent            string
	}{
		{name: "nothing is said", trusted: always, attempts: 3, spent: "2"},
		{name: "credit", trusted: always, credit: "1", attempts: 2, spent: "1"},
		{name: "no credit", trusted: always, credit: "0", attempts: 1},
		{name: "no number", trusted: always, credit: "-1", attempts: 1},
		{name: "a long number", trusted: always, credit: "99999999999999999999", attempts: 1},
		{name: "a retry", trusted: always, previous: "1", attempts: 3, spent: "2"},
		{name: "a stranger", trusted: func(context.Context, string) bool { return false }, credit: "0", attempts: 3},
		{name: "nobody is trusted", credit: "0", attempts: 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			var attempts atomic.Int32
			bottom := serve(t, func(ctx context.Context, _, _ string) (string, error) {
				attempts.Add(1)
				md, _ := metadata.FromIncomingContext(ctx)
				if len(md["x-retry-credit"]) > 1 || len(md["grpc-previous-rpc-attempts"]) > 1 {
					t.Errorf("%v: said twice", md)
				}
				return "", status.Error(codes.Unavailable, "down")
			}, nil)
			below := dial(t, grpcwrap.Config{}, bottom.addr)
			fail := func(ctx context.Context) error {
				md, _ := metadata.FromIncomingContext(ctx)
				_, err := below.call(metadata.NewOutgoingContext(ctx, md.Copy()), get, "in") // as a proxy does
				return err
			}
			n := serve(t, func(ctx context.Context, _, _ string) (string, error) { return "", fail(ctx) },
				func(_ string, s grpc.ServerStream) error { return fail(s.Context()) }, grpcwrap.ServerOptions(row.trusted)...)
			cc := bare(t, n.addr)
			ctx := within(t, 5*time.Second)
			if row.credit != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, "x-retry-credit", row.credit)
			}
			if row.previous != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, "grpc-previous-rpc-attempts", row.previous)
			}
			check := func(kind string, trailer metadata.MD) {
				if got := int(attempts.Swap(0)); got != row.attempts {
					t.Errorf("%s: %d attempts below, want %d", kind, got, row.attempts)
				}
				if got := trailer["x-retry-spent"]; (row.spent == "") != (len(got) == 0) || row.spent != "" && got[0] != row.spent {
					t.Errorf("%s: spent %v, want %q", kind, got, row.spent)
				}
			}
			var trailer metadata.MD
			if err := cc.Invoke(ctx, get, wrapperspb.String("in"), new(wrapperspb.StringValue), grpc.Trailer(&trailer)); err == nil {
				t.Error("no error")
			}
			check("unary", trailer)
			s, err := cc.NewStream(ctx, listDesc, list)
			if err != nil {
				t.Fatal(err)
			}
			_ = s.SendMsg(wrapperspb.String("in"))
			if _, err := drain(s); err == nil {
				t.Error("no error")
			}
			check("stream", s.Trailer())
		})
	}
}

// A client whose budget is low says what may be spent, one whose budget is
// full does not; and a proxy's copy of its caller's word is not passed on.
func TestCreditIsSaid(t *testing.T) {
	said := make(chan []string, 1)
	n := serve(t, func(ctx context.Context, _, _ string) (string, error) {
		said <- metadata.ValueFromIncomingContext(ctx, "x-retry-credit")
		return "ok", grpc.SetTrailer(ctx, metadata.Pairs("x-retry-spent", "1"))
	}, nil)
	for floor, want := range map[float64]string{1e-9: "[0]", 0: "[]"} { // one retry is saved up, or 20
		c := dial(t, grpcwrap.Config{Config: resilience.Config{Settings: resilience.Settings{Budget: resilience.BudgetSettings{Share: floor, Floor: floor}}}}, n.addr)
		ctx := metadata.AppendToOutgoingContext(within(t, 5*time.Second), "x-retry-credit", "7")
		var got []string
		for range 2 { // the first one's server has spent what there was
			if _, err := c.call(ctx, get, "in"); err != nil {
				t.Fatal(err)
			}
			got = <-said
		}
		if fmt.Sprint(got) != want {
			t.Errorf("floor %v: credit %s, want %s", floor, got, want)
		}
	}
}
