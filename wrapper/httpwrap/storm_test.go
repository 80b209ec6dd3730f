package httpwrap_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// warmH2 is a server that knows one request well, the first, and answers the
// others by answer, k counted from 1.
func warmH2(t *testing.T, answer func(c *rawConn, stream uint32, k int)) *rawH2 {
	t.Helper()
	return newRawH2(t, func(c *rawConn, stream uint32, k int) {
		if k == 1 {
			c.ok(stream)
			return
		}
		answer(c, stream, k-1)
	})
}

// TestHTTP2UnkeyedIsNotReplayed: net/http sends a request without a body again
// and again when the server acts upon it and resets the stream by
// PROTOCOL_ERROR. Only what is safe may be, and no more than three times.
func TestHTTP2UnkeyedIsNotReplayed(t *testing.T) {
	t.Parallel()
	unsafe := resilience.Unsafe("launch")
	for _, tt := range []struct {
		name, method string
		hint         resilience.Hint
		warm         bool
	}{
		{"POST", "POST", resilience.Hint{}, true},
		{"POST on a node that is not known", "POST", resilience.Hint{}, false},
		{"PATCH", "PATCH", resilience.Hint{}, true},
		{"unsafe GET", "GET", unsafe, true},
		{"unsafe PUT", "PUT", unsafe, true},
		{"unsafe GET on a node that is not known", "GET", unsafe, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := warmH2(t, func(c *rawConn, stream uint32, _ int) { c.reset(stream, codeProtocol) })
			tr := h2c.newTransport(t, config{}, s.addr)
			if !tt.warm {
				s = newRawH2(t, func(c *rawConn, stream uint32, _ int) { c.reset(stream, codeProtocol) })
				base := &bridge{h2c.base()}
				defer base.CloseIdleConnections()
				tr = h2c.newTransport(t, config{Base: base}, s.addr)
				s.requests.Add(1)
			} else {
				send(t, tr, request(t, "GET", http1.url("/"), ""))
			}
			ctx, cancel := context.WithTimeout(httpwrap.WithHint(t.Context(), tt.hint), time.Minute)
			defer cancel()
			got := send(t, tr, requestWith(ctx, t, tt.method, http1.url("/"), ""))
			if n := s.requests.Load() - 1; n != 1 || got.facts.Attempts != 1 || got.facts.Replays != 0 || !resilience.IsAmbiguous(got.err) {
				t.Errorf("%d effects, %d attempts, %d replays, %v; want one, and doubt", n, got.facts.Attempts, got.facts.Replays, got.err)
			}
		})
	}
}

// TestHTTP2EmptyBodyKeepsEvidence: a POST without a body that was refused goes
// elsewhere.
func TestHTTP2EmptyBodyKeepsEvidence(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(c *rawConn, stream uint32, k int){
		"refused stream": func(c *rawConn, stream uint32, _ int) { c.reset(stream, codeRefused) },
		"goaway":         func(c *rawConn, _ uint32, _ int) { c.goAway(1, codeNo) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ill := warmH2(t, refuse)
			well := newRawH2(t, func(c *rawConn, stream uint32, _ int) { c.ok(stream) })
			events := new(recorder)
			tr := h2c.newTransport(t, config{Services: services{host: {Observer: events}}}, ill.addr, well.addr)
			for range 2 {
				send(t, tr, request(t, "GET", http1.url("/"), ""))
			}
			got := send(t, tr, request(t, "POST", http1.url("/"), ""))
			if got.err != nil || got.facts.Attempts != 2 || ill.requests.Load() != 2 || well.requests.Load() != 2 {
				t.Errorf("%v, %+v; want a second attempt, elsewhere", got.err, got.facts)
			}
			if first := events.of(resilience.AttemptDone)[2]; first.Outcome.Effect != retry.None {
				t.Errorf("%v: %v, want not sent", first.Err, first.Outcome)
			}
		})
	}
}

// bridge is a RoundTripper of the user's around net/http, as tracing has them.
type bridge struct{ *http.Transport }

// dropper acts and drops the connection, but for the path /warm.
func dropper(t *testing.T, effects *atomic.Int64) *node {
	return http1.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/warm" {
			effects.Add(1)
			panic(http.ErrAbortHandler)
		}
	})
}

// TestWrappedBaseIsWatched: net/http replays under a RoundTripper of the
// user's as well.
func TestWrappedBaseIsWatched(t *testing.T) {
	t.Parallel()
	var effects atomic.Int64
	n := dropper(t, &effects)
	base := bridge{http1.base()}
	tr := http1.newTransport(t, config{Base: base}, n.addr())
	send(t, tr, request(t, "GET", http1.url("/warm"), ""))
	ctx := httpwrap.WithHint(t.Context(), resilience.Unsafe("click"))
	got := send(t, tr, requestWith(ctx, t, "GET", http1.url("/act"), ""))
	if effects.Load() != 1 || !resilience.IsAmbiguous(got.err) || !strings.Contains(got.err.Error(), "by itself") {
		t.Errorf("%d effects of one unsafe call, %v; want one, and doubt", effects.Load(), got.err)
	}
}

// TestWrappedBaseMayAskTwice: a RoundTripper that answers a challenge sends a
// second request, which is no replay.
func TestWrappedBaseMayAskTwice(t *testing.T) {
	t.Parallel()
	n := http1.serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	base := bridge{http1.base()}
	auth := roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := base.RoundTrip(r)
		if err != nil || resp.StatusCode != http.StatusUnauthorized {
			return resp, err
		}
		resp.Body.Close()
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "x")
		return base.RoundTrip(r)
	})
	tr := http1.newTransport(t, config{Base: auth}, n.addr())
	t.Cleanup(base.CloseIdleConnections)
	for _, method := range []string{"POST", "GET"} {
		ctx := httpwrap.WithHint(t.Context(), resilience.Unsafe("click"))
		if got := send(t, tr, requestWith(ctx, t, method, http1.url("/"), "")); got.err != nil || got.code != 200 || got.facts.Replays != 0 {
			t.Errorf("%s: %d, %v, %+v", method, got.code, got.err, got.facts)
		}
	}
}

// TestSafeReplaysAreBounded: a server that acts and drops is not stormed by
// way of all the connections that are left.
func TestSafeReplaysAreBounded(t *testing.T) {
	t.Parallel()
	l := newLoser(t)
	tr := http1.newTransport(t, config{Base: l.base(), Services: with(settings{Attempts: 1})}, l.addr())
	l.warm(t, tr, http1.url("/"), 8)
	got := send(t, tr, request(t, "GET", http1.url("/"), ""))
	if l.effects.Load() != 4 || got.facts.Replays != 3 || !resilience.IsAmbiguous(got.err) {
		t.Errorf("%d effects, %+v, %v; want 4, three of them replays, and doubt", l.effects.Load(), got.facts, got.err)
	}
}
