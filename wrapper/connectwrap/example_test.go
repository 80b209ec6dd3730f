package connectwrap_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/holdfast-go/holdfast/wrapper/connectwrap"
)

func Example() {
	// Two servers, of which one is gone.
	greet := func(_ context.Context, r *connect.Request[wrapperspb.StringValue]) (*connect.Response[wrapperspb.StringValue], error) {
		return connect.NewResponse(wrapperspb.String("hello " + r.Msg.GetValue())), nil
	}
	const procedure = "/acme.greet.v1.GreetService/Greet"
	server := httptest.NewServer(connect.NewUnaryHandler(procedure, greet))
	defer server.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()

	greeters, err := connectwrap.NewService("greeters", server.Listener.Addr().String(), gone.Listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = greeters.Close() }()

	// Generated constructors take the same: NewGreetServiceClient(greeters.HTTPClient(), "http://greeters", greeters.Option()).
	client := connect.NewClient[wrapperspb.StringValue, wrapperspb.StringValue](
		greeters.HTTPClient(), "http://greeters"+procedure, greeters.Option(),
		connect.WithIdempotency(connect.IdempotencyNoSideEffects), // generated code says it
	)
	for range 3 {
		resp, err := client.CallUnary(context.Background(), connect.NewRequest(wrapperspb.String("gopher")))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(resp.Msg.GetValue())
	}
	// Output:
	// hello gopher
	// hello gopher
	// hello gopher
}
