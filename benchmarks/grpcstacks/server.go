package main

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/grpcsettings"
)

// overGRPC is hello as a grpc-go server, the same for both stacks. A reply is
// lost, as over HTTP, with its connection: here with all that is under way on
// it.
type overGRPC struct{}

// Serve implements harness.Stack. gRPC's connections live on, so a server that
// takes no more says so by GOAWAY: GracefulStop, and another one when it does
// again.
func (overGRPC) Serve(l net.Listener, hello *harness.Hello) error {
	shared := &acceptor{Listener: l, conns: make(chan net.Conn)}
	go shared.run()
	for {
		server := grpc.NewServer()
		server.RegisterService(service(hello), struct{}{})
		turn := &turn{acceptor: shared, closed: make(chan struct{})}
		go func() {
			for hello.Open() {
				<-time.After(2 * time.Millisecond)
			}
			server.GracefulStop()
		}()
		if err := server.Serve(turn); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			return err
		}
		for !hello.Open() { // for good, if it drains: the process ends
			<-time.After(2 * time.Millisecond)
		}
	}
}

// acceptor takes the connections for one server after the other.
type acceptor struct {
	net.Listener
	conns chan net.Conn
}

func (a *acceptor) run() {
	for {
		c, err := a.Accept()
		if err != nil {
			return // the process ends
		}
		a.conns <- c
	}
}

// turn is the listener of one server.
type turn struct {
	*acceptor
	once   sync.Once
	closed chan struct{}
}

// Accept implements net.Listener.
func (t *turn) Accept() (net.Conn, error) {
	select {
	case c := <-t.conns:
		return c, nil
	case <-t.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. The port is the harness's.
func (t *turn) Close() error {
	t.once.Do(func() { close(t.closed) })
	return nil
}

func service(hello *harness.Hello) *grpc.ServiceDesc {
	method := func(name string, route harness.Route) grpc.MethodDesc {
		return grpc.MethodDesc{MethodName: name, Handler: func(_ any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.StringValue)
			if err := dec(in); err != nil {
				return nil, err
			}
			node, err := answer(ctx, hello, route, in.GetValue())
			if err != nil {
				return nil, err
			}
			return wrapperspb.String(node), nil
		}}
	}
	return &grpc.ServiceDesc{
		ServiceName: grpcsettings.Service, HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{method("Get", harness.Get), method("Register", harness.Post), method("List", harness.List)},
	}
}

func answer(ctx context.Context, hello *harness.Hello, route harness.Route, id string) (string, error) {
	req := harness.Request{Route: route, ID: id, Attempt: 1}
	if p, ok := peer.FromContext(ctx); ok {
		req.Peer = p.Addr.String()
	}
	// Both clients say so: grpc-go's own retries, and ours.
	if values := metadata.ValueFromIncomingContext(ctx, "grpc-previous-rpc-attempts"); len(values) == 1 {
		if n, err := strconv.Atoi(values[0]); err == nil {
			req.Attempt = n + 1
		}
	}
	done := hello.Multiplexed(req.Peer)
	node, err := hello.Serve(ctx, req)
	done()
	switch {
	case err == nil:
		return node, nil
	case errors.Is(err, harness.ErrOverloaded):
		return "", status.Error(codes.Unavailable, err.Error()) // HTTP's 503
	case errors.Is(err, harness.ErrFailed):
		return "", status.Error(codes.Unavailable, err.Error()) // HTTP's 500, by the one code that is retried
	}
	return "", status.Error(codes.InvalidArgument, err.Error())
}
