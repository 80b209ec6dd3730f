package resilience_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// Each test here and in defects_micro_test.go is named after a defect of a
// peer that was reproduced, and shows that this client does not have it.

// hystrix-go returns the ticket of a command that times out while its function
// runs on: with a limit of 2, 20 were running.
func TestHystrixDefect_TicketReturnedWhileRunning(t *testing.T) {
	t.Parallel()
	b := newBench(nil)
	client := newClient(t, b, config{Settings: sets{Bulkhead: 2, Timeout: 50 * ms, Attempts: 1}})
	running, most, ran := 0, 0, 0
	b.Run(func() {
		for range 20 {
			b.Go(func() {
				_ = client.Do(context.Background(), resilience.Safe("m"), func(context.Context, *selector.Node) error {
					running++
					most, ran = max(most, running), ran+1
					b.Sleep(time.Second) // whatever its context says
					running--
					return nil
				})
			})
			b.Sleep(100 * ms)
		}
	})
	if most != 2 || ran != 4 {
		t.Errorf("%d ran at once, %d in all; want 2, and 4 in two seconds", most, ran)
	}
}

// hystrix-go's MaxConcurrent is frozen when the circuit is made. Here it can
// be changed while calls are in, and those count.
func TestHystrixDefect_MaxConcurrentFrozen(t *testing.T) {
	t.Parallel()
	b := newBench(forever(reply{After: time.Hour}))
	client := newClient(t, b, config{})
	full := 0
	crowd := func(limit, n, turnedAway int) {
		settings := client.Settings()
		settings.Bulkhead = limit
		if err := client.Update(settings); err != nil {
			t.Error(err)
		}
		full = 0
		for range n {
			b.Go(func() {
				if errors.Is(client.Do(context.Background(), resilience.Safe("m"), b.Op), resilience.ErrBulkheadFull) {
					full++
				}
			})
		}
		b.Sleep(ms)
		if full != turnedAway {
			t.Errorf("limit %d: %d of %d turned away, want %d", limit, full, n, turnedAway)
		}
	}
	b.Run(func() {
		crowd(2, 5, 3)
		crowd(5, 5, 2) // two are in
		crowd(3, 5, 5) // five are in
		b.Sleep(2 * time.Hour)
		crowd(3, 5, 2) // and none
	})
}

// In hystrix-go, errors.Is finds neither the fallback's error nor the first.
func TestHystrixDefect_FallbackLosesErrorsIs(t *testing.T) {
	t.Parallel()
	errSecond := errors.New("nothing cached")
	b := newBench(forever(fails(resilience.Ambiguous)))
	client := newClient(t, b, config{Fallback: func(context.Context, *resilience.Call, error) error { return errSecond }})
	err := do(t, b, client, resilience.Unsafe("m"), b.Op)
	if !errors.Is(err, errOp) || !errors.Is(err, errSecond) || !resilience.IsAmbiguous(err) {
		t.Errorf("%v; want both errors, and the doubt", err)
	}
	if e := callError(t, err); len(e.Attempts) != 1 {
		t.Errorf("%d attempts told, want 1", len(e.Attempts))
	}
}

// hystrix-go runs the function on a goroutine of its own, where nobody can
// recover from its panic: the process dies.
func TestHystrixDefect_PanicKillsProcess(t *testing.T) {
	t.Parallel()
	client := realClient(t, config{Settings: sets{Timeout: time.Hour, AttemptTimeout: time.Minute, Bulkhead: 1}})
	call := func(op resilience.Op) (recovered any) {
		defer func() { recovered = recover() }()
		if err := client.Do(t.Context(), resilience.Safe("m"), op); err != nil {
			t.Error(err)
		}
		return nil
	}
	for range 3 {
		if got := call(func(context.Context, *selector.Node) error { panic("boom") }); got != "boom" {
			t.Errorf("recovered %v, want boom", got)
		}
	}
	if got := call(func(context.Context, *selector.Node) error { return nil }); got != nil {
		t.Errorf("the next call: %v", got)
	}
}

// backoff/v4's Retry sleeps towards a deadline that it cannot meet, and then
// returns the context's error in place of the operation's.
func TestBackoffDefect_SleepsTowardsHopelessDeadline(t *testing.T) {
	t.Parallel()
	b := newBench(forever(fails(resilience.NotSent)))
	client := newClient(t, b, config{Intervals: func() backoff.BackOff { return backoff.NewConstantBackOff(10 * time.Second) }})
	took, err := within(t, b, client, time.Second, resilience.Safe("m"), b.Op)
	if e := callError(t, err); took != 0 || !errors.Is(err, errOp) || e.Why != retry.OutOfTime {
		t.Errorf("%v after %v, want the op's error at once", err, took)
	}
}

// failsafe-go leaks a goroutine for each request whose context does not end,
// when its executor has a context too.
func TestFailsafeDefect_GoroutinePerRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel) // after the check
	leaktest.Check(t)
	client := realClient(t, config{Settings: sets{Timeout: time.Hour, AttemptTimeout: time.Minute, Backoff: noPause}})
	for i := range 50 {
		n := 0
		if err := client.Do(ctx, resilience.Safe("m"), func(context.Context, *selector.Node) error {
			if n++; n == 1 && i%5 == 0 {
				return resilience.Mark(errOp, resilience.NotSent)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
}

// failsafe-go repeats a POST after a timeout; nginx and HAProxy do, if they
// retry them at all: 576 of 4000 were carried out twice.
func TestFailsafeDefect_PostRepeatedAfterTimeout(t *testing.T) {
	t.Parallel()
	for name, hook := range map[string]retry.Hook{"no hook": nil, "always": retry.Always} {
		b := newBench(hang, nil, nil)
		client := newClient(t, b, config{RetryIf: hook, Settings: sets{AttemptTimeout: 100 * ms, Attempts: 5}})
		took, err := within(t, b, client, time.Second, resilience.Hint{Method: "POST"}, b.Op)
		if !resilience.IsAmbiguous(err) || took != time.Second || b.Attempts("b")+b.Attempts("c") != 0 {
			t.Errorf("%s: %v after %v, %d sent elsewhere; want one attempt, and doubt", name, err, took, b.Attempts("b")+b.Attempts("c"))
		}
	}
}

// In go-micro, what an attempt that was given up writes races with the caller,
// who has had the response for long. For the race detector.
//
//nolint:forbidigo // synctest bubble
func TestGoMicroDefect_LateAttemptWritesResponse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := realClient(t, config{Settings: sets{AttemptTimeout: 100 * ms, Backoff: noPause}})
		attempts, response := 0, ""
		err := client.Do(t.Context(), resilience.Safe("m"), func(context.Context, *selector.Node) error {
			if attempts++; attempts > 1 {
				response = "second"
				return nil
			}
			time.Sleep(time.Second) // its context ends after 100 ms
			response = "first"
			return errOp
		})
		got := response
		time.Sleep(time.Hour)
		if err != nil || got != "second" || response != got || attempts != 2 {
			t.Errorf("%v, %q, and later %q, after %d attempts; want the second's for good", err, got, response, attempts)
		}
	})
}
