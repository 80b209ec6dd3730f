package main

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/grpcsettings"
)

// caller makes calls over a ClientConn.
type caller struct{ conn *grpc.ClientConn }

var methods = map[harness.Route]string{harness.Get: grpcsettings.Get, harness.Post: grpcsettings.Post, harness.List: grpcsettings.List}

// Do implements harness.Client.
func (c caller) Do(ctx context.Context, route harness.Route, id string) (string, error) {
	out := new(wrapperspb.StringValue)
	err := c.conn.Invoke(ctx, methods[route], wrapperspb.String(id), out)
	return out.GetValue(), err
}

// Ambiguous implements harness.Client: gRPC does not tell.
func (caller) Ambiguous(error) bool { return false }

// Close implements harness.Client.
func (c caller) Close() error { return c.conn.Close() }

var plaintext = grpc.WithTransportCredentials(insecure.NewCredentials())

func info(name string) harness.Info {
	i := grpcsettings.Infos[name]
	return harness.Info{What: i[0], Config: i[1]}
}
