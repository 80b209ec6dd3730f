package retry_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/retry"
)

var kinds = []retry.Idempotency{retry.Unspecified, retry.Safe, retry.Idempotent, retry.Keyed, retry.NonIdempotent}

func TestIdempotencyText(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		text, err := kind.MarshalText()
		if err != nil {
			t.Fatalf("%v: %v", kind, err)
		}
		back := retry.Idempotency(99)
		if err := back.UnmarshalText(text); err != nil || back != kind {
			t.Errorf("%v → %q → %v, %v", kind, text, back, err)
		}
	}
	empty := retry.Safe
	if err := empty.UnmarshalText(nil); err != nil || empty != retry.Unspecified {
		t.Errorf("empty text: %v, %v; want unspecified", empty, err)
	}
	if _, err := retry.Idempotency(99).MarshalText(); err == nil || !strings.Contains(err.Error(), "non-idempotent") {
		t.Errorf("an undeclared kind: %v; want an error that names the kinds", err)
	}
	kept := retry.Keyed
	if err := kept.UnmarshalText([]byte("Safe")); err == nil || !strings.Contains(err.Error(), `"Safe"`) || kept != retry.Keyed {
		t.Errorf("unknown text: %v, %v; want an error that quotes it, and no change", kept, err)
	}
}

func FuzzIdempotencyText(f *testing.F) {
	for _, kind := range kinds {
		f.Add(kind.String())
	}
	f.Add("")
	f.Add("SAFE")
	f.Add("Idempotency(99)")
	f.Fuzz(func(t *testing.T, text string) {
		var kind retry.Idempotency
		if err := kind.UnmarshalText([]byte(text)); err != nil {
			return
		}
		back, err := kind.MarshalText()
		if err != nil {
			t.Fatalf("%q was read as %d, which cannot be written: %v", text, kind, err)
		}
		if text != "" && string(back) != text {
			t.Errorf("%q came back as %q", text, back)
		}
		if _, err := json.Marshal(kind); err != nil {
			t.Error(err)
		}
	})
}

// TestOr is the precedence: the first level that says something.
func TestOr(t *testing.T) {
	t.Parallel()
	for _, hint := range kinds {
		for _, method := range kinds {
			for _, protocol := range kinds {
				want := protocol
				if method != retry.Unspecified {
					want = method
				}
				if hint != retry.Unspecified {
					want = hint
				}
				if got := hint.Or(method).Or(protocol); got != want {
					t.Errorf("%v.Or(%v).Or(%v) = %v, want %v", hint, method, protocol, got, want)
				}
			}
		}
	}
}

func TestRepeatable(t *testing.T) {
	t.Parallel()
	for i := range 256 {
		kind := retry.Idempotency(i)
		want := kind == retry.Safe || kind == retry.Idempotent || kind == retry.Keyed
		if kind.Repeatable() != want {
			t.Errorf("%v: %v, want %v", kind, !want, want)
		}
	}
}
