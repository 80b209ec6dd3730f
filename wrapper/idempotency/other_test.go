package idempotency_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/wrapper/idempotency"
)

// What a request of another protocol than HTTP gets, row by row.
func TestDo(t *testing.T) {
	t.Parallel()
	g, err := idempotency.New(idempotency.Config{MaxAnswer: 10})
	if err != nil {
		t.Fatal(err)
	}
	runs := 0
	do := func(key, payload, answer string, release bool) idempotency.Result {
		return g.Do(t.Context(), idempotency.Request{Route: "r", Key: key, Payload: []byte(payload)}, func(ctx context.Context) ([]byte, bool) {
			if runs++; idempotency.From(ctx).Key() != key {
				t.Errorf("key %q in the context", idempotency.From(ctx).Key())
			}
			return []byte(answer), release
		})
	}
	panics := func() (thrown any) {
		defer func() { thrown = recover() }()
		g.Do(t.Context(), idempotency.Request{Route: "r", Key: "panics"}, func(context.Context) ([]byte, bool) { panic("the handler's") })
		return nil
	}
	if p := panics(); p != "the handler's" {
		t.Errorf("recovered %v", p)
	}
	large := strings.Repeat("x", 11)
	for i, row := range []struct {
		key, payload, answer string
		release              bool
		status, want         string
		runs                 int // so far
	}{
		{"a", "p", "one", false, "", "one", 1},
		{"a", "p", "two", false, idempotency.Replayed, "one", 1},
		{"a", "q", "two", false, idempotency.Mismatched, "", 1},
		{"b", "p", "", false, "", "", 2},
		{"b", "p", "two", false, idempotency.Replayed, "", 2},
		{"c", "p", "no", true, idempotency.NotExecuted, "no", 3},
		{"c", "p", "yes", false, "", "yes", 4},
		{"d", "p", large, false, idempotency.NotKept, large, 5},
		{"d", "p", "two", false, idempotency.NotKept, "", 5},
		{"panics", "", "two", false, idempotency.Unknown, "", 5},
	} {
		r := do(row.key, row.payload, row.answer, row.release)
		if r.Status != row.status || string(r.Answer) != row.want || r.Err != nil || runs != row.runs {
			t.Errorf("row %d: %q, %q, %v after %d runs; want %q, %q after %d", i, r.Status, r.Answer, r.Err, runs, row.status, row.want, row.runs)
		}
	}
}

// A second request while the first runs, and a store that is away.
func TestDoMeanwhile(t *testing.T) {
	t.Parallel()
	g, err := idempotency.New(idempotency.Config{})
	if err != nil {
		t.Fatal(err)
	}
	req := idempotency.Request{Route: "r", Key: "k"}
	g.Do(t.Context(), req, func(context.Context) ([]byte, bool) {
		if r := g.Do(t.Context(), req, nil); r.Status != idempotency.InProgress || r.Answer != nil || r.Expires <= 0 {
			t.Errorf("%+v: want it in progress", r)
		}
		return nil, false
	})
	for _, open := range []bool{false, true} {
		g, err := idempotency.New(idempotency.Config{Store: &broken{Store: memory(), before: func(string) error { return errAway }}, FailOpen: open})
		if err != nil {
			t.Fatal(err)
		}
		r := g.Do(t.Context(), req, func(ctx context.Context) ([]byte, bool) {
			if idempotency.From(ctx) != nil {
				t.Error("an execution without a store")
			}
			return []byte("ran"), false
		})
		if open && (r.Status != "" || string(r.Answer) != "ran") || !open && (r.Status != idempotency.NotExecuted || r.Answer != nil) || !errors.Is(r.Err, errAway) {
			t.Errorf("open %v: %+v", open, r)
		}
	}
}
