package stacks

import (
	"context"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// Bare is net/http's client and nothing else: round robin over the nodes, one
// attempt. It shows what the faults do to a client that does nothing about
// them.
type Bare struct{ harness.OverHTTP }

// Name implements harness.Stack.
func (Bare) Name() string { return "bare" }

// Info implements harness.Stack.
func (Bare) Info() harness.Info {
	return harness.Info{
		What:   "net/http alone: round robin, one attempt",
		Config: "http.Transport{MaxIdleConnsPerHost: 64}, the call's deadline; no retries, no ejection",
	}
}

// Dial implements harness.Stack.
func (Bare) Dial(cfg harness.ClientConfig) (harness.Client, error) {
	return &bareClient{plain: newPlain(cfg)}, nil
}

type bareClient struct {
	*plain
	next atomic.Uint64
}

// Do implements harness.Client.
func (c *bareClient) Do(ctx context.Context, route harness.Route, id string) (string, error) {
	node := c.cfg.Nodes[c.next.Add(1)%uint64(len(c.cfg.Nodes))]
	return c.attempt(ctx, route, id, 1, node)
}
