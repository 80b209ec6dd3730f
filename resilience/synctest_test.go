package resilience_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// wait is an op's work on the real clock, in a bubble.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestRealClock is a cross-check of the virtual one: the same calls on the
// real clock and real goroutines, in a synctest bubble, which also fails when
// a goroutine is left.
func TestRealClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := realClient(t, config{Nodes: nodes(3), Settings: sets{AttemptTimeout: 100 * ms, Timeout: time.Second, Backoff: noPause}})
		begin := time.Now()
		n := 0
		err := client.Do(t.Context(), resilience.Safe("m"), func(ctx context.Context, _ *selector.Node) error {
			if n++; n < 3 {
				return wait(ctx, time.Hour)
			}
			return wait(ctx, 10*ms)
		})
		if took := time.Since(begin); err != nil || n != 3 || took != 210*ms {
			t.Errorf("%v after %d attempts in %v, want 3 in 210ms", err, n, took)
		}

		begin = time.Now()
		err = client.Do(t.Context(), resilience.Unsafe("m"), func(ctx context.Context, _ *selector.Node) error { return wait(ctx, time.Hour) })
		if took := time.Since(begin); took != time.Second || !errors.Is(err, context.DeadlineExceeded) || !resilience.IsAmbiguous(err) {
			t.Errorf("%v after %v, want the deadline after 1s", err, took)
		}

		begin = time.Now()
		hinted := resilience.Refused
		hinted.After = 300 * ms
		n = 0
		err = client.Do(t.Context(), resilience.Unsafe("m"), func(context.Context, *selector.Node) error {
			if n++; n == 1 {
				return resilience.Mark(errOp, hinted)
			}
			return nil
		})
		if took := time.Since(begin); err != nil || took != 300*ms {
			t.Errorf("%v after %v, want success after the hint, 300ms", err, took)
		}
		idle(t, client)
	})
}

// TestTimeoutRaces: attempts that end at the very moment at which their
// timeout fires, their context ends, or the client is closed; for the race
// detector.
func TestTimeoutRaces(t *testing.T) {
	t.Parallel()
	for _, ownCut := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			client := realClient(t, config{OwnCut: ownCut, Nodes: nodes(5), Settings: sets{
				AttemptTimeout: 100 * ms, Attempts: 3, Backoff: noPause, Bulkhead: 1000, Budget: resilience.BudgetSettings{Share: -1},
			}})
			var wg sync.WaitGroup
			var well, cut, ended, refused atomic.Int64
			for i := range 400 {
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+i%3)*100*ms)
					defer cancel()
					hint := []resilience.Hint{resilience.Safe("m"), resilience.Unsafe("m")}[i%2]
					err := client.Call(ctx, hint, func(ctx context.Context, call *resilience.Call) error {
						if call.Attempt > 1 {
							cut.Add(1)
						}
						ctx, stop := context.WithCancelCause(ctx)
						defer stop(nil)
						call.CutBy(&cutter{allow: true, cancel: stop})
						return wait(ctx, []time.Duration{100 * ms, 100 * ms, 101 * ms, 250 * ms}[i%4])
					})
					switch {
					case err == nil:
						well.Add(1)
					case errors.Is(err, context.DeadlineExceeded), errors.Is(err, resilience.ErrAttemptTimeout):
						ended.Add(1)
					case errors.Is(err, selector.ErrClosed):
						refused.Add(1)
					default:
						t.Error(err)
					}
				})
			}
			wg.Go(func() {
				<-time.After(200 * ms)
				if err := client.Close(); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			t.Logf("own cut %v: %d well, %d second attempts, %d ran out of time, %d found it closed", ownCut, well.Load(), cut.Load(), ended.Load(), refused.Load())
			if well.Load() == 0 || cut.Load() == 0 || ended.Load() == 0 || well.Load()+ended.Load()+refused.Load() != 400 {
				t.Errorf("%d well, %d ended, %d refused, of 400", well.Load(), ended.Load(), refused.Load())
			}
		})
	}
}
