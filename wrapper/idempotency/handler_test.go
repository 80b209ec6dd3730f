package idempotency_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/wrapper/idempotency"
)

// TestReplay: the second answer is the first, header for header, and marked;
// what others around the guard have set is each response's own.
func TestReplay(t *testing.T) {
	t.Parallel()
	var handler counter
	guarded := wrap(t, idempotency.Config{}, handler.ServeHTTP)
	n := 0
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		w.Header().Set("X-Request", strconv.Itoa(n))
		guarded.ServeHTTP(w, r)
	})
	first := served(h, asked(t, `"k"`, "body"))
	second := served(h, asked(t, `"k"`, "body"))
	if handler.total() != 1 {
		t.Fatalf("ran %d times", handler.total())
	}
	if word(first) != "" || word(second) != idempotency.Replayed {
		t.Errorf("marked %q, then %q", word(first), word(second))
	}
	for i, w := range []*httptest.ResponseRecorder{first, second} {
		left, err := strconv.Atoi(w.Header().Get(idempotency.HeaderExpires))
		if day := int((24 * time.Hour).Seconds()); err != nil || left > day || left < day-60 {
			t.Errorf("expires in %d: %v", left, err)
		}
		if got := w.Header().Get("X-Request"); got != strconv.Itoa(i+1) {
			t.Errorf("request %d is given the header of request %s", i+1, got)
		}
		for _, name := range []string{idempotency.HeaderExpires, idempotency.HeaderStatus, "X-Request"} {
			w.Header().Del(name)
		}
	}
	if first.Code != 201 || second.Code != 201 || first.Body.String() != "body" || second.Body.String() != "body" ||
		!maps.EqualFunc(first.Header(), second.Header(), slices.Equal) || len(first.Header()["X-Many"]) != 3 {
		t.Errorf("first %d %v %q, second %d %v %q", first.Code, first.Header(), first.Body, second.Code, second.Header(), second.Body)
	}
}

// TestScope: what is another request, and what is the same.
func TestScope(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(r *http.Request)
		code   int
		runs   int
	}{
		{"the same", func(*http.Request) {}, 201, 1},
		{"another header", func(r *http.Request) { r.Header.Set("X-Other", "1") }, 201, 1},
		{"another key", func(r *http.Request) { r.Header.Set(idempotency.HeaderKey, `"l"`) }, 201, 2},
		{"another tenant", func(r *http.Request) { r.Header.Set("Tenant", "b") }, 201, 2},
		{"another method", func(r *http.Request) { r.Method = http.MethodPatch }, 201, 2},
		{"another path", func(r *http.Request) { r.URL.Path = "/others" }, 201, 2},
		{"another path of the same route", func(r *http.Request) { r.URL.Path, r.Pattern = "/orders/2", "POST /orders/{id}" }, 422, 1},
		{"another query", func(r *http.Request) { r.URL.RawQuery = "a=1" }, 422, 1},
		{"another path and key that are the same in a row", func(r *http.Request) {
			r.URL.Path = "/order"
			r.Header.Set(idempotency.HeaderKey, `"sk"`)
		}, 201, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var handler counter
			h := wrap(t, idempotency.Config{
				Tenant: func(r *http.Request) string { return r.Header.Get("Tenant") },
			}, handler.ServeHTTP)
			first := asked(t, `"k"`, "body")
			first.Header.Set("Tenant", "a")
			second := asked(t, `"k"`, "body")
			second.Header.Set("Tenant", "a")
			tt.change(second)
			if second.Pattern != "" {
				first.URL.Path, first.Pattern = "/orders/1", second.Pattern
			}
			if w := served(h, first); w.Code != 201 {
				t.Fatal(w.Code)
			}
			if w := served(h, second); w.Code != tt.code || handler.total() != tt.runs {
				t.Errorf("%d, %d runs; want %d, %d", w.Code, handler.total(), tt.code, tt.runs)
			}
		})
	}
}

// TestPasses: what the guard has nothing to do with.
func TestPasses(t *testing.T) {
	t.Parallel()
	var handler counter
	for _, tt := range []struct {
		method, key string
		required    bool
		runs        int
	}{
		{"GET", `"k"`, true, 2},
		{"HEAD", `"k"`, true, 2},
		{"OPTIONS", `"k"`, true, 2},
		{"TRACE", `not one`, true, 2},
		{"POST", "", false, 2},
		{"PATCH", "", false, 2},
		{"PUT", "", true, 2},
		{"DELETE", "", true, 2},
		{"PUT", `"k"`, false, 1},
		{"DELETE", `"k"`, false, 1},
		{"POST", "", true, 0},
		{"PATCH", "", true, 0},
	} {
		h := wrap(t, idempotency.Config{Required: tt.required}, handler.ServeHTTP)
		before := handler.total()
		for range 2 {
			r := asked(t, tt.key, "body")
			r.Method = tt.method
			if w := served(h, r); (w.Code == 400) != (tt.runs == 0) {
				t.Errorf("%+v: %d", tt, w.Code)
			}
		}
		if got := handler.total() - before; got != tt.runs {
			t.Errorf("%+v: %d runs", tt, got)
		}
	}
}

