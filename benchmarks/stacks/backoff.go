package stacks

import (
	"context"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// Backoff is net/http's client in backoff/v4's Retry: round robin over the
// nodes, any error is tried again.
type Backoff struct{ harness.OverHTTP }

// Name implements harness.Stack.
func (Backoff) Name() string { return "backoff" }

// Info implements harness.Stack.
func (Backoff) Info() harness.Info {
	return harness.Info{
		What: "net/http in cenkalti/backoff/v4's Retry",
		Config: "backoff.RetryWithData(attempt, backoff.WithContext(backoff.WithMaxRetries(backoff.NewExponentialBackOff(" +
			"backoff.WithInitialInterval(25ms)), 2), ctx)), as ExampleRetryContext has it, which tries any error again, POSTs too; " +
			"all else at its defaults; " + sameForAll,
	}
}

// Dial implements harness.Stack.
func (Backoff) Dial(cfg harness.ClientConfig) (harness.Client, error) {
	return &backoffClient{newPlain(cfg), turns{nodes: len(cfg.Nodes)}}, nil
}

type backoffClient struct {
	*plain
	turns turns
}

// Do implements harness.Client.
func (c *backoffClient) Do(ctx context.Context, route harness.Route, id string) (string, error) {
	number := 0
	return backoff.RetryWithData(func() (string, error) {
		number++
		return c.turns.through(never, func(node int) (string, error) {
			ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
			defer cancel()
			return c.attempt(ctx, route, id, number, c.cfg.Nodes[node])
		})
	}, backoff.WithContext(pauses(), ctx))
}

func never(error) bool { return false }
