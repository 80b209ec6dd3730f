package harness

import (
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
)

// A refusing gate ends what it has begun, closes what is idle, takes no new
// connection, and comes back on its port.
func TestGate(t *testing.T) {
	g, err := newGate(loopback + ":0")
	if err != nil {
		t.Fatal(err)
	}
	begun, finish := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		_, _ = io.WriteString(w, "finished")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "quick") })
	served := make(chan error, 1)
	go func() { served <- ServeHTTP(g, mux) }()
	base := "http://" + g.Addr().String()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()

	idle, err := net.Dial("tcp", g.Addr().String()) //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	if got := get(t, client, base+"/"); got != "quick" { // so the idle connection has been accepted too
		t.Fatalf("got %q", got)
	}
	slow := make(chan string, 1)
	go func() { slow <- get(t, client, base+"/slow") }()
	<-begun

	if err := g.refuse(); err != nil {
		t.Fatal(err)
	}
	if err := refused(t.Context(), g.Addr().String()); err != nil {
		t.Error("while it refuses:", err)
	}
	if n, err := idle.Read(make([]byte, 1)); err == nil {
		t.Errorf("the idle connection is open: read %d bytes", n)
	}
	close(finish)
	if got := <-slow; got != "finished" {
		t.Errorf("the request under way got %q", got)
	}
	resp, err := client.Get(base + "/") //nolint:noctx,bodyclose // refused
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after the request under way: %v, %v; want connection refused", resp, err)
	}

	if err := g.admit(); err != nil {
		t.Fatal(err)
	}
	if got := get(t, client, base+"/"); got != "quick" {
		t.Errorf("back: got %q", got)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		t.Errorf("served: %v, want %v", err, net.ErrClosed)
	}
}

func get(t *testing.T, client *http.Client, url string) string {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Error(err)
		return ""
	}
	resp, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}
