package board

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// TestLiveStream: all there is at once, then the figures each second, and what
// happens within a quarter of one.
//
//nolint:forbidigo // synctest bubble
func TestLiveStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t, Config{})
		c := realClient(t, b, config{Service: "s", Nodes: addrs(3)})
		p, _ := serve(t, b)
		begin := time.Now()
		conn := p.dial(t, "/holdfast/state.stream")
		defer conn.Close()
		s := read(t, conn)
		next := func(want string, at time.Duration, into any) {
			t.Helper()
			name, data, ok := s.event()
			if !ok || name != want {
				t.Fatalf("a %q event, want %q", name, want)
			}
			if got := time.Since(begin); got != at {
				t.Errorf("a %s at %v, want it at %v", name, got, at)
			}
			if err := json.Unmarshal([]byte(data), into); err != nil {
				t.Fatal(err)
			}
		}
		var entries []Entry
		var st State
		next("log", 0, &entries)
		if len(entries) != 1 || entries[0].Kind != "nodes changed" {
			t.Errorf("at first %+v", entries)
		}
		next("state", 0, &st)
		if len(st.Services) != 1 || len(st.Services[0].Nodes) != 3 || st.SchemaVersion != SchemaVersion || len(st.Log) != 0 {
			t.Errorf("%+v", st)
		}
		next("state", time.Second, &st)
		go func() {
			time.Sleep(1100*time.Millisecond - time.Since(begin))
			if err := c.Selector().Eject("10.0.0.2:8080", "for the test"); err != nil {
				t.Error(err)
			}
		}()
		next("log", 1250*time.Millisecond, &entries)
		if len(entries) != 1 || entries[0].Kind != "ejected" || entries[0].Reason.Note != "for the test" || entries[0].Reason.Cause != breaker.ByHand.String() {
			t.Errorf("%+v", entries)
		}
		st = State{}
		next("state", 1250*time.Millisecond, &st)
		if n := st.Services[0].Nodes[1]; !n.Ejected || n.LastEjection == nil {
			t.Errorf("%+v", n)
		}
		// What happens next is told as soon, and shown with the second: no more
		// than two states come in one.
		go func() {
			time.Sleep(1300*time.Millisecond - time.Since(begin))
			if err := c.Selector().Readmit("10.0.0.2:8080", "for the test"); err != nil {
				t.Error(err)
			}
		}()
		next("log", 1500*time.Millisecond, &entries)
		next("state", 2*time.Second, &st)
	})
}

// TestLogSince returns what is new, whatever has been forgotten.
func TestLogSince(t *testing.T) {
	t.Parallel()
	var l log
	for range maxLog + 10 {
		l.add(Entry{})
	}
	last := uint64(maxLog + 10)
	for _, row := range []struct{ id, first, n uint64 }{
		{0, 11, maxLog},
		{5, 11, maxLog},
		{10, 11, maxLog},
		{11, 12, maxLog - 1},
		{last - 1, last, 1},
		{last, 0, 0},
		{last + 5, 0, 0},
	} {
		got := l.since(row.id)
		if uint64(len(got)) != row.n || row.n > 0 && got[0].ID != row.first {
			t.Errorf("since %d: %d entries, want %d from %d", row.id, len(got), row.n, row.first)
		}
	}
}

// TestPage: its files say what they are, let nothing else in, and ask for
// nothing from elsewhere.
func TestPage(t *testing.T) {
	t.Parallel()
	b := newBoard(t, Config{})
	for name := range assetOf {
		path, kind := "/holdfast/"+name, "text/html"
		if name != "" {
			kind = map[string]string{".js": "text/javascript", ".css": "text/css"}[filepath.Ext(name)]
		}
		w := httptest.NewRecorder()
		b.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		h, body := w.Header(), strings.ReplaceAll(w.Body.String(), "http://www.w3.org/2000/svg", "") // a name, not an address
		if w.Code != http.StatusOK || h.Get("Content-Type") != kind+"; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d, %v", path, w.Code, h)
		}
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %s", path, csp)
		}
		if far := regexp.MustCompile(`(?:src|href)="(?:[a-z]+:)?//|https?://|@import|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b| style="| onclick="`).FindString(body); far != "" {
			t.Errorf("%s has %q", path, far)
		}
		for _, ref := range regexp.MustCompile(`(?:src|href)="([^":]+)"|from "\./([^"]+)"|fetch\("([^"]+)", \{ headers`).FindAllStringSubmatch(body, -1) {
			w := httptest.NewRecorder()
			b.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/holdfast/"+strings.Join(ref[1:], ""), nil))
			if w.Code != http.StatusOK {
				t.Errorf("%s refers to %s: %d", path, ref[0], w.Code)
			}
		}
	}
}
