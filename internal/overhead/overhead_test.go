package overhead

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestMedians: an outlier of one way changes neither median.
//
//nolint:forbidigo // synctest bubble
func TestMedians(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		slow := Way{Name: "slow", Do: func(*testing.B) {
			if calls++; calls == 10 {
				time.Sleep(time.Hour)
			}
			time.Sleep(3 * time.Millisecond)
		}}
		quick := Way{Name: "quick", Do: func(*testing.B) { time.Sleep(2 * time.Millisecond) }}
		rounds := 50
		got := medians(func() bool { rounds--; return rounds >= 0 }, nil, 2, slow, quick)
		if want := [2]float64{3e6, 2e6}; [2]float64(got) != want {
			t.Errorf("%v, want %v", got, want)
		}
	})
}
