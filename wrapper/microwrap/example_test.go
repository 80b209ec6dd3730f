package microwrap_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"go-micro.dev/v5"
	"go-micro.dev/v5/client"
	mselector "go-micro.dev/v5/selector"
	"go-micro.dev/v5/transport"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/microwrap"
)

// One line makes a service's client resilient. Here one of the two nodes that
// the registry lists is not there.
func Example() {
	hello := greeter()
	defer hello.Close()
	registry := at(hello.Listener.Addr().String(), "127.0.0.1:1")

	cfg := microwrap.Config{Default: resilience.Config{Settings: resilience.Settings{
		Methods: map[string]resilience.MethodSettings{"Hello.Greet": {Idempotency: retry.Safe}},
	}}}
	if err := cfg.Validate(); err != nil {
		fmt.Println(err)
		return
	}
	service := micro.NewService(
		micro.Name("user"),
		micro.Client(client.NewClient(client.Selector(lister{registry}), client.Registry(registry))),
		micro.WrapClient(microwrap.New(cfg)), // the line
	)

	c := service.Client()
	for range 4 {
		var rsp Response
		if err := c.Call(context.Background(), c.NewRequest("hello", "Hello.Greet", &Request{ID: "gopher"}), &rsp); err != nil {
			fmt.Println(err)
		}
		fmt.Println(rsp.Node)
	}
	_ = c.(*microwrap.Client).Close()
	// Output:
	// hello-1
	// hello-1
	// hello-1
	// hello-1
}

// A call that must not be carried out twice carries a key, by which its server
// deduplicates, and can be resumed with it when it has ended in doubt.
func ExampleWithHint() {
	hello := greeter()
	defer hello.Close()
	registry := at(hello.Listener.Addr().String())
	c := microwrap.New(microwrap.Config{})(client.NewClient(client.Selector(lister{registry}), client.Registry(registry)))

	ctx := microwrap.WithHint(context.Background(), resilience.Keyed("", "order-17"))
	var rsp Response
	err := c.Call(ctx, c.NewRequest("hello", "Hello.Register", &Request{ID: "gopher"}), &rsp)
	if resilience.IsAmbiguous(err) {
		err = c.Call(ctx, c.NewRequest("hello", "Hello.Register", &Request{ID: "gopher"}), &rsp) // later, with the same key
	}
	fmt.Println(rsp.Key, err)
	_ = c.(*microwrap.Client).Close()
	// Output: order-17 <nil>
}

// Who keeps go-micro's own loop can replace its parts.
func ExampleNewTransport() {
	hello := greeter()
	defer hello.Close()
	registry := at(hello.Listener.Addr().String())

	t := microwrap.NewTransport(transport.NewHTTPTransport())
	s, err := microwrap.NewSelector(microwrap.SelectorConfig{Registry: registry})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Close() }()
	r, err := microwrap.NewRetries(microwrap.RetriesConfig{
		Methods: map[string]retry.Idempotency{"Hello.Greet": retry.Safe}, Selector: s,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	c := client.NewClient(
		client.Transport(t), client.WrapCall(t.WrapCall), client.PoolSize(0),
		client.Selector(s), client.Retries(2), client.Retry(r.Retry), client.Backoff(r.Backoff),
	)
	var rsp Response
	err = c.Call(context.Background(), c.NewRequest("hello", "Hello.Greet", &Request{ID: "gopher"}), &rsp)
	fmt.Println(rsp.Node, err)
	// Output: hello-1 <nil>
}

// Any go-micro registry tells any holdfast client where the nodes are.
func ExampleRegistrySource() {
	source := &microwrap.RegistrySource{
		Registry: at("10.0.0.1:80", "10.0.0.2:80"), Service: "hello",
		Filters: []mselector.Filter{mselector.FilterVersion("latest")},
	}
	s, err := selector.New(selector.Config{Source: source})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, n := range s.Nodes() {
		fmt.Println(n.Node.Addr)
	}
	fmt.Println(s.Close())
	// Output:
	// 10.0.0.1:80
	// 10.0.0.2:80
	// <nil>
}

// greeter answers as a go-micro server does.
func greeter() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(Response{Node: "hello-1", Key: r.Header.Get(microwrap.KeyName)})
	}))
}
