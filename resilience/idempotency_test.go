package resilience_test

import (
	"context"
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// TestIdempotencyPrecedence: the hint, then the method's setting, then the
// hint's Default; and a wrapper may know better than all of them.
func TestIdempotencyPrecedence(t *testing.T) {
	t.Parallel()
	kinds := []retry.Idempotency{retry.Unspecified, retry.Safe, retry.NonIdempotent}
	for _, hint := range kinds {
		for _, method := range kinds {
			for _, protocol := range kinds {
				want := hint.Or(method).Or(protocol)
				attempts := 1
				if want == retry.Safe {
					attempts = 2
				}
				b := newBench(forever(fails(resilience.Ambiguous)), nil)
				var seen retry.Idempotency
				look := func(next resilience.Func) resilience.Func {
					return func(ctx context.Context, call *resilience.Call) error {
						seen = call.Idempotency
						return next(ctx, call)
					}
				}
				client := newClient(t, b, config{
					WrapAttempt: []resilience.Wrapper{look},
					Settings:    sets{Methods: map[string]resilience.MethodSettings{"m": {Idempotency: method}}},
				})
				_ = do(t, b, client, resilience.Hint{Method: "m", Idempotency: hint, Default: protocol}, b.Op)
				if seen != want || b.Attempts("a")+b.Attempts("b") != attempts {
					t.Errorf("hint %v, method %v, protocol %v: %v with %d attempts, want %v with %d",
						hint, method, protocol, seen, b.Attempts("a")+b.Attempts("b"), want, attempts)
				}
			}
		}
	}
}

// TestWrapperDeclares: a wrapper around the call may declare it repeatable,
// and the retries obey.
func TestWrapperDeclares(t *testing.T) {
	t.Parallel()
	declare := func(next resilience.Func) resilience.Func {
		return func(ctx context.Context, call *resilience.Call) error {
			call.Idempotency, call.Key = retry.Keyed, "made here"
			return next(ctx, call)
		}
	}
	b := newBench(forever(fails(resilience.Ambiguous)), forever(fails(resilience.Ambiguous)))
	client := newClient(t, b, config{Wrap: []resilience.Wrapper{declare}, Settings: sets{Attempts: 2}})
	e := callError(t, do(t, b, client, resilience.Unsafe("m"), b.Op))
	if len(e.Attempts) != 2 || e.Key != "made here" {
		t.Errorf("%d attempts, key %q; want 2, made here", len(e.Attempts), e.Key)
	}
}

func TestHints(t *testing.T) {
	t.Parallel()
	tests := []struct {
		got  resilience.Hint
		kind retry.Idempotency
		key  string
	}{
		{resilience.Safe("m"), retry.Safe, ""},
		{resilience.Idempotent("m"), retry.Idempotent, ""},
		{resilience.Keyed("m", "k"), retry.Keyed, "k"},
		{resilience.Unsafe("m"), retry.NonIdempotent, ""},
	}
	for _, tt := range tests {
		if want := (resilience.Hint{Method: "m", Idempotency: tt.kind, Key: tt.key}); tt.got != want {
			t.Errorf("%+v, want %+v", tt.got, want)
		}
	}
}

// TestMethodSettings: attempts of a method go before those of the client.
func TestMethodSettings(t *testing.T) {
	t.Parallel()
	b := newBench(forever(fails(resilience.NotSent)))
	client := newClient(t, b, config{Settings: sets{
		Attempts: 2, Backoff: noPause,
		Methods: map[string]resilience.MethodSettings{"once": {Attempts: 1}, "often": {Attempts: 5}},
	}})
	for method, want := range map[string]int{"once": 1, "often": 5, "other": 2, "": 2} {
		if e := callError(t, do(t, b, client, resilience.Safe(method), b.Op)); len(e.Attempts) != want {
			t.Errorf("%q: %d attempts, want %d", method, len(e.Attempts), want)
		}
	}
}
