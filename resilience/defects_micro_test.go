package resilience_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// go-micro's client does not pass the caller's deadline on.
func TestGoMicroDefect_DeadlineNotPropagated(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		settings sets
		want     time.Duration
	}{
		{"the caller's", sets{}, time.Second},
		{"the caller's, under an attempt timeout", sets{AttemptTimeout: 100 * ms}, time.Second},
		{"the caller's is sooner", sets{Timeout: time.Minute}, time.Second},
		{"the settings' is sooner", sets{Timeout: 300 * ms}, 300 * ms},
	} {
		b := newBench(nil)
		client := newClient(t, b, config{Settings: tt.settings})
		want := b.Clock().Now().Add(tt.want)
		_, err := within(t, b, client, time.Second, resilience.Safe("m"), func(ctx context.Context, _ *selector.Node) error {
			if got, ok := ctx.Deadline(); !ok || !got.Equal(want) {
				t.Errorf("%s: the op sees %v, %v; want %v", tt.name, got, ok, want)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// go-micro's pauses are time.Sleep: they go on when the caller has gone.
func TestGoMicroDefect_SleepIgnoresContext(t *testing.T) {
	t.Parallel()
	b := newBench(forever(fails(resilience.NotSent)))
	client := newClient(t, b, config{Intervals: func() backoff.BackOff { return backoff.NewConstantBackOff(time.Hour) }})
	var err error
	b.Run(func() {
		ctx, cancel := b.Clock().WithCancel(context.Background())
		b.Go(func() { b.Sleep(time.Second); cancel(nil) })
		err = client.Do(ctx, resilience.Safe("m"), b.Op)
	})
	if !errors.Is(err, context.Canceled) || !errors.Is(err, errOp) || b.Elapsed() != time.Second || b.Attempts("a") != 1 {
		t.Errorf("%v after %v and %d attempts, want the end with the caller's, after 1s", err, b.Elapsed(), b.Attempts("a"))
	}
}

// With one of two nodes dead and three retries, 235 of go-micro's 5000 calls
// fail: a retry may go to the node that has just failed.
func TestGoMicroDefect_RetryHitsSameNode(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"two-choices", "random", "round-robin", "weighted"} {
		b := newBench(forever(fails(resilience.Ambiguous)), nil)
		settings := sets{Strategy: strategy, Attempts: 2, Backoff: noPause, Budget: resilience.BudgetSettings{Share: -1}}
		settings.Ejection.Off = true
		client := newClient(t, b, config{Settings: settings})
		for range 200 {
			if err := do(t, b, client, resilience.Safe("m"), b.Op); err != nil {
				t.Fatalf("%s: %v", strategy, err)
			}
		}
		if strategy != "two-choices" && b.Attempts("a") < 50 { // which learns, and stays away
			t.Errorf("%s: only %d attempts at the dead node", strategy, b.Attempts("a"))
		}
	}
}

// go-micro does not retry a refused connection, which is safe whatever the
// call does: with one of two nodes dead 1769 of 5000 calls fail. And it does
// retry a timeout, which is not.
func TestGoMicroDefect_RefusedConnectionNotRetried(t *testing.T) {
	t.Parallel()
	b := newBench(forever(fails(resilience.NotSent)), forever(reply{After: 10 * ms}))
	client := newClient(t, b, config{})
	for range 500 {
		if err := do(t, b, client, resilience.Unsafe("m"), b.Op); err != nil {
			t.Fatal(err)
		}
	}
	if b.Attempts("a") == 0 || b.Attempts("b") != 500 {
		t.Errorf("%d attempts at the dead node, %d at the other; want some, and 500", b.Attempts("a"), b.Attempts("b"))
	}
}

// go-micro ejects nobody, and the blacklist that it had before went by
// business errors: a node was out for what its callers had asked wrongly.
func TestGoMicroDefect_MarkDoesNothing(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		outcome resilience.Outcome
		ejected bool
	}{"fails": {resilience.Ambiguous, true}, "cannot be reached": {resilience.NotSent, true}, "says no": {resilience.Failed, false}} {
		b := newBench(forever(fails(tt.outcome)), nil, nil)
		client := newClient(t, b, config{Settings: sets{Backoff: noPause}})
		b.Run(func() {
			for range 100 {
				_ = client.Do(context.Background(), resilience.Safe("m"), b.Op)
				b.Sleep(20 * ms)
			}
		})
		ejected := false
		for _, e := range b.Events(resilience.NodeEvent) {
			ejected = ejected || e.Change.Kind == selector.Ejected && e.Node.ID == "a"
		}
		if ejected != tt.ejected {
			t.Errorf("a node that %s: ejected %v, want %v", name, ejected, tt.ejected)
		}
	}
}

// In go-micro the client's own failure to connect and one that a server passes
// on from behind it are the same text: nobody can tell that the second call
// was carried out in part.
func TestGoMicroDefect_NestedDialErrorTakenForOurs(t *testing.T) {
	t.Parallel()
	theirs := errors.New(`{"id":"go.micro.client","code":500,"detail":"connection error: dial tcp 10.0.0.7:8080: connect: connection refused"}`)
	b := newBench(forever(reply{Err: theirs}), nil)
	client := newClient(t, b, config{})
	err := do(t, b, client, resilience.Unsafe("m"), b.Op)
	if e := callError(t, err); !e.Ambiguous() || e.Why != retry.NotRepeatable || b.Attempts("b") != 0 {
		t.Errorf("%v; want doubt, and no other attempt", err)
	}
}
