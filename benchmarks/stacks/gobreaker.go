package stacks

import (
	"context"
	"errors"

	"github.com/cenkalti/backoff/v4"
	"github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// GoBreaker is a gobreaker v2 a node under backoff/v4's Retry.
type GoBreaker struct{ harness.OverHTTP }

// Name implements harness.Stack.
func (GoBreaker) Name() string { return "gobreaker-backoff" }

// Info implements harness.Stack.
func (GoBreaker) Info() harness.Info {
	return harness.Info{
		What: "net/http, a sony/gobreaker v2 per node, under cenkalti/backoff/v4's Retry",
		Config: "gobreaker.Settings{IsExcluded: context.Canceled, as its doc comment has it}, all else at its defaults: opens at 6 " +
			"consecutive failures for 60 s; who is let in by no breaker is passed to the next node at once; " + Backoff{}.Info().Config,
	}
}

// Dial implements harness.Stack.
func (GoBreaker) Dial(cfg harness.ClientConfig) (harness.Client, error) {
	c := &gobreakerClient{plain: newPlain(cfg), turns: turns{nodes: len(cfg.Nodes)}}
	for _, n := range cfg.Nodes {
		c.breakers = append(c.breakers, gobreaker.NewCircuitBreaker[string](gobreaker.Settings{
			Name:       n.ID,
			IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
			OnStateChange: func(node string, _, to gobreaker.State) {
				c.changed(node, to == gobreaker.StateOpen, to == gobreaker.StateClosed)
			},
		}))
	}
	return c, nil
}

type gobreakerClient struct {
	*plain
	turns    turns
	breakers []*gobreaker.CircuitBreaker[string]
}

// Do implements harness.Client.
func (c *gobreakerClient) Do(ctx context.Context, route harness.Route, id string) (string, error) {
	number := 0
	return backoff.RetryWithData(func() (string, error) {
		number++
		return c.turns.through(gobreakerRejects, func(node int) (string, error) {
			return c.breakers[node].Execute(func() (string, error) {
				ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
				defer cancel()
				return c.attempt(ctx, route, id, number, c.cfg.Nodes[node])
			})
		})
	}, backoff.WithContext(pauses(), ctx))
}

func gobreakerRejects(err error) bool {
	return errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)
}
