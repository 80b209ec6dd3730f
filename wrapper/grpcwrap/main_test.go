package grpcwrap_test

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/wrapper/grpcwrap"
)

func TestMain(m *testing.M) {
	describe()
	if os.Getenv(serverEnv) != "" {
		serveAsProcess()
		return
	}
	leaktest.Main(m)
}

// The service that the tests call. What protobuf says of its methods comes
// from a descriptor, as generated code has one.
const (
	service = "holdfast.test.Echo"
	get     = "/" + service + "/Get"  // NO_SIDE_EFFECTS
	put     = "/" + service + "/Put"  // IDEMPOTENT
	post    = "/" + service + "/Post" // says nothing
	list    = "/" + service + "/List" // NO_SIDE_EFFECTS, streams from the server
	upload  = "/" + service + "/Upload"
	chat    = "/" + service + "/Chat" // IDEMPOTENT, streams both ways
)

var describe = sync.OnceFunc(func() {
	const value = ".google.protobuf.StringValue"
	method := func(name string, level descriptorpb.MethodOptions_IdempotencyLevel, client, server bool) *descriptorpb.MethodDescriptorProto {
		m := &descriptorpb.MethodDescriptorProto{
			Name: proto.String(name), InputType: proto.String(value), OutputType: proto.String(value),
			ClientStreaming: proto.Bool(client), ServerStreaming: proto.Bool(server),
		}
		if level != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN {
			m.Options = &descriptorpb.MethodOptions{IdempotencyLevel: level.Enum()}
		}
		return m
	}
	const (
		none       = descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
		safe       = descriptorpb.MethodOptions_NO_SIDE_EFFECTS
		idempotent = descriptorpb.MethodOptions_IDEMPOTENT
	)
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("holdfast/test/echo.proto"), Package: proto.String("holdfast.test"), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/wrappers.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: proto.String("Echo"),
			Method: []*descriptorpb.MethodDescriptorProto{
				method("Get", safe, false, false), method("Put", idempotent, false, false), method("Post", none, false, false),
				method("List", safe, false, true), method("Upload", none, true, false), method("Chat", idempotent, true, true),
			},
		}},
	}, protoregistry.GlobalFiles)
	if err == nil {
		err = protoregistry.GlobalFiles.RegisterFile(file)
	}
	if err != nil {
		panic(err)
	}
})

// handler answers unary calls, streams a stream's.
type (
	handler func(ctx context.Context, method, in string) (string, error)
	streams func(method string, s grpc.ServerStream) error
)

// echo makes the service.
func echo(h handler, s streams) *grpc.ServiceDesc {
	unary := func(name string) grpc.MethodDesc {
		return grpc.MethodDesc{MethodName: name, Handler: func(srv any, ctx context.Context, dec func(any) error, in grpc.UnaryServerInterceptor) (any, error) {
			req := new(wrapperspb.StringValue)
			if err := dec(req); err != nil {
				return nil, err
			}
			method := "/" + service + "/" + name
			serve := func(ctx context.Context, req any) (any, error) {
				out, err := h(ctx, method, req.(*wrapperspb.StringValue).GetValue())
				return wrapperspb.String(out), err
			}
			if in == nil {
				return serve(ctx, req)
			}
			return in(ctx, req, &grpc.UnaryServerInfo{Server: srv, FullMethod: method}, serve)
		}}
	}
	streaming := func(name string, client, server bool) grpc.StreamDesc {
		return grpc.StreamDesc{StreamName: name, ClientStreams: client, ServerStreams: server, Handler: func(_ any, stream grpc.ServerStream) error {
			return s("/"+service+"/"+name, stream)
		}}
	}
	return &grpc.ServiceDesc{
		ServiceName: service, HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{unary("Get"), unary("Put"), unary("Post")},
		Streams: []grpc.StreamDesc{streaming("List", false, true), streaming("Upload", true, false), streaming("Chat", true, true)},
	}
}

// node is a server in this process.
type node struct {
	*grpc.Server
	addr string
}

func serve(t testing.TB, h handler, s streams, opts ...grpc.ServerOption) *node {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{Server: grpc.NewServer(opts...), addr: l.Addr().String()}
	n.RegisterService(echo(h, s), struct{}{})
	var done sync.WaitGroup
	done.Go(func() { _ = n.Serve(l) })
	t.Cleanup(func() {
		n.Stop()
		done.Wait()
	})
	return n
}

// says is a handler that answers name.
func says(name string) handler {
	return func(context.Context, string, string) (string, error) { return name, nil }
}

// conn is a ClientConn under test and what a test wants of it.
type conn struct {
	*grpc.ClientConn
	client *grpcwrap.Client
	res    *manual.Resolver
}

// dial makes a ClientConn whose resolver says addrs, in turn.
func dial(t testing.TB, cfg grpcwrap.Config, addrs ...string) *conn {
	t.Helper()
	if cfg.Strategy == "" {
		cfg.Strategy = "round-robin"
	}
	if cfg.Backoff.Initial == 0 {
		cfg.Backoff.Initial = -1
	}
	client, err := grpcwrap.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := &conn{client: client, res: resolverOf(addrs...)}
	opts := append(client.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithResolvers(c.res))
	c.ClientConn, err = grpc.NewClient("test:///echo", opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.ClientConn.Close(); err != nil && status.Code(err) != codes.Canceled { // closed already
			t.Error(err)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// resolverOf is for targets "test:///", of which it says addrs.
func resolverOf(addrs ...string) *manual.Resolver {
	r := manual.NewBuilderWithScheme("test")
	r.InitialState(state(addrs...))
	return r
}

func state(addrs ...string) resolver.State {
	var s resolver.State
	for _, a := range addrs {
		s.Endpoints = append(s.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: a}}})
	}
	return s
}

// connected waits until that many nodes can take calls.
func (c *conn) connected(t testing.TB, n int) {
	t.Helper()
	c.Connect()
	eventually(t, "connections", func() bool {
		ready := 0
		for _, s := range c.client.Resilience().Selector().Nodes() {
			if !s.NotReady && !s.Ejected {
				ready++
			}
		}
		return ready == n && c.GetState() == connectivity.Ready // before, none is known to be not ready
	})
}

// call makes a unary call.
func (c *conn) call(ctx context.Context, method, in string, opts ...grpc.CallOption) (string, error) {
	out := new(wrapperspb.StringValue)
	err := c.Invoke(ctx, method, wrapperspb.String(in), out, opts...)
	return out.GetValue(), err
}

// failure is what a call came to.
func failure(t testing.TB, err error) *resilience.Error {
	t.Helper()
	var e *resilience.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v (%T): want a *resilience.Error", err, err)
	}
	return e
}

// eventually waits for what another goroutine or process is about to do.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatalf("not in 10 s: %s", what)
}

// deadAddr is an address where nobody listens.
func deadAddr(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// blackHole is an address that takes connections and says nothing: gRPC waits
// there for the server's settings.
func blackHole(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// bare is a ClientConn without us.
func bare(t testing.TB, addr string) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}
