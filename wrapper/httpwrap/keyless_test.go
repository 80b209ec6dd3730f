package httpwrap_test

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// TestKeyedNeedsAKey: neither a hint nor a setting makes a request repeatable
// by a key that is not there; a key in the request will do for both.
func TestKeyedNeedsAKey(t *testing.T) {
	t.Parallel()
	hinted := resilience.Hint{Idempotency: retry.Keyed}
	set := map[string]resilience.MethodSettings{"POST": {Idempotency: retry.Keyed}, "GET": {Idempotency: retry.Keyed}}
	for _, tt := range []struct {
		name    string
		method  string
		header  http.Header
		hint    resilience.Hint
		methods map[string]resilience.MethodSettings
		effects int64
		noKey   bool
	}{
		{"hint", "POST", nil, hinted, nil, 0, true},
		{"hint, of a GET", "GET", nil, hinted, nil, 0, true},
		{"hint, and an empty header", "POST", http.Header{"Idempotency-Key": {}}, hinted, nil, 0, true},
		{"hint, and the request's key", "POST", http.Header{"Idempotency-Key": {"k"}}, hinted, nil, 2, false},
		{"hint, and the request's other key", "POST", http.Header{"X-Idempotency-Key": {"k"}}, hinted, nil, 2, false},
		{"hint, and the key of a GET", "GET", http.Header{"Idempotency-Key": {"k"}}, hinted, nil, 2, false},
		{"setting", "POST", nil, resilience.Hint{}, set, 1, false},
		{"setting, of a GET", "GET", nil, resilience.Hint{}, set, 1, false},
		{"setting, and the request's key", "POST", http.Header{"Idempotency-Key": {"k"}}, resilience.Hint{}, set, 2, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var effects atomic.Int64
			n := http1.serve(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if effects.Add(1) == 1 {
					panic(http.ErrAbortHandler)
				}
			})
			tr := http1.newTransport(t, config{Services: with(settings{Methods: tt.methods})}, n.addr())
			req := requestWith(httpwrap.WithHint(t.Context(), tt.hint), t, tt.method, http1.url("/"), "")
			for k, v := range tt.header {
				req.Header[k] = v
			}
			got := send(t, tr, req)
			if effects.Load() != tt.effects || errors.Is(got.err, resilience.ErrNoKey) != tt.noKey || (got.err == nil) != (tt.effects == 2) {
				t.Errorf("%d effects, %v; want %d", effects.Load(), got.err, tt.effects)
			}
			if got.facts.Ambiguous != (tt.effects == 1) {
				t.Errorf("%+v", got.facts)
			}
		})
	}
}

// TestSecondVisitKeepsNoConnection: a retry that goes to the same node again
// takes a connection for itself alone.
func TestSecondVisitKeepsNoConnection(t *testing.T) {
	t.Parallel()
	var closing []bool
	n := http1.serve(t, func(w http.ResponseWriter, r *http.Request) {
		closing = append(closing, r.Close)
		if len(closing) < 3 {
			w.WriteHeader(500)
		}
	})
	tr := http1.newTransport(t, config{}, n.addr())
	if got := send(t, tr, request(t, "GET", http1.url("/"), "")); got.code != 200 {
		t.Fatal(got.code, got.err)
	}
	if len(closing) != 3 || closing[0] || !closing[1] || !closing[2] {
		t.Errorf("asked to close the connection: %v; want the retries to", closing)
	}
}
