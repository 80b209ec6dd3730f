package grpcwrap_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/holdfast-go/holdfast/internal/overhead"
	"github.com/holdfast-go/holdfast/wrapper/grpcwrap"
)

// BenchmarkGRPC is a unary call over loopback to three nodes, by a bare
// ClientConn (round_robin), with default settings, of a method that must not be
// repeated, and without attempt timeouts:
//
//	go test -run '^$' -bench GRPC/p50 -benchtime 20000x -count 5 .
//
// stack=… measure one after the other. p50 takes turns, call by call and in
// random order, so that what else the machine does hits all; it reports the
// medians, and by how much they exceed the bare one. The servers are processes
// of their own, as servers are; with server=inside they are in ours, which
// hands requests over without the kernel's scheduler.
func BenchmarkGRPC(b *testing.B) {
	var outside, inside []string
	for range 3 {
		outside = append(outside, spawn(b, "127.0.0.1:0", "").addr)
		inside = append(inside, serve(b, says("ok"), nil).addr)
	}
	for _, deadline := range []string{"yes", "no"} {
		ways := ways(b, deadline == "yes", outside)
		for _, w := range ways {
			b.Run("stack="+w.Name+"/deadline="+deadline, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					w.Do(b)
				}
			})
		}
		b.Run("p50/server=outside/deadline="+deadline, func(b *testing.B) { overhead.P50(b, ways...) })
	}
	for _, deadline := range []string{"yes", "no"} {
		b.Run("p50/server=inside/deadline="+deadline, func(b *testing.B) { overhead.P50(b, ways(b, deadline == "yes", inside)...) })
	}
}

// ways begins with the bare one. Nothing is shared between them but the nodes.
func ways(b *testing.B, deadline bool, addrs []string) []overhead.Way {
	bare, err := grpc.NewClient("test:///echo", grpc.WithResolvers(resolverOf(addrs...)), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = bare.Close() })
	way := func(name, method string, cc grpc.ClientConnInterface) overhead.Way {
		in, out := wrapperspb.String("in"), new(wrapperspb.StringValue)
		return overhead.Way{Name: name, Do: func(b *testing.B) {
			ctx := context.Background()
			if deadline {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 10*time.Second)
				defer cancel()
			}
			if err := cc.Invoke(ctx, method, in, out); err != nil {
				b.Fatal(err)
			}
		}}
	}
	cut, uncut := grpcwrap.Config{}, grpcwrap.Config{}
	uncut.Settings.AttemptTimeout = -1
	all := []overhead.Way{way("bare", get, bare)}
	for _, w := range []struct {
		name, method string
		cfg          grpcwrap.Config
	}{{"holdfast", get, cut}, {"holdfast-unrepeatable", post, cut}, {"holdfast-uncut", get, uncut}} {
		c := dial(b, w.cfg, addrs...)
		c.connected(b, len(addrs))
		all = append(all, way(w.name, w.method, c))
	}
	return all
}
