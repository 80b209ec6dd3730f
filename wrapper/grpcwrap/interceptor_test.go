package grpcwrap_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
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

// silenced hands out its first connection only; nobody speaks on the others.
type silenced struct {
	net.Listener
	first atomic.Pointer[net.Conn]
}

func (l *silenced) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.first.CompareAndSwap(nil, &conn) {
			return conn, nil
		}
		defer conn.Close()
	}
}

// An attempt that cannot be cut, for it goes out at once, does not wait for
// another connection when its own is lost meanwhile.
func TestConnectionLostMeanwhile(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	once := &silenced{Listener: l}
	server := grpc.NewServer()
	server.RegisterService(echo(says("lost"), nil), struct{}{})
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(once) })
	defer serving.Wait()
	defer server.Stop()

	other := serve(t, says("other"), nil)
	client, err := grpcwrap.New(grpcwrap.Config{Config: resilience.Config{Settings: resilience.Settings{AttemptTimeout: time.Second}}})
	if err != nil {
		t.Fatal(err)
	}
	// lost: the other has a connection, the first has none any more.
	lost := func() bool {
		nodes := client.Resilience().Selector().Nodes()
		for _, s := range nodes {
			if s.NotReady != (s.Node.Addr == l.Addr().String()) {
				return false
			}
		}
		return len(nodes) == 2
	}
	res := resolverOf(l.Addr().String())
	lose := false
	loses := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if lose {
			lose = false
			_ = (*once.first.Load()).Close()
			res.UpdateState(state(l.Addr().String(), other.addr))
			eventually(t, "the connection to be lost", lost)
		}
		return next(ctx, method, req, reply, cc, opts...)
	}
	cc, err := grpc.NewClient("test:///echo", append(client.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithResolvers(res), grpc.WithChainUnaryInterceptor(loses))...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	for _, want := range []string{"lost", "other"} {
		out := new(wrapperspb.StringValue)
		if err := cc.Invoke(within(t, 5*time.Second), post, wrapperspb.String("a"), out); err != nil || out.GetValue() != want {
			t.Fatalf("%q, %v: want %q", out.GetValue(), err, want)
		}
		lose = true
	}
}