// TestProblems: each refusal's status, word and body.
func TestProblems(t *testing.T) {
	t.Parallel()
	var handler counter
	h := wrap(t, idempotency.Config{Required: true, MaxBody: 10, Help: "https://example.com/keys"}, handler.ServeHTTP)
	if w := served(h, asked(t, `"used"`, "body")); w.Code != 201 {
		t.Fatal(w.Code)
	}
	before := handler.total()
	for _, tt := range []struct {
		key, body string
		code      int
	}{
		{"", "body", 400},
		{"bare", "body", 400},
		{`"`, "body", 400},
		{`"a" , "b"`, "body", 400},
		{`"used"`, "other", 422},
		{`"k"`, "more than ten", 413},
	} {
		w := served(h, asked(t, tt.key, tt.body))
		var problem struct {
			Type, Title, Detail string
			Status              int
		}
		err := json.Unmarshal(w.Body.Bytes(), &problem)
		if w.Code != tt.code || word(w) != idempotency.NotExecuted || err != nil ||
			problem.Status != tt.code || problem.Title == "" || problem.Type != "https://example.com/keys" ||
			w.Header().Get("Content-Type") != "application/problem+json" || !strings.Contains(w.Header().Get("Link"), problem.Type) {
			t.Errorf("key %q: %d %q %v %s", tt.key, w.Code, word(w), w.Header(), w.Body)
		}
	}
	if handler.total() != before {
		t.Error("a refused request ran")
	}
}

// TestSeveralKeys: the draft allows one.
func TestSeveralKeys(t *testing.T) {
	t.Parallel()
	var handler counter
	r := asked(t, `"a"`, "body")
	r.Header.Add(idempotency.HeaderKey, `"a"`)
	if w := served(wrap(t, idempotency.Config{}, handler.ServeHTTP), r); w.Code != 400 || handler.total() != 0 {
		t.Errorf("%d, %d runs", w.Code, handler.total())
	}
}

// TestStatuses: which answers are kept, and which free the key.
func TestStatuses(t *testing.T) {
	t.Parallel()
	for code, kept := range map[int]bool{
		200: true, 204: true, 301: true, 304: true, 400: true, 401: true, 403: true, 404: true, 409: true, 422: true,
		500: true, 502: true, 503: true, 504: true, 599: true,
		408: false, 421: false, 425: false, 429: false,
	} {
		runs := 0
		h := wrap(t, idempotency.Config{}, func(w http.ResponseWriter, _ *http.Request) {
			runs++
			w.WriteHeader(code)
			if code != 204 && code != 304 {
				fmt.Fprint(w, "run ", runs)
			}
		})
		first, second := served(h, asked(t, `"k"`, "")), served(h, asked(t, `"k"`, ""))
		if first.Code != code || second.Code != code || (runs == 1) != kept {
			t.Errorf("%d: %d, %d, %d runs", code, first.Code, second.Code, runs)
		}
		if kept && (word(second) != idempotency.Replayed || first.Body.String() != second.Body.String()) ||
			!kept && (word(first) != idempotency.NotExecuted || word(second) != idempotency.NotExecuted) {
			t.Errorf("%d: %q %q", code, word(first), word(second))
		}
	}
}

// TestRelease: a handler that says so is run again, whatever it answered.
func TestRelease(t *testing.T) {
	t.Parallel()
	runs := 0
	h := wrap(t, idempotency.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if runs++; runs == 1 {
			idempotency.From(r.Context()).Release()
			http.Error(w, "database is locked", http.StatusServiceUnavailable)
		}
	})
	if w := served(h, asked(t, `"k"`, "")); w.Code != 503 || word(w) != idempotency.NotExecuted || w.Header().Get(idempotency.HeaderExpires) != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := served(h, asked(t, `"k"`, "other payload")); w.Code != 200 || word(w) != "" || runs != 2 {
		t.Errorf("%d %q, %d runs", w.Code, word(w), runs)
	}
}

// TestFrom: what a handler knows of its run; without a key, nothing, and it
// need not ask.
func TestFrom(t *testing.T) {
	t.Parallel()
	var x *idempotency.Execution
	h := wrap(t, idempotency.Config{}, func(_ http.ResponseWriter, r *http.Request) { x = idempotency.From(r.Context()) })
	served(h, asked(t, `"a \"key\""`, ""))
	if x.Key() != `a "key"` || x.Token() <= 0 || x.Run() != 1 {
		t.Errorf("%q %d %d", x.Key(), x.Token(), x.Run())
	}
	token := x.Token()
	served(h, asked(t, `"b"`, ""))
	if x.Token() <= token {
		t.Errorf("token %d after %d", x.Token(), token)
	}
	served(h, asked(t, "", ""))
	if x != nil || x.Key() != "" || x.Token() != 0 || x.Run() != 1 {
		t.Errorf("%v %q %d %d", x, x.Key(), x.Token(), x.Run())
	}
	x.Release()
}

