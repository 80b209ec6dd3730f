package resilience_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// TestUpstreamCreditIsShared: calls that are made while one request is served
// spend one credit, however many they are and whichever client makes them.
func TestUpstreamCreditIsShared(t *testing.T) {
	t.Parallel()
	const credit, calls = 5, 40
	ctx, account := resilience.WithUpstream(t.Context(), resilience.Upstream{Limited: true, Credit: credit})
	var attempts, out sync.Map
	var all sync.WaitGroup
	for c := range 2 {
		client, err := resilience.New(resilience.Config{Nodes: selector.Addrs("a:1", "b:1", "c:1")})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close() //nolint:errcheck // static nodes
		for i := range calls / 2 {
			all.Go(func() {
				n := 0
				err := client.Do(ctx, resilience.Safe("m"), func(context.Context, *selector.Node) error {
					n++
					return errors.New("no")
				})
				attempts.Store([2]int{c, i}, n)
				var e *resilience.Error
				if errors.As(err, &e) && e.Why == retry.NoCredit {
					out.Store([2]int{c, i}, true)
				}
			})
		}
	}
	all.Wait()
	extra, limited := 0, 0
	attempts.Range(func(_, n any) bool { extra += n.(int) - 1; return true })
	out.Range(func(any, any) bool { limited++; return true })
	if extra != credit || account.Retries() != credit || limited < calls-credit {
		t.Errorf("%d retries, %d accounted, %d calls ended for want of credit; want %d, %d, at least %d",
			extra, account.Retries(), limited, credit, credit, calls-credit)
	}
}

// TestUpstreamRefunds: a retry that was paid for and not made, since the caller
// left during the pause, is not accounted.
func TestUpstreamRefunds(t *testing.T) {
	t.Parallel()
	client, err := resilience.New(resilience.Config{Nodes: selector.Addrs("a:1")})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close() //nolint:errcheck // static nodes
	ctx, account := resilience.WithUpstream(t.Context(), resilience.Upstream{Limited: true, Credit: 1})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o := resilience.Refused
	o.After = time.Hour
	err = client.Do(ctx, resilience.Safe("m"), func(context.Context, *selector.Node) error {
		time.AfterFunc(10*time.Millisecond, cancel)
		return resilience.Mark(errors.New("later"), o)
	})
	if !errors.Is(err, context.Canceled) || account.Retries() != 0 {
		t.Errorf("%v, %d retries accounted; want cancelled and none", err, account.Retries())
	}
}

// TestUpstreamRetryIsPaidOnce: a request that is a retry already, of a caller
// that sets no limit, costs the budget underneath one more, once.
func TestUpstreamRetryIsPaidOnce(t *testing.T) {
	t.Parallel()
	client, err := resilience.New(resilience.Config{
		Settings: resilience.Settings{Budget: resilience.BudgetSettings{Floor: 1e-9, Share: 1e-9}}, // one can be saved up
		Nodes:    selector.Addrs("a:1", "b:1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close() //nolint:errcheck // static nodes
	ctx, account := resilience.WithUpstream(t.Context(), resilience.Upstream{Attempt: 2})
	err = client.Do(ctx, resilience.Safe("m"), func(context.Context, *selector.Node) error { return errors.New("no") })
	var e *resilience.Error
	if !errors.As(err, &e) || e.Why != retry.OverBudget || len(e.Attempts) != 1 || account.Retries() != 0 {
		t.Errorf("%v: want one attempt, and the budget exhausted by the request's own", err)
	}
}

// TestChargeIsBounded: what one answer reports cannot empty a budget for good.
func TestChargeIsBounded(t *testing.T) {
	t.Parallel()
	client, err := resilience.New(resilience.Config{Nodes: selector.Addrs("a:1")})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close() //nolint:errcheck // static nodes
	ctx, account := resilience.WithUpstream(t.Context(), resilience.Upstream{})
	err = client.Call(ctx, resilience.Safe("m"), func(ctx context.Context, call *resilience.Call) error {
		call.Charge(ctx, 1e9)
		call.Charge(ctx, -5)
		return nil
	})
	if err != nil || account.Retries() != 32 {
		t.Errorf("%v, %d accounted; want 32 of them believed", err, account.Retries())
	}
}
