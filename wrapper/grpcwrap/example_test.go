package grpcwrap_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/grpcwrap"
)

// A ClientConn with one line more: one of two instances is dead, and nobody
// notices.
func Example() {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	var serving sync.WaitGroup
	defer serving.Wait()
	defer server.Stop()
	serving.Go(func() { _ = server.Serve(listener) })

	// Nodes may come from any resolver ("dns:///users:50051"), or, as here, be
	// named: then the target is holdfast:///.
	cfg := grpcwrap.Config{Config: resilience.Config{Nodes: selector.Addrs("127.0.0.1:1", listener.Addr().String())}}
	creds := grpc.WithTransportCredentials(insecure.NewCredentials())
	conn, err := grpc.NewClient("holdfast:///users", append(grpcwrap.DialOptions(cfg), creds)...)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close() //nolint:errcheck // nothing to be done about it

	client := grpc_health_v1.NewHealthClient(conn)
	for range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		answer, err := client.Check(ctx, new(grpc_health_v1.HealthCheckRequest))
		cancel()
		fmt.Println(answer.GetStatus(), err)
	}
	// Output:
	// SERVING <nil>
	// SERVING <nil>
	// SERVING <nil>
}

// Nodes are what a name in DNS resolves to.
func ExampleDialOptions() {
	creds := grpc.WithTransportCredentials(insecure.NewCredentials())
	conn, err := grpc.NewClient("dns:///users:50051", append(grpcwrap.DialOptions(grpcwrap.Config{}), creds)...)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // nothing to be done about it
	fmt.Println(conn.Target())
	// Output: dns:///users:50051
}

// Settings of the service and of its methods, whose names are gRPC's.
func ExampleNew() {
	client, err := grpcwrap.New(grpcwrap.Config{
		Config: resilience.Config{
			Service: "users",
			Settings: resilience.Settings{
				AttemptTimeout: 250 * time.Millisecond,
				Methods: map[string]resilience.MethodSettings{
					"/users.Users/Search": {Idempotency: retry.Safe},
					"/users.Users/Export": {AttemptTimeout: -1, Attempts: 1},
				},
			},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	conn, err := grpc.NewClient("dns:///users:50051", append(client.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close() //nolint:errcheck // its nodes are the resolver's
	defer conn.Close()   //nolint:errcheck // nothing to be done about it
	fmt.Println(client.Resilience().Service(), client.Resilience().Settings().AttemptTimeout)
	// Output: users 250ms
}
