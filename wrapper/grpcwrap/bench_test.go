package grpcwrap_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/holdfast-go/holdfast/wrapper/grpcwrap"
)

// BenchmarkGRPC is a unary call over loopback, bare (round_robin) and wrapped:
//
//	go test -run '^$' -bench GRPC -count 10 . | benchstat -col /stack -
func BenchmarkGRPC(b *testing.B) {
	nodes := []*node{serve(b, says("ok"), nil), serve(b, says("ok"), nil), serve(b, says("ok"), nil)}
	addrs := []string{nodes[0].addr, nodes[1].addr, nodes[2].addr}
	bare := func(b *testing.B) grpc.ClientConnInterface {
		res := resolverOf(addrs...)
		cc, err := grpc.NewClient("test:///echo", grpc.WithResolvers(res), grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = cc.Close() })
		return cc
	}
	wrapped := func(b *testing.B) grpc.ClientConnInterface {
		c := dial(b, grpcwrap.Config{}, addrs...)
		c.connected(b, 3)
		return c
	}
	for _, stack := range []struct {
		name string
		dial func(*testing.B) grpc.ClientConnInterface
	}{{"bare", bare}, {"holdfast", wrapped}} {
		for _, deadline := range []string{"no", "yes"} {
			call := func(b *testing.B, cc grpc.ClientConnInterface, in, out *wrapperspb.StringValue) {
				ctx := b.Context()
				if deadline == "yes" {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, 10*time.Second)
					defer cancel()
				}
				if err := cc.Invoke(ctx, get, in, out); err != nil {
					b.Error(err)
				}
			}
			name := "stack=" + stack.name + "/deadline=" + deadline
			b.Run(name+"/mode=serial", func(b *testing.B) {
				cc, in, out := stack.dial(b), wrapperspb.String("in"), new(wrapperspb.StringValue)
				call(b, cc, in, out)
				b.ReportAllocs()
				for b.Loop() {
					call(b, cc, in, out)
				}
			})
			b.Run(name+"/mode=parallel", func(b *testing.B) {
				cc := stack.dial(b)
				call(b, cc, wrapperspb.String("in"), new(wrapperspb.StringValue))
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					in, out := wrapperspb.String("in"), new(wrapperspb.StringValue)
					for pb.Next() {
						call(b, cc, in, out)
					}
				})
			})
		}
	}
}
