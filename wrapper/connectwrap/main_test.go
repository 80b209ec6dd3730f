package connectwrap_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/connectwrap"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

func TestMain(m *testing.M) {
	if os.Getenv(serverEnv) != "" {
		serveAsProcess()
		return
	}
	leaktest.Main(m)
}

// The procedures that the tests call.
const (
	get    = "/holdfast.test.Echo/Get"  // NO_SIDE_EFFECTS
	put    = "/holdfast.test.Echo/Put"  // IDEMPOTENT
	post   = "/holdfast.test.Echo/Post" // says nothing
	list   = "/holdfast.test.Echo/List" // NO_SIDE_EFFECTS, streams from the server
	upload = "/holdfast.test.Echo/Upload"
)

var levels = map[string]connect.IdempotencyLevel{
	get: connect.IdempotencyNoSideEffects, put: connect.IdempotencyIdempotent, list: connect.IdempotencyNoSideEffects,
}

// message is a request, or a response.
type message = wrapperspb.StringValue

type handler func(ctx context.Context, procedure, in string, h http.Header) (string, error)

// echo serves the procedures.
func echo(handle handler) *http.ServeMux {
	mux := http.NewServeMux()
	for _, procedure := range []string{get, put, post} {
		mux.Handle(procedure, connect.NewUnaryHandler(procedure, func(ctx context.Context, r *connect.Request[message]) (*connect.Response[message], error) {
			out, err := handle(ctx, procedure, r.Msg.GetValue(), r.Header())
			if err != nil {
				return nil, err
			}
			return connect.NewResponse(wrapperspb.String(out)), nil
		}, connect.WithIdempotency(levels[procedure])))
	}
	mux.Handle(list, connect.NewServerStreamHandler(list, func(ctx context.Context, r *connect.Request[message], s *connect.ServerStream[message]) error {
		for range 3 {
			out, err := handle(ctx, list, r.Msg.GetValue(), r.Header())
			if err != nil {
				return err
			}
			if err := s.Send(wrapperspb.String(out)); err != nil {
				return err
			}
		}
		return nil
	}, connect.WithIdempotency(levels[list])))
	mux.Handle(upload, connect.NewClientStreamHandler(upload, func(ctx context.Context, s *connect.ClientStream[message]) (*connect.Response[message], error) {
		all := ""
		for s.Receive() {
			all += s.Msg().GetValue()
		}
		if s.Err() != nil {
			return nil, s.Err()
		}
		out, err := handle(ctx, upload, all, s.RequestHeader())
		return connect.NewResponse(wrapperspb.String(out)), err
	}))
	return mux
}

// inClear is HTTP/1 and HTTP/2 without TLS.
func inClear() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	return p
}

// serve is a server within the test.
func serve(t testing.TB, h http.Handler) (addr string) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = inClear()
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// protocols are Connect's three.
var protocols = map[string][]connect.ClientOption{
	"connect": nil, "grpc": {connect.WithGRPC()}, "grpc-web": {connect.WithGRPCWeb()},
}

// newTransport is one for the service "users"; the gRPC protocol needs http2.
func newTransport(t testing.TB, http2 bool, sc resilience.Config, addrs ...string) *connectwrap.Transport {
	t.Helper()
	if sc.Nodes == nil {
		sc.Nodes = selector.Addrs(addrs...)
	}
	cfg := httpwrap.Config{Services: map[string]resilience.Config{"users": sc}}
	if http2 {
		base := new(http.Transport)
		base.Protocols = new(http.Protocols)
		base.Protocols.SetUnencryptedHTTP2(true)
		cfg.Base = base
	}
	x, err := connectwrap.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

// client calls a procedure.
func client(x *connectwrap.Transport, procedure string, options ...connect.ClientOption) *connect.Client[message, message] {
	options = append([]connect.ClientOption{connect.WithIdempotency(levels[procedure]), x.Option()}, options...)
	return connect.NewClient[message, message](x.HTTPClient(), "http://users"+procedure, options...)
}

func call(ctx context.Context, c *connect.Client[message, message], in string) (string, error) {
	resp, err := c.CallUnary(ctx, connect.NewRequest(wrapperspb.String(in)))
	if err != nil {
		return "", err
	}
	return resp.Msg.GetValue(), nil
}

// quick are settings without pauses.
var quick = resilience.Settings{Backoff: resilience.BackoffSettings{Initial: -1}}

const patience = 30 * time.Second
