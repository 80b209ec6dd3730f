package gobreaker_test

import (
	"testing"
	"testing/synctest"
	"time"

	sony "github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/breaker/gobreaker"
)

// TestSnapshot: what a dashboard is told.
func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := gobreaker.New("users", gobreaker.Config{Settings: sony.Settings{Timeout: 7 * time.Second}})
		if err != nil {
			t.Fatal(err)
		}
		fail := func(n int) {
			for range n {
				p, _, ok := b.TryAcquire(time.Now())
				if !ok {
					t.Fatal("not admitted")
				}
				p.Done(breaker.Report{Result: breaker.Failure})
			}
		}
		fail(4)
		got := b.Snapshot()
		want := breaker.Snapshot{
			Key: "users", Rule: "gobreaker(6 in a row)", MinCalls: 6, ErrorRate: 1, OpenFor: 7 * time.Second,
			Score: 4, Threshold: 6, Calls: 4, Failures: 4, Share: 1,
		}
		if got != want {
			t.Errorf("closed:\n%+v, want\n%+v", got, want)
		}
		fail(2)
		if got := b.Snapshot(); got.State != breaker.Open || time.Until(got.RetryAt).Round(time.Millisecond) != 7*time.Second {
			t.Errorf("open: %+v, in %v", got, time.Until(got.RetryAt))
		}

		asked := 0
		own, err := gobreaker.New("own", gobreaker.Config{Settings: sony.Settings{ReadyToTrip: func(sony.Counts) bool { asked++; return true }}})
		if err != nil {
			t.Fatal(err)
		}
		if got := own.Snapshot(); got.MinCalls != 0 || got.Threshold != 0 || got.OpenFor != time.Minute || asked != 0 {
			t.Errorf("with a ReadyToTrip of its own: %+v, which was asked %d times", got, asked)
		}
	})
}
