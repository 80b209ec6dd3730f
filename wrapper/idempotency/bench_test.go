package idempotency_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/wrapper/idempotency"
)

// order is what is measured: it reads a small body and writes a small answer.
func order(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, `{"order":42,"state":"created"}`)
}

// sink is a ResponseWriter that costs little.
type sink struct {
	header http.Header
	status int
	bytes  int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { s.bytes += len(p); return len(p), nil }

// BenchmarkGuard is a keyed POST with a new key, and one that is replayed,
// beside the bare handler.
func BenchmarkGuard(b *testing.B) {
	const payload = `{"item":"book","count":1,"note":"a payload as small as most are"}`
	for _, mode := range []string{"bare", "fresh", "replay"} {
		b.Run("mode="+mode, func(b *testing.B) {
			var h http.Handler = http.HandlerFunc(order)
			if mode != "bare" {
				guard, err := idempotency.New(idempotency.Config{
					Store: idempotency.NewMemory(idempotency.MemoryConfig{MaxBytes: 8 << 30}),
				})
				if err != nil {
					b.Fatal(err)
				}
				h = guard.Wrap(h)
			}
			reader := strings.NewReader(payload)
			body := io.NopCloser(reader)
			req := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/orders", http.NoBody)
			req.ContentLength = int64(len(payload))
			key := []string{`"8e03978e-40d5-43e8-bc93-6894a57f9324"`}
			req.Header[idempotency.HeaderKey] = key
			w := &sink{header: make(http.Header)}
			buf := make([]byte, 0, 64)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if mode == "fresh" {
					buf = fmt.Append(buf[:0], `"`)
					buf = strconv.AppendInt(buf, int64(i), 10)
					key[0] = string(append(buf, '"')) // one allocation that is not the guard's
				}
				reader.Reset(payload)
				req.Body = body
				clear(w.header)
				h.ServeHTTP(w, req)
				if w.status != http.StatusCreated {
					b.Fatal(w.status)
				}
			}
		})
	}
}
