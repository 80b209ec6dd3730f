package harness

import (
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	line := "4242 (odd) name) S 17 4242 4242 0 -1 4194560 100 200 0 0 12 30 5 3 20 0 9 0 100 0"
	s, ok := parseStat([]byte(line), nil)
	if want := (stat{4242, 17, 500 * time.Millisecond}); !ok || s != want {
		t.Errorf("%+v, %v; want %+v", s, ok, want)
	}
	for _, bad := range []string{"", "4242 (name", "4242 (name) S 17", "4242 (name) S x 1 1 0 -1 0 1 2 0 0 12 30 5 3 20"} {
		if s, ok := parseStat([]byte(bad), nil); ok {
			t.Errorf("%q: %+v", bad, s)
		}
	}
}
