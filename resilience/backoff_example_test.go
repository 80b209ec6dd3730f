package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// sender stands for a client that you have; its answer is lost twice.
type sender struct{ lost int }

func (s *sender) send(context.Context, string) error {
	if s.lost < 2 {
		s.lost++
		return errors.New("connection reset by peer")
	}
	return nil
}

// policy is a back-off that a team has.
func policy() backoff.BackOff {
	return backoff.WithMaxRetries(backoff.NewConstantBackOff(time.Millisecond), 4)
}

// Before: backoff's own loop, around calls to one address.
func Example_backoffBefore() {
	ctx, users := context.Background(), new(sender)
	err := backoff.Retry(func() error {
		return users.send(ctx, "10.0.0.1:8080")
	}, backoff.WithContext(policy(), ctx))
	fmt.Println(err)
	// Output: <nil>
}

// After: the same pauses, between attempts that may go to another node.
func Example_backoffAfter() {
	ctx, users := context.Background(), new(sender)
	client, err := resilience.New(resilience.Config{
		Nodes:     selector.Addrs("10.0.0.1:8080", "10.0.0.2:8080"),
		Intervals: policy,
		Settings:  resilience.Settings{Attempts: 5, AttemptTimeout: time.Second},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()
	err = client.Do(ctx, resilience.Idempotent("send"), func(ctx context.Context, node *selector.Node) error {
		return users.send(ctx, node.Addr)
	})
	fmt.Println(err)
	// Output: <nil>
}