// TestFingerprint: what must be equal is the service's to say.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	var handler counter
	h := wrap(t, idempotency.Config{
		Fingerprint: func(_ *http.Request, body []byte) []byte { return []byte(strings.ToLower(string(body))) },
	}, handler.ServeHTTP)
	for body, code := range map[string]int{"Body": 201, "bODY": 201} {
		if w := served(h, asked(t, `"k"`, body)); w.Code != code {
			t.Errorf("%s: %d", body, w.Code)
		}
	}
	if w := served(h, asked(t, `"k"`, "else")); w.Code != 422 || handler.total() != 1 {
		t.Errorf("%d, %d runs", w.Code, handler.total())
	}
}

// TestEvents: what observers hear of each request.
func TestEvents(t *testing.T) {
	t.Parallel()
	var heard []string
	h := wrap(t, idempotency.Config{OnEvent: func(e idempotency.Event) {
		heard = append(heard, fmt.Sprintf("%s %q %v", e.Request.Method, e.Status, e.Err))
	}}, new(counter).ServeHTTP)
	served(h, asked(t, "", ""))
	served(h, asked(t, `"k"`, ""))
	served(h, asked(t, `"k"`, ""))
	served(h, asked(t, `"k"`, "other"))
	want := []string{`POST "" <nil>`, `POST "replayed" <nil>`, `POST "not-executed" <nil>`}
	if !slices.Equal(heard, want) {
		t.Errorf("heard %q, want %q", heard, want)
	}
}

// TestConfig: all that is wrong, at once.
func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := idempotency.New(idempotency.Config{
		Lifetime: -1, Lease: -2, StoreTimeout: -3, MaxBody: -4, MaxAnswer: 1 << 40, Help: ":",
	})
	for _, part := range []string{"lifetime -1ns", "lease -2ns", "storeTimeout -3ns", "maxBody -4", "maxAnswer 1099511627776", `help ":"`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v: want %s", err, part)
		}
	}
	if _, err := idempotency.New(idempotency.Config{Lifetime: time.Minute, Lease: time.Hour}); err == nil {
		t.Error("a lease over the lifetime is accepted")
	}
	if _, err := idempotency.New(idempotency.Config{Lifetime: time.Second}); err != nil {
		t.Error(err)
	}
	if idempotency.State(3).String() != "lapsed" || idempotency.State(99).String() == "" {
		t.Error(idempotency.State(3), idempotency.State(99))
	}
}

// TestTwoGuards: processes that share a store.
func TestTwoGuards(t *testing.T) {
	t.Parallel()
	var handler counter
	store := memory()
	a := wrap(t, idempotency.Config{Store: store}, handler.ServeHTTP)
	b := wrap(t, idempotency.Config{Store: store}, handler.ServeHTTP)
	served(a, asked(t, `"k"`, "body"))
	if w := served(b, asked(t, `"k"`, "body")); word(w) != idempotency.Replayed || handler.total() != 1 {
		t.Errorf("%q, %d runs", word(w), handler.total())
	}
}

// TestStoreAway: failing closed runs nothing, and leaves nothing behind that
// is in the way; failing open runs unguarded.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	for _, open := range []bool{false, true} {
		for _, when := range []string{"before", "after"} {
			t.Run(fmt.Sprintf("open=%v/%s", open, when), func(t *testing.T) {
				t.Parallel()
				var handler counter
				var heard []idempotency.Event
				away := true
				fail := func(call string) error {
					if away && call == "reserve" {
						return errAway
					}
					return nil
				}
				store := &broken{Store: memory()}
				if store.before = fail; when == "after" { // the reservation was made, and its reply is lost
					store.before, store.after = nil, fail
				}
				h := wrap(t, idempotency.Config{
					Store: store, FailOpen: open, OnEvent: func(e idempotency.Event) { heard = append(heard, e) },
				}, handler.ServeHTTP)
				w := served(h, asked(t, `"k"`, "body"))
				if len(heard) != 1 || !errors.Is(heard[0].Err, errAway) {
					t.Errorf("heard %+v", heard)
				}
				if open {
					if w.Code != 201 || w.Body.String() != "body" || handler.total() != 1 {
						t.Errorf("%d %q, %d runs", w.Code, w.Body, handler.total())
					}
					return
				}
				if w.Code != 503 || word(w) != idempotency.NotExecuted || handler.total() != 0 {
					t.Errorf("%d %q, %d runs", w.Code, word(w), handler.total())
				}
				away = false
				if w := served(h, asked(t, `"k"`, "body")); w.Code != 201 || handler.total() != 1 {
					t.Errorf("when it is back: %d, %d runs", w.Code, handler.total())
				}
			})
		}
	}
}
