package board_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/board"
	"github.com/holdfast-go/holdfast/selector"
)

// One board for the process, named as the Observer of each client, and mounted
// where the dashboard is told to look: …/holdfast/hystrix.stream.
func Example() {
	mux := http.NewServeMux()
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}

	b, err := board.New(board.Config{})
	if err != nil {
		log.Fatal(err)
	}
	mux.Handle("/holdfast/", b)
	server.RegisterOnShutdown(func() { _ = b.Close() }) // its streams never end by themselves

	client, err := resilience.New(resilience.Config{
		Service: "users", Nodes: selector.Addrs("10.0.0.1:8080", "10.0.0.2:8080"), Observer: b,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close() //nolint:errcheck // its nodes are static

	w := httptest.NewRecorder()
	server.Handler.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodHead, "/holdfast/hystrix.stream", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 200 text/event-stream
}

// What the board shows, for a program's own use.
func ExampleBoard_State() {
	b, err := board.New(board.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := resilience.New(resilience.Config{
		Service: "users", Nodes: selector.Addrs("10.0.0.1:8080", "10.0.0.2:8080"), Observer: b,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()
	if err := client.Selector().Eject("10.0.0.2:8080", "a new disk"); err != nil {
		fmt.Println(err)
		return
	}
	for _, service := range b.State().Services {
		for _, node := range service.Nodes {
			fmt.Println(service.Name, node.ID, "ejected:", node.Ejected)
		}
	}
	// Output:
	// users 10.0.0.1:8080 ejected: false
	// users 10.0.0.2:8080 ejected: true
}

// Who has the token may take a node out, and the log says that they did.
func ExampleBearerToken() {
	b, err := board.New(board.Config{Steer: board.BearerToken("ann", "a long and random token")})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := resilience.New(resilience.Config{Service: "users", Nodes: selector.Addrs("10.0.0.1:8080", "10.0.0.2:8080"), Observer: b})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close() //nolint:errcheck // its nodes are static

	order := `{"service":"users","node":"10.0.0.2:8080","do":"eject","why":"its disk is full"}`
	for _, token := range []string{"a guess", "a long and random token"} {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/holdfast/steer", strings.NewReader(order))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	log := b.State().Log
	last := log[len(log)-1]
	fmt.Println(last.Who, last.Did, last.Node, last.Why)
	// Output:
	// 401
	// 204
	// ann eject 10.0.0.2:8080 its disk is full
}
