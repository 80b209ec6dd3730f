package clock_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
)

func TestAlarm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a clock.Alarm
		if a.Stop() {
			t.Error("Stop of the zero Alarm: true")
		}
		rang := 0
		ring := func() { rang++ }
		for range 2 { // it can be used again
			a.Start(clock.System, time.Second, ring)
			if !a.Stop() {
				t.Error("Stop in time: false")
			}
		}
		a.Start(clock.System, time.Second, ring)
		<-time.After(2 * time.Second)
		synctest.Wait()
		if a.Stop() || rang != 1 {
			t.Errorf("it rang %d times, and Stop came in time; want 1, and too late", rang)
		}
	})
}
