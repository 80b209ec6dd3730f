package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// greet stands for a client that you have: it speaks to one address.
func greet(_ context.Context, addr, name string) (string, error) {
	if addr == "10.0.0.1:8080" {
		return "", &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}
	return "hello " + name, nil
}

// A function that calls one of several instances, in ten lines. One of the two
// is dead, and nobody notices.
func Example() {
	client, err := resilience.New(resilience.Config{Service: "hello", Nodes: selector.Addrs("10.0.0.1:8080", "10.0.0.2:8080")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()
	for range 5 {
		text, err := resilience.Do(context.Background(), client, resilience.Safe("greet"),
			func(ctx context.Context, node *selector.Node) (string, error) { return greet(ctx, node.Addr, "gopher") })
		fmt.Println(text, err)
	}
	// Output:
	// hello gopher <nil>
	// hello gopher <nil>
	// hello gopher <nil>
	// hello gopher <nil>
	// hello gopher <nil>
}

// A payment whose answer is lost may have been made: it is not tried again,
// and the error says so. With a key by which the server deduplicates it is.
func ExampleClient_Do() {
	client, err := resilience.New(resilience.Config{Service: "bank", Nodes: selector.Addrs("a", "b")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()
	attempts := 0
	pay := func(context.Context, *selector.Node) error {
		if attempts++; attempts == 1 {
			return errors.New("connection reset by peer")
		}
		return nil
	}

	err = client.Do(context.Background(), resilience.Unsafe("pay"), pay)
	var e *resilience.Error
	if errors.As(err, &e) {
		fmt.Println(attempts, e.Why, resilience.IsAmbiguous(err))
	}

	attempts = 0
	err = client.Do(context.Background(), resilience.Keyed("pay", "8e03978e"), pay)
	fmt.Println(attempts, err)
	// Output:
	// 1 not repeatable true
	// 2 <nil>
}

// Each attempt has its own result; that of the one that succeeded is returned.
func ExampleDo() {
	client, err := resilience.New(resilience.Config{Nodes: selector.Addrs("10.0.0.1:8080", "10.0.0.2:8080")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()
	text, err := resilience.Do(context.Background(), client, resilience.Safe("greet"),
		func(ctx context.Context, node *selector.Node) (string, error) {
			return greet(ctx, node.Addr, "gopher")
		})
	fmt.Println(text, err)
	// Output: hello gopher <nil>
}

// An op says what it knows: here, that the answer is an answer, and that the
// server asked to come back later.
func ExampleMark() {
	client, err := resilience.New(resilience.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()
	errMissing := errors.New("no such account")
	err = client.Do(context.Background(), resilience.Unsafe("debit"), func(context.Context, *selector.Node) error {
		return resilience.Mark(errMissing, resilience.Failed)
	})
	fmt.Println(err, errors.Is(err, errMissing))

	attempts := 0
	err = client.Do(context.Background(), resilience.Unsafe("debit"), func(context.Context, *selector.Node) error {
		if attempts++; attempts > 1 {
			return nil
		}
		busy := resilience.Refused
		busy.After = 5 * time.Millisecond
		return resilience.Mark(errors.New("busy"), busy)
	})
	fmt.Println(err, attempts)
	// Output:
	// no such account true
	// <nil> 2
}

// A fallback answers where the service cannot.
func ExampleFallback() {
	price := 0
	client, err := resilience.New(resilience.Config{
		Settings: resilience.Settings{Attempts: 1},
		Fallback: func(_ context.Context, call *resilience.Call, err error) error {
			fmt.Println("instead of", call.Method, "because of:", err)
			price = 42 // from a cache
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()
	err = client.Do(context.Background(), resilience.Safe("price"), func(context.Context, *selector.Node) error {
		return resilience.Mark(errors.New("no route to host"), resilience.NotSent)
	})
	fmt.Println(price, err)
	// Output:
	// instead of price because of: price: attempts exhausted after 1 attempt (not sent): no route to host
	// 42 <nil>
}

// The pieces that a Client is built from can be stacked by hand: here a retry
// over one breaker, for a thing that is no set of nodes.
func ExampleStack() {
	disk, err := breaker.New("disk", breaker.Config{Rule: breaker.Consecutive{N: 2}})
	if err != nil {
		fmt.Println(err)
		return
	}
	once := func() backoff.BackOff { return backoff.WithMaxRetries(&backoff.ZeroBackOff{}, 1) }
	stack := resilience.Stack(
		resilience.Bulkhead(8),
		resilience.Retry(resilience.Retries{Policy: retry.Policy{Attempts: 5, Backoff: once}}),
		resilience.Break(func(*resilience.Call) breaker.Breaker { return disk }, nil),
	)
	read := stack(func(context.Context, *resilience.Call) error { return errors.New("input/output error") })

	err = read(context.Background(), &resilience.Call{Method: "read", Idempotency: retry.Safe})
	fmt.Println(err)
	fmt.Println(disk.State())
	// Output:
	// read: may have been carried out: stopped after 2 attempts (ambiguous, ambiguous): input/output error
	// open
}

// limiter is what golang.org/x/time/rate.Limiter has.
type limiter interface {
	Wait(ctx context.Context) error
}

// rateLimited waits for its turn before each attempt. A turn that would come
// too late was never sent.
func rateLimited(l limiter) resilience.Wrapper {
	return func(next resilience.Func) resilience.Func {
		return func(ctx context.Context, call *resilience.Call) error {
			if err := l.Wait(ctx); err != nil {
				return resilience.Mark(err, resilience.Rejected)
			}
			return next(ctx, call)
		}
	}
}

// turns is a limiter that has a few turns left.
type turns int

func (n *turns) Wait(context.Context) error {
	if *n--; *n < 0 {
		return errors.New("rate limit: no turn left")
	}
	return nil
}

// Rate limiting is a wrapper of five lines around x/time/rate.
func ExampleWrapper() {
	left := turns(2)
	client, err := resilience.New(resilience.Config{
		WrapAttempt: []resilience.Wrapper{rateLimited(&left)}, // rate.NewLimiter(100, 10)
		Settings:    resilience.Settings{Attempts: 1},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()
	for range 3 {
		fmt.Println(client.Do(context.Background(), resilience.Safe("get"), func(context.Context, *selector.Node) error { return nil }))
	}
	// Output:
	// <nil>
	// <nil>
	// get: attempts exhausted after 1 attempt (rejected): rate limit: no turn left
}

// New settings count for the calls that begin after them; what is known of the
// nodes stays.
func ExampleClient_Update() {
	client, err := resilience.New(resilience.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()
	settings := client.Settings()
	settings.Attempts, settings.Bulkhead, settings.Strategy = 500, -1, "best"
	fmt.Println(client.Update(settings))
	// Output:
	// resilience: attempts 500: want 1 to 100 (0: default)
	// resilience: strategy "best": want "two-choices", "round-robin", "random" or "weighted"
	// resilience: bulkhead -1: want 0 (no limit) or more calls at once
}

// Thresholds are tried on live calls before they are put into force: what they
// would have done is told, and nothing is done.
func ExampleClient_Shadow() {
	client, err := resilience.New(resilience.Config{
		Service: "users", Nodes: selector.Addrs("10.0.0.1:8080", "10.0.0.2:8080"),
		Observer: resilience.ObserverFunc(func(e resilience.Event) {
			if e.Kind == resilience.CandidateEvent && e.Change != nil {
				fmt.Println(e.Node, "would have been", e.Change.Kind, "for at least", e.Change.OpenFor)
			}
		}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()
	candidate := client.Settings()
	candidate.Ejection.FalseAlarm = 1e4
	if err := client.Shadow(&candidate); err != nil {
		fmt.Println(err)
		return
	}
	for range 100 {
		_ = client.Do(context.Background(), resilience.Safe("greet"), func(context.Context, *selector.Node) error { return nil })
	}
	for _, status := range client.Candidate().Selector.Nodes() {
		fmt.Println(status.Node, status.Ejected)
	}
	// Output:
	// 10.0.0.1:8080 false
	// 10.0.0.2:8080 false
}
