package idempotency_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/wrapper/idempotency"
)

// TestFlush: an answer is not sent before it is kept, whatever the handler
// asks for.
func TestFlush(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	h := wrap(t, idempotency.Config{}, func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(rw, "a")
		rw.(http.Flusher).Flush()
		if err := http.NewResponseController(rw).Flush(); err != nil {
			t.Errorf("Flush: %v", err)
		}
		if w.Flushed || w.Body.Len() > 0 {
			t.Error("sent before it is kept")
		}
		if _, _, err := http.NewResponseController(rw).Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Hijack: %v", err)
		}
	})
	h.ServeHTTP(w, asked(t, `"k"`, ""))
	if w.Code != 200 || w.Body.String() != "a" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// TestTooLargeAnswer: it is sent whole, and not kept; a repeat is told so.
func TestTooLargeAnswer(t *testing.T) {
	t.Parallel()
	runs := 0
	var events []string
	w := httptest.NewRecorder()
	h := wrap(t, idempotency.Config{MaxAnswer: 10, OnEvent: func(e idempotency.Event) { events = append(events, e.Status) }},
		func(rw http.ResponseWriter, _ *http.Request) {
			runs++
			rw.Header().Set("X-Order", "42")
			rw.WriteHeader(201)
			for range 4 {
				if n, err := io.WriteString(rw, "12345"); n != 5 || err != nil {
					t.Errorf("Write: %d, %v", n, err)
				}
			}
			rw.(http.Flusher).Flush()
			if !w.Flushed || w.Body.Len() != 20 {
				t.Error("not sent as it comes")
			}
		})
	h.ServeHTTP(w, asked(t, `"k"`, ""))
	if w.Code != 201 || w.Body.String() != "12345123451234512345" || w.Header().Get("X-Order") != "42" {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
	second := served(h, asked(t, `"k"`, ""))
	if second.Code != 409 || word(second) != idempotency.NotKept || !strings.Contains(second.Body.String(), `"answered":201`) || runs != 1 {
		t.Errorf("then %d %q %s, %d runs", second.Code, word(second), second.Body, runs)
	}
	if strings.Join(events, ",") != "not-kept,not-kept" {
		t.Errorf("heard %q", events)
	}
}

// TestAnswerOfTheCapIsKept: the cap itself fits, and is of the body alone.
func TestAnswerOfTheCapIsKept(t *testing.T) {
	t.Parallel()
	for limit, kept := range map[int64]bool{10: true, 9: false, -1: false} {
		h := wrap(t, idempotency.Config{MaxAnswer: limit}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 100))
			_, _ = io.WriteString(w, "1234567890")
		})
		served(h, asked(t, `"k"`, ""))
		if w := served(h, asked(t, `"k"`, "")); (word(w) == idempotency.Replayed) != kept {
			t.Errorf("limit %d: %q", limit, word(w))
		}
	}
}

// TestSettledHeader: what a handler changes after its WriteHeader is neither
// sent nor kept, as with net/http.
func TestSettledHeader(t *testing.T) {
	t.Parallel()
	h := wrap(t, idempotency.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("A", "1")
		w.WriteHeader(201)
		w.WriteHeader(500)
		w.Header().Set("A", "2")
		w.Header().Set("B", "2")
	})
	for range 2 {
		w := served(h, asked(t, `"k"`, ""))
		if w.Code != 201 || w.Header().Get("A") != "1" || w.Header().Get("B") != "" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	}
}

// TestLateWriter: a goroutine that the handler left behind writes into nobody's
// answer.
func TestLateWriter(t *testing.T) {
	t.Parallel()
	var left http.ResponseWriter
	h := wrap(t, idempotency.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		left = w
		_, _ = io.WriteString(w, "a")
	})
	first := served(h, asked(t, `"k"`, ""))
	if _, err := io.WriteString(left, "b"); err == nil {
		t.Error("a late write succeeded")
	}
	left.WriteHeader(500)
	left.(http.Flusher).Flush()
	second := served(h, asked(t, `"k"`, ""))
	if first.Body.String() != "a" || second.Body.String() != "a" || second.Code != 200 {
		t.Errorf("%q, %d %q", first.Body, second.Code, second.Body)
	}
}
