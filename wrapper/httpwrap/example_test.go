package httpwrap_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// A wrapped http.Client: one of two instances is dead, and nobody notices.
func Example() {
	alive := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello from %s", r.Host)
	}))
	defer alive.Close()
	dead := "127.0.0.1:1"

	transport, err := httpwrap.NewService("users", dead, alive.Listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer transport.Close() //nolint:errcheck // its nodes are static
	client := &http.Client{Transport: transport}

	for range 3 {
		resp, err := client.Get("http://users/user/42") //nolint:noctx // the shortest form
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Println(resp.StatusCode, string(body))
	}
	// Output:
	// 200 hello from users
	// 200 hello from users
	// 200 hello from users
}

// Several services with settings of their own.
func ExampleNew() {
	transport, err := httpwrap.New(httpwrap.Config{
		Services: map[string]resilience.Config{
			"users": {Nodes: selector.Addrs("10.0.0.1:8080", "10.0.0.2:8080")},
			"orders:8443": {
				Nodes: selector.Static(selector.Node{Addr: "10.0.1.1:8443", Zone: "a"}, selector.Node{Addr: "10.0.1.2:8443", Zone: "b"}),
				Settings: resilience.Settings{
					Zone:           "a",
					AttemptTimeout: 250 * time.Millisecond,
					TrustRefusals:  true, // orders answers 503 only before it has done anything
					Methods: map[string]resilience.MethodSettings{
						"POST /search": {Idempotency: retry.Safe},
					},
				},
			},
		},
		Method: func(r *http.Request) string { return r.Method + " " + r.URL.Path },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer transport.Close() //nolint:errcheck // its nodes are static
	for _, node := range transport.Client("orders:8443").Selector().Nodes() {
		fmt.Println(node.Node, node.State)
	}
	// Output:
	// 10.0.1.1:8443 closed
	// 10.0.1.2:8443 closed
}

// What is known of a call that did not end well: may the payment have been
// made?
func ExampleResult() {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler) // the reply is lost
	}))
	defer server.Close()
	transport, err := httpwrap.NewService("payments", server.Listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer transport.Close() //nolint:errcheck // its nodes are static
	client := &http.Client{Transport: transport}

	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://payments/pay", http.NoBody)
	if err != nil {
		log.Fatal(err)
	}
	resp, err := client.Do(req)
	if err == nil {
		defer resp.Body.Close()
	}
	known := httpwrap.Result(resp, err)
	fmt.Println("attempts:", known.Attempts)
	fmt.Println("may have been carried out:", known.Ambiguous)
	fmt.Println("not tried again since:", known.Why)
	// Output:
	// attempts: 1
	// may have been carried out: true
	// not tried again since: not repeatable
}

// What the caller knows goes before what HTTP says: this POST is a search.
func ExampleWithHint() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Retry-Attempt") == "" {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer server.Close()
	transport, err := httpwrap.NewService("search", server.Listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer transport.Close() //nolint:errcheck // its nodes are static
	client := &http.Client{Transport: transport}

	for _, ctx := range []context.Context{
		context.Background(),
		httpwrap.WithHint(context.Background(), resilience.Safe("search")),
	} {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://search/", http.NoBody)
		if err != nil {
			log.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
		known := httpwrap.Result(resp, nil)
		fmt.Println(known.Method, resp.StatusCode, "attempts:", known.Attempts)
	}
	// Output:
	// POST 502 attempts: 1
	// search 200 attempts: 2
}

// A service in the middle: what it calls is retried within the budget of its
// own callers, as long as they are in its network.
func ExampleServe() {
	orders := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		// Calls through a holdfast client go here, with the request's context.
		fmt.Fprintln(w, "two orders")
	})
	ours := netip.MustParsePrefix("127.0.0.0/8")
	server := httptest.NewServer(httpwrap.Serve(orders, func(r *http.Request) bool {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		return err == nil && ours.Contains(peer.Addr())
	}))
	defer server.Close()

	resp, err := http.Get(server.URL) //nolint:noctx // the example's own server
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Printf("%s", body)
	// Output: two orders
}
