package httpwrap_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestHungDrain: a response that is discarded and never ends holds nothing up
// for longer than DrainTime, and at all only where that could save a
// connection.
func TestHungDrain(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]string{"length unknown": "", "short": "100", "long": "1000000"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubbles(t, func(t *testing.T, w *world) {
				w.serve("a:1", func(rw http.ResponseWriter, r *http.Request) {
					if length != "" {
						rw.Header().Set("Content-Length", length)
					}
					rw.WriteHeader(500)
					_ = http.NewResponseController(rw).Flush()
					<-r.Context().Done()
				})
				w.serve("b:1", func(http.ResponseWriter, *http.Request) {})
				tr := w.transport(config{DrainTime: 200 * ms}, "a:1", "b:1")
				if got := send(t, tr, request(t, "GET", http1.url("/"), "")); got.code != 200 || w.elapsed() != 0 {
					t.Errorf("%d, %v after %v; want an answer at once", got.code, got.err, w.elapsed())
				}
				want := 200 * ms
				if length == "1000000" || w.proto.h2 {
					want = 0
				}
				if err := tr.Close(); err != nil || w.elapsed() != want {
					t.Errorf("closed after %v, %v; want %v", w.elapsed(), err, want)
				}
			})
		})
	}
}

// TestLargeResponsesAreNotDrained: that would cost more than a connection.
func TestLargeResponsesAreNotDrained(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]bool{"known": true, "unknown": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page := strings.Repeat("x", 1<<20)
			ill := http1.serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if length {
					w.Header().Set("Content-Length", "1048576")
				}
				w.WriteHeader(500)
				_, _ = io.WriteString(w, page)
			})
			well := http1.serve(t, func(http.ResponseWriter, *http.Request) {})
			tr := http1.newTransport(t, config{}, ill.addr(), well.addr())
			if got := send(t, tr, request(t, "GET", http1.url("/"), "")); got.code != 200 {
				t.Fatal(got.code, got.err)
			}
			eventually(t, "the connection is closed", func() bool { _, open := ill.conns(); return open == 0 })
		})
	}
}
