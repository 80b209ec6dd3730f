package retry_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/retry"
)

// Each test here is named after a defect of a peer that was reproduced, and
// shows that this room does not have it; where the peer is at hand, also that
// it still has.

// An instance of backoff/v4 is not safe for concurrent use, and calls that
// share one go up its intervals together. Calls that share a configuration
// here have a generator each.
func TestBackoffDefect_SharedInstance(t *testing.T) {
	t.Parallel()
	generator := retry.Exponential(25*ms, 200*ms, 2)
	want := []time.Duration{25 * ms, 50 * ms, 100 * ms, 200 * ms, 200 * ms}
	calls := make([]retry.Intervals, 20)
	for i := range calls {
		calls[i] = retry.Intervals{New: generator, Verbatim: true}
	}
	for retries, want := range want { // all of them wait at the same time
		var pauses sync.WaitGroup
		for i := range calls {
			pauses.Go(func() {
				if d := calls[i].Next(clock.System, 0); d != want {
					t.Errorf("retry %d waits %v, want %v", retries+1, d, want)
				}
			})
		}
		pauses.Wait()
	}
}

// backoff/v4's jitter exceeds its MaxInterval, by half at its defaults.
func TestBackoffDefect_JitterExceedsMaxInterval(t *testing.T) {
	t.Parallel()
	const most = 100 * ms
	theirs := backoff.NewExponentialBackOff(backoff.WithInitialInterval(most), backoff.WithMaxInterval(most), backoff.WithMaxElapsedTime(0))
	ours := retry.Intervals{New: retry.Exponential(most, most, 2)}
	var highest, high time.Duration
	for range 10_000 {
		highest = max(highest, theirs.NextBackOff())
		high = max(high, ours.Next(clock.System, 0))
	}
	if high > most || high < most*99/100 {
		t.Errorf("up to %v, want up to the cap of %v", high, most)
	}
	if highest <= most {
		t.Errorf("backoff/v4 stays below %v: it has been mended, and this test shows nothing", most)
	}
}

// In backoff/v4 a randomisation factor of 1 gives 0 to 2 intervals, one on
// average. Full jitter is 0 to 1, a half on average.
func TestBackoffDefect_FactorOneIsNotFullJitter(t *testing.T) {
	t.Parallel()
	const interval, n = 100 * ms, 10_000
	theirs := backoff.NewExponentialBackOff(backoff.WithInitialInterval(interval), backoff.WithMaxInterval(interval),
		backoff.WithRandomizationFactor(1), backoff.WithMaxElapsedTime(0))
	ours := retry.Intervals{New: retry.Exponential(interval, interval, 2)}
	c := clock.NewVirtual(1)
	var sum, sums time.Duration
	for range n {
		sums += theirs.NextBackOff()
		sum += ours.Next(c, 0)
	}
	if mean := sum / n; mean < interval*48/100 || mean > interval*52/100 {
		t.Errorf("%v on average, want half of %v", mean, interval)
	}
	if mean := sums / n; mean < interval*3/4 {
		t.Errorf("backoff/v4 gives %v on average: it has been mended, and this test shows nothing", mean)
	}
}

// failsafe-go jitters a server's Retry-After like any other delay, so that
// half of the clients come back before they were asked to.
func TestFailsafeDefect_RetryAfterJittered(t *testing.T) {
	t.Parallel()
	c := clock.NewVirtual(1)
	for range 1000 {
		iv := retry.Intervals{New: retry.Exponential(50*ms, 50*ms, 2)}
		if d := iv.Next(c, time.Second); d < time.Second || d > 1050*ms {
			t.Fatalf("waits %v of a second that was asked for, and up to 50ms", d)
		}
	}
}

// failsafe-go repeats a POST after a timeout, Kitex retries timeouts by
// default, Envoy and nginx do not ask about the method once they are told to
// retry: all of them carry things out twice. Here doubt ends it, whatever a
// hook would like.
func TestEnvoyDefect_UnsafeRetried(t *testing.T) {
	t.Parallel()
	for _, kind := range []retry.Idempotency{retry.Unspecified, retry.NonIdempotent} {
		for name, hook := range map[string]retry.Hook{"no hook": nil, "on error": retry.OnError, "always": retry.Always} {
			t.Run(fmt.Sprint(kind, "/", name), func(t *testing.T) {
				t.Parallel()
				q := retry.Question{Try: retry.Try{Idempotency: kind, Attempt: 1, Effect: retry.Possible, Again: true}, Hook: hook, Max: 10}
				if why, err := retry.Decide(q); why != retry.NotRepeatable || err != nil {
					t.Errorf("%v, %v; want not repeatable", why, err)
				}
			})
		}
	}
}

// backoff/v4's Retry sleeps towards a deadline that it cannot meet.
func TestBackoffDefect_SleepsTowardsHopelessDeadline(t *testing.T) {
	t.Parallel()
	q := retry.Question{Try: retry.Try{Attempt: 1, Effect: retry.None, Again: true}, Max: 10, Deadline: true, Left: time.Second}
	for _, tt := range []struct {
		wait, need time.Duration
		want       retry.Reason
	}{
		{900 * ms, 0, retry.Granted},
		{900 * ms, 99 * ms, retry.Granted},
		{900 * ms, 100 * ms, retry.OutOfTime}, // it would end at the deadline
		{time.Second, 0, retry.OutOfTime},
		{time.Hour, 0, retry.OutOfTime},
	} {
		q.Wait, q.Need = tt.wait, tt.need
		if why, err := retry.Decide(q); why != tt.want || err != nil {
			t.Errorf("a pause of %v, then %v: %v, %v; want %v", tt.wait, tt.need, why, err, tt.want)
		}
	}
}
