package breaker_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

var errDown = errors.New("connection refused")

func ping() error { return errDown }

// A breaker of its own around one thing.
func Example() {
	b, err := breaker.New("search", breaker.Config{SlowCall: 2 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	call := func() error {
		permit, err := b.Acquire()
		if err != nil {
			return err
		}
		start, result := time.Now(), breaker.Failure
		defer func() { // also if ping panics
			permit.Done(breaker.Report{Result: result, Start: start, Elapsed: time.Since(start)})
		}()
		if err := ping(); err != nil {
			return err
		}
		result = breaker.Success
		return nil
	}
	for range 5 {
		err := call()
		fmt.Println(errors.Is(err, breaker.ErrOpen), errors.Is(err, errDown))
	}
	// Output:
	// false true
	// false true
	// false true
	// false true
	// true false
}

// Without errors, for those who have the time at hand and schedule retries.
func ExampleCircuit_TryAcquire() {
	b, err := breaker.New("search", breaker.Config{Rule: breaker.Consecutive{N: 1}})
	if err != nil {
		fmt.Println(err)
		return
	}
	permit, _, _ := b.TryAcquire(time.Now())
	permit.Done(breaker.Report{Result: breaker.Failure})

	_, retryAfter, ok := b.TryAcquire(time.Now())
	fmt.Println(ok, retryAfter > 400*time.Millisecond && retryAfter < 1500*time.Millisecond)
	// Output: false true
}

// A breaker for each tenant, and bounded memory however many there are.
func ExampleGroup() {
	family, err := breaker.NewFamily(breaker.Config{Rule: breaker.Consecutive{N: 2}})
	if err != nil {
		fmt.Println(err)
		return
	}
	tenants, err := breaker.NewGroup(breaker.GroupConfig{Engine: family, Max: 1000})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		permit, _, _ := tenants.Get("acme").TryAcquire(time.Now())
		permit.Done(breaker.Report{Result: breaker.Failure})
	}
	fmt.Println(tenants.Get("acme").State(), tenants.Get("initech").State())
	// Output: open closed
}

// By hand: take something out, and bring it back.
func ExampleCircuit_Trip() {
	b, err := breaker.New("db-2", breaker.Config{
		OnEvent: func(e breaker.Event) {
			fmt.Printf("%s: %v to %v by %v: %s\n", e.Key, e.From, e.To, e.Reason.Cause, e.Reason.Note)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	b.Trip(breaker.Reason{Cause: breaker.ByHand, Note: "disk errors, ana"})
	b.Reset(breaker.Reason{Cause: breaker.ByHand, Note: "disk replaced, ana"})
	b.Force(breaker.ForcedOpen, "failover drill") // until Force(Auto)
	// Output:
	// db-2: closed to open by hand: disk errors, ana
	// db-2: open to closed by hand: disk replaced, ana
	// db-2: closed to open by hand: failover drill
}

// Shadow mode tries thresholds on real traffic, and rejects nothing.
func ExampleConfig_shadow() {
	b, err := breaker.New("search", breaker.Config{
		Rule:   breaker.Consecutive{N: 3},
		Shadow: true,
		OnEvent: func(e breaker.Event) {
			fmt.Printf("would have opened: %s, %v of %v calls failed\n", e.Reason.Rule, e.Reason.Failures, e.Reason.Calls)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 10 {
		permit, err := b.Acquire() // never an error
		if err != nil {
			fmt.Println(err)
			return
		}
		permit.Done(breaker.Report{Result: breaker.Failure})
	}
	fmt.Println(b.Snapshot().WouldReject, "calls would have been rejected")
	b.SetShadow(false) // armed
	_, err = b.Acquire()
	fmt.Println(errors.Is(err, breaker.ErrOpen))
	// Output:
	// would have opened: consecutive(3), 3 of 3 calls failed
	// 7 calls would have been rejected
	// true
}

// Wrong thresholds are one error that names each field.
func ExampleNew_error() {
	_, err := breaker.New("x", breaker.Config{Rule: breaker.CUSUM{Baseline: 0.6}, Probes: -1})
	fmt.Println(err)
	var field *breaker.FieldError
	fmt.Println(errors.As(err, &field), field.Field)
	// Output:
	// breaker: CUSUM.Baseline is 0.6: want 1e-9 to less than Broken, which is 0.5 (0: default 0.01)
	// breaker: Probes is -1: want 0 to 1000 (0: default 1)
	// true CUSUM.Baseline
}
