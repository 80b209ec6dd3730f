package httpwrap

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// TestStatusHook: what a response stands for is judged, and the response stays
// as it is.
func TestStatusHook(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) < 3 {
			w.Header().Set("X-Real-Status", "bad")
		}
	}))
	defer server.Close()
	transport, err := New(Config{
		Services: map[string]resilience.Config{"users": {
			Nodes:    selector.Addrs(server.Listener.Addr().String()),
			Settings: resilience.Settings{Attempts: 2, Backoff: resilience.BackoffSettings{Initial: -1}},
		}},
		Status: func(resp *http.Response) int {
			if resp.Header.Get("X-Real-Status") != "" {
				return http.StatusServiceUnavailable
			}
			return resp.StatusCode
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = transport.Close() }()
	get := func() (code int, facts Facts) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://users/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode, Result(resp, nil)
	}
	if code, f := get(); code != http.StatusOK || f.Attempts != 2 || !f.Ambiguous {
		t.Errorf("%d, %+v: want 200, after two attempts, in doubt", code, f)
	}
	if _, f := get(); f.Attempts != 1 || f.Ambiguous {
		t.Errorf("%+v: want a success", f)
	}
}
