package breaker

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// The nearest CUSUM is a rule that works, and on a dead thing it opens after as
// many calls as it was asked for.
func TestNearestCUSUM(t *testing.T) {
	for _, calls := range []int{1, 2, 3, 5, 6, 10, 20, 50, 100, 1000, 100_000} {
		for _, share := range []float64{0, 0.005, 0.1, 0.3, 0.495, 0.5, 0.9, 1} {
			r := NearestCUSUM(calls, share)
			if err := r.Validate(); err != nil {
				t.Errorf("of %d and %v: %v", calls, share, err)
				continue
			}
			opens, n := r.opens(), 1
			for ; !opens(true) && n <= 2*calls; n++ {
			}
			if n != calls {
				t.Errorf("of %d and %v: %v opens after %d", calls, share, r, n)
			}
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestCompareCUSUM(t *testing.T) {
	third := func() func(bool) bool {
		n := 0
		return func(bool) bool { n++; return n == 3 }
	}
	var b strings.Builder
	if err := CompareCUSUM(&b, "the third call", third, NearestCUSUM(6, 0)); err != nil {
		t.Fatal(err)
	}
	want := `as set:  the third call
nearest: breaker.CUSUM{Baseline: 0.01, Broken: 0.5, FalseAlarm: 2.21e+09}

calls until it opens, at an error rate of
            100%     50%     30%     10%      1%
as set         3       3       3       3       3
nearest        6      13      28    1425  >20000
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	if err := CompareCUSUM(brokenWriter{}, "", third, CUSUM{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}
