package harness

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bedside is a hello with its ledger, over HTTP on a gate of its own.
type bedside struct {
	*Hello
	ledger string
	url    string
}

func newBedside(t *testing.T, node, effects string, s Service) *bedside {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	ledger, err := NewLedger(file)
	if err != nil {
		t.Fatal(err)
	}
	g, err := newGate(loopback + ":0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bedside{newHello(roleConfig{Node: Node{ID: node}, Service: s, Effects: effects}, ledger, g), path, "http://" + g.Addr().String()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = OverHTTP{}.Serve(g, b.Hello) // it ends when the gate is closed
	}()
	t.Cleanup(func() {
		_ = g.Close()
		<-done
	})
	return b
}

// kinds is what the ledger says of a request, in order.
func (b *bedside) kinds(t *testing.T, id string) (kinds string) {
	t.Helper()
	data, err := os.ReadFile(b.ledger)
	if err != nil {
		t.Fatal(err)
	}
	records, torn, err := ParseLedger(strings.NewReader(string(data)))
	if err != nil || torn > 0 {
		t.Fatal(torn, err)
	}
	for _, r := range records {
		if r.ID == id {
			kinds += string(r.Kind)
		}
	}
	return kinds
}

// call makes one request and returns the status, 0 if there was no answer, and
// whether the answer says that the connection will be closed.
func (b *bedside) call(t *testing.T, route Route, id, key string) (status int, closes bool) {
	t.Helper()
	client := newLoadClient()
	defer client.CloseIdleConnections()
	req, err := NewRequest(t.Context(), b.url, route, id)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set(IdempotencyKey, key)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, false
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Close
}

// What a hello does when it is well and when it is ill, as callers and as its
// ledger see it.
func TestHello(t *testing.T) {
	for _, c := range []struct {
		name    string
		illness Illness
		route   Route
		status  int
		ledger  string
	}{
		{"well, GET", Illness{}, Get, 200, "BE"},
		{"well, POST", Illness{}, Post, 200, "BAE"},
		{"well, the third method", Illness{}, List, 200, "BE"},
		{"its reply is lost", Illness{Lose: 1}, Post, 0, "BAU"},
		{"all fail", Illness{Errors: 1}, Get, 500, "BF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBedside(t, "a", "", Service{Mean: time.Millisecond})
			b.sicken(c.illness)
			if status, _ := b.call(t, c.route, "x1", ""); status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
			if got := b.kinds(t, "x1"); got != c.ledger {
				t.Errorf("ledger %q, want %q", got, c.ledger)
			}
			b.sicken(Illness{})
			if status, _ := b.call(t, c.route, "x2", ""); status != http.StatusOK {
				t.Errorf("cured: status %d", status)
			}
		})
	}
}

// Errors come before the effect and after it; both are answered alike.
func TestHelloFailsOnBothSidesOfItsEffect(t *testing.T) {
	b := newBedside(t, "a", "", Service{Mean: time.Millisecond})
	b.sicken(Illness{Errors: 1})
	seen := map[string]bool{}
	for _, id := range strings.Fields("p1 p2 p3 p4 p5 p6 p7 p8 p9 p10 p11 p12") {
		if status, _ := b.call(t, Post, id, ""); status != http.StatusInternalServerError {
			t.Errorf("status %d", status)
		}
		seen[b.kinds(t, id)] = true
	}
	if !seen["BF"] || !seen["BAF"] || len(seen) != 2 {
		t.Errorf("ledger %v, want both BF and BAF", seen)
	}
}

// A silent loss leaves the connection open: the caller hears nothing until it
// gives up.
func TestHelloLosesItsReplyInSilence(t *testing.T) {
	b := newBedside(t, "a", "", Service{Mean: time.Millisecond})
	b.sicken(Illness{Lose: 1, Silent: true})
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := b.Serve(ctx, Request{Route: Post, ID: "p1"})
		gone <- err
	}()
	if err := poll(t.Context(), "it was not carried out", func() (bool, error) { return b.kinds(t, "p1") == "BAU", nil }); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-gone:
		t.Fatalf("it answered: %v", err)
	default:
	}
	cancel()
	if err := <-gone; !errors.Is(err, ErrReplyLost) {
		t.Errorf("%v, want %v", err, ErrReplyLost)
	}
}

// With a key the effect is carried out once, whichever instance is asked.
func TestHelloKeepsKeys(t *testing.T) {
	effects := t.TempDir()
	s := Service{Mean: time.Millisecond}
	a, b := newBedside(t, "a", effects, s), newBedside(t, "b", effects, s)
	for _, h := range []*bedside{a, b, b} {
		if status, _ := h.call(t, Post, "p1", "k1"); status != http.StatusOK {
			t.Errorf("status %d", status)
		}
	}
	if got := a.kinds(t, "p1") + " " + b.kinds(t, "p1"); got != "BAE BPEBPE" {
		t.Errorf("ledgers %q, want one effect and two replays", got)
	}
	if status, _ := b.call(t, Post, "p2", "k/1"); status != http.StatusBadRequest {
		t.Errorf("a key that is a path: status %d, want 400", status)
	}
}

// Who finds no room is told so, and nothing is done.
func TestHelloIsOverloaded(t *testing.T) {
	b := newBedside(t, "a", "", Service{Mean: time.Millisecond, Workers: 1})
	b.queue.enter()
	if status, _ := b.call(t, Post, "p1", ""); status != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", status)
	}
	if got := b.kinds(t, "p1"); got != "BR" {
		t.Errorf("ledger %q, want BR", got)
	}
}

// While it drains, its health endpoint and its answers say so.
func TestHelloDrains(t *testing.T) {
	b := newBedside(t, "a", "", Service{Mean: time.Millisecond})
	health := func() int {
		client := newLoadClient()
		defer client.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+HealthPath, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := health(); got != http.StatusOK {
		t.Errorf("health %d, want 200", got)
	}
	if _, closes := b.call(t, Get, "g0", ""); closes {
		t.Error("it closes connections before it drains")
	}
	b.ending.Store(true)
	if got := health(); got != http.StatusServiceUnavailable {
		t.Errorf("health while it drains %d, want 503", got)
	}
	if status, closes := b.call(t, Get, "g1", ""); status != http.StatusOK || !closes {
		t.Errorf("status %d, closes %v; want 200 on a connection that ends", status, closes)
	}
}
