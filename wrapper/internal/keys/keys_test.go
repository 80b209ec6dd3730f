package keys

import (
	"regexp"
	"testing"
	"time"
)

func TestNew(t *testing.T) {
	t.Parallel()
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	a, b := New(), New()
	if !uuid.MatchString(a) || a == b {
		t.Errorf("%s and %s, want two random UUIDs of version 4", a, b)
	}
}

// TestLifetime: a margin of a tenth, ten seconds at most; what is said of a
// new key holds for others, what is said of an old one only for that.
func TestLifetime(t *testing.T) {
	t.Parallel()
	var l Lifetime
	start := time.Unix(1000, 0)
	if at := l.Expires(start); !at.IsZero() {
		t.Errorf("%v before anything was said", at)
	}
	for _, row := range []struct {
		said    string
		isNew   bool
		own     time.Duration // 0: not read
		another time.Duration
	}{
		{"50", false, 45 * time.Second, 0},
		{"200", true, 190 * time.Second, 190 * time.Second},
		{"50", false, 45 * time.Second, 190 * time.Second},
		{"", true, 0, 190 * time.Second},
		{"-1", true, 0, 190 * time.Second},
		{"99999999999", true, 0, 190 * time.Second},
		{"0", true, 0, 0},
	} {
		at, ok := l.Learn(row.said, row.isNew, start)
		if readable := row.own > 0 || row.said == "0"; ok != readable || ok && at.Sub(start) != row.own {
			t.Errorf("%+v: %v, %v", row, at, ok)
		}
		if other := l.Expires(start); !(other.IsZero() && row.another == 0) && other.Sub(start) != row.another {
			t.Errorf("%+v: another key until %v", row, other)
		}
	}
}
