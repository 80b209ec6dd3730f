package httpwrap_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// The README's snippet.
func Example_readme() {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	addrs := []string{"127.0.0.1:1", server.Listener.Addr().String()} // the first is dead

	transport, err := httpwrap.NewService("users", addrs...) // "10.0.0.1:8080", "10.0.0.2:8080", …
	if err != nil {
		log.Fatal(err)
	}
	defer transport.Close() //nolint:errcheck // its nodes are static
	client := &http.Client{Transport: transport}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://users/user/42", nil)
	if err != nil {
		log.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 404 Not Found
}
