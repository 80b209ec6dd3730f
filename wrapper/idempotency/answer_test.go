package idempotency

import (
	"bytes"
	"errors"
	"maps"
	"net/http"
	"slices"
	"testing"
)

func TestAnswer(t *testing.T) {
	t.Parallel()
	header := http.Header{
		"A": {"1"}, "B": {"", "x", "\xff"}, "Connection": {"close"}, "Trailer": {"A"}, HeaderStatus: {"replayed"},
	}
	kept := append(appendHead(nil, kindWhole, 201, header), "body"...)
	a, err := parseAnswer(kept)
	want := http.Header{"A": {"1"}, "B": {"", "x", "\xff"}}
	if err != nil || a.status != 201 || string(a.body) != "body" || !maps.EqualFunc(a.header, want, slices.Equal) {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := parseAnswer(appendHead(nil, kindCut, 504, nil)); err != nil || a.kind != kindCut || a.status != 504 {
		t.Errorf("%+v, %v", a, err)
	}
	for n := range len(kept) - len("body") { // torn anywhere
		if _, err := parseAnswer(kept[:n]); !errors.Is(err, errAnswer) {
			t.Errorf("%d bytes of it: %v", n, err)
		}
	}
}

// FuzzAnswer: what a store returns is read or refused, whatever it is.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendHead(nil, kindCut, 200, nil))
	f.Add(append(appendHead(nil, kindWhole, 201, http.Header{"A": {"1", "2"}, "B": {""}}), "body"...))
	f.Add([]byte{kindWhole, 200, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, kept []byte) {
		a, err := parseAnswer(kept)
		if err != nil {
			return
		}
		if a.status < 100 || a.status > 999 {
			t.Fatalf("status %d", a.status)
		}
		again, err := parseAnswer(append(appendHead(nil, a.kind, a.status, a.header), a.body...))
		if err != nil || again.status != a.status || !bytes.Equal(again.body, a.body) {
			t.Fatalf("%+v is %+v, %v when it is kept again", a, again, err)
		}
	})
}
