package httpwrap

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

type headerKey struct{}

// TestHeader: what Config.Header adds comes with each attempt, from that
// attempt's context, and does not stay in the caller's request.
func TestHeader(t *testing.T) {
	var mu sync.Mutex
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Header.Get("X-Attempt")+" "+r.Header.Get("X-Own"))
		if len(got) < 3 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	number := func(next resilience.Func) resilience.Func {
		return func(ctx context.Context, call *resilience.Call) error {
			return next(context.WithValue(ctx, headerKey{}, string(rune('0'+call.Attempt))), call)
		}
	}
	transport, err := New(Config{
		Services: map[string]resilience.Config{"users": {
			Nodes:       selector.Addrs(server.Listener.Addr().String()),
			Settings:    resilience.Settings{Backoff: resilience.BackoffSettings{Initial: -1}},
			WrapAttempt: []resilience.Wrapper{number},
		}},
		Header: func(ctx context.Context, h http.Header) {
			n, _ := ctx.Value(headerKey{}).(string)
			h.Set("X-Attempt", n)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = transport.Close() }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://users/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Own", "x")
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if want := []string{"1 x", "2 x", "3 x"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(req.Header) != 1 {
		t.Errorf("the caller's header became %v", req.Header)
	}
}
