package harness

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestLoad(t *testing.T) {
	var seen atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		id := r.Header.Get(RequestID)
		switch {
		case strings.HasSuffix(id, "garbage"):
			_, _ = w.Write([]byte("200 is not enough"))
		case r.Method == http.MethodPost:
			reply(w, http.StatusBadGateway, answer{Error: "down", Ambiguous: true})
		default:
			reply(w, http.StatusOK, answer{Node: "a"})
		}
	}))
	defer srv.Close()
	f := newFront(srv.URL, time.Minute)
	defer f.close()
	l := &load{fire: f.fire, start: time.Now()}
	arrivals := []Arrival{{Route: Get, ID: "g0"}, {Due: time.Millisecond, Route: Post, ID: "p1"}, {Due: 2 * time.Millisecond, Route: Get, ID: "garbage"}}
	if err := l.run(t.Context(), arrivals); err != nil {
		t.Fatal(err)
	}
	g, p, bad := &l.shots[0], &l.shots[1], &l.shots[2]
	if !g.OK || g.Err != "" {
		t.Errorf("GET: %+v", g)
	}
	if p.OK || !p.Ambiguous || p.Err != "down" {
		t.Errorf("POST: %+v", p)
	}
	if bad.OK || bad.Err == "" {
		t.Errorf("garbage: %+v", bad)
	}
	for i := range l.shots {
		if s := &l.shots[i]; s.Sent < s.Due || s.Done < s.Sent || s.Latency() != s.Done-s.Due {
			t.Errorf("times: %+v", s)
		}
	}
	if seen.Load() != 3 || l.sent.Load() != 3 || l.done.Load() != 3 || l.failed.Load() != 2 {
		t.Errorf("seen %d, sent %d, done %d, failed %d", seen.Load(), l.sent.Load(), l.done.Load(), l.failed.Load())
	}
}

// What would be too many under way is not sent, and counts as failed.
func TestLoadIsBounded(t *testing.T) {
	l := &load{start: time.Now()}
	l.sent.Store(maxUnderWay)
	if err := l.run(t.Context(), []Arrival{{Route: Get, ID: "g0"}}); err != nil {
		t.Fatal(err)
	}
	if s := &l.shots[0]; !s.Unsent || s.OK || l.unsent.Load() != 1 || l.failed.Load() != 1 {
		t.Errorf("%+v", s)
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	l := &load{start: time.Now()}
	if err := l.run(ctx, []Arrival{{Due: time.Hour, Route: Get, ID: "g0"}}); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
}
