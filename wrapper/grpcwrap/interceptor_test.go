package grpcwrap_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/wrapper/grpcwrap"
)

// An interceptor that gives up on an RPC and does not wait for its end leaves
// the call in doubt: it is not made again.
func TestImpatientInterceptor(t *testing.T) {
	begun, release := make(chan struct{}, 10), make(chan struct{})
	n := serve(t, func(context.Context, string, string) (string, error) {
		begun <- struct{}{}
		<-release
		return "ok", nil
	}, nil)
	client, err := grpcwrap.New(grpcwrap.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{}, 10)
	impatient := func(ctx context.Context, method string, req, _ any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		reply, first := new(wrapperspb.StringValue), make(chan error, 1)
		go func() {
			first <- next(ctx, method, req, reply, cc, opts...)
			ended <- struct{}{}
		}()
		select {
		case <-begun:
			return status.Error(codes.Unavailable, "too slow for me")
		case err := <-first:
			return err
		}
	}
	cc, err := grpc.NewClient("test:///echo", append(client.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithResolvers(resolverOf(n.addr)), grpc.WithChainUnaryInterceptor(impatient))...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	err = cc.Invoke(within(t, 5*time.Second), post, wrapperspb.String("a"), new(wrapperspb.StringValue))
	if e := failure(t, err); !resilience.IsAmbiguous(err) || len(e.Attempts) != 1 {
		t.Errorf("%v: %d attempts, want one, in doubt", err, len(e.Attempts))
	}
	close(release)
	<-ended
}
