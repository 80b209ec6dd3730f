package stacks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/afex/hystrix-go/hystrix"
	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// Hystrix is a hystrix-go command a node under backoff/v4's Retry. Commands
// live in a registry of the process and for ever, so a client's names are made
// once: one a node and client.
type Hystrix struct{ harness.OverHTTP }

// Name implements harness.Stack.
func (Hystrix) Name() string { return "hystrix-backoff" }

// Info implements harness.Stack.
func (Hystrix) Info() harness.Info {
	return harness.Info{
		What: "net/http, an afex/hystrix-go command per node, under cenkalti/backoff/v4's Retry",
		Config: "hystrix.DoC; CommandConfig{Timeout: 250, MaxConcurrentRequests: 100, ErrorPercentThreshold: 25}, as its README " +
			"but for Timeout 1000, all else at its defaults: 20 requests in 10 s, sleep window 5 s; what it has given up goes on " +
			"until the call's deadline, as is its way; who is let in by no circuit is passed to the next node at once; " +
			Backoff{}.Info().Config,
	}
}

// hystrixCommand counts clients, so that those of one process share nothing.
var hystrixCommand atomic.Uint64

// Dial implements harness.Stack.
func (Hystrix) Dial(cfg harness.ClientConfig) (harness.Client, error) {
	hystrixListen.Do(func() { hystrix.SetLogger(&hystrixLog) })
	c := &hystrixClient{plain: newPlain(cfg), turns: turns{nodes: len(cfg.Nodes)}}
	number := hystrixCommand.Add(1)
	for _, n := range cfg.Nodes {
		name := fmt.Sprintf("%s/%d", n.ID, number)
		hystrixLog.nodes.Store(name, hystrixNode{c.plain, n.ID})
		c.commands = append(c.commands, name)
		hystrix.ConfigureCommand(name, hystrix.CommandConfig{
			Timeout: int(attemptTimeout / time.Millisecond), MaxConcurrentRequests: 100, ErrorPercentThreshold: 25,
		})
	}
	return c, nil
}

type hystrixClient struct {
	*plain
	turns    turns
	commands []string
}

// Do implements harness.Client.
func (c *hystrixClient) Do(ctx context.Context, route harness.Route, id string) (string, error) {
	number := 0
	return backoff.RetryWithData(func() (string, error) {
		number++
		return c.turns.through(hystrixRejects, func(node int) (string, error) { return c.command(ctx, route, id, number, node) })
	}, backoff.WithContext(pauses(), ctx))
}

// command is one attempt. Its answer comes by a channel: a run that has timed
// out goes on, and must not write what its caller has.
func (c *hystrixClient) command(ctx context.Context, route harness.Route, id string, number, node int) (string, error) {
	answers := make(chan string, 1)
	err := hystrix.DoC(ctx, c.commands[node], func(ctx context.Context) error {
		answer, err := c.attempt(ctx, route, id, number, c.cfg.Nodes[node])
		answers <- answer
		return err
	}, nil)
	if err != nil {
		return "", err
	}
	return <-answers, nil
}

func hystrixRejects(err error) bool {
	return errors.Is(err, hystrix.ErrCircuitOpen) || errors.Is(err, hystrix.ErrMaxConcurrency)
}

// hystrixLog is hystrix's log, the only place where it says that a circuit
// opens or closes.
var (
	hystrixLog    hystrixLogger
	hystrixListen sync.Once
)

type hystrixLogger struct{ nodes sync.Map } // hystrixNode by the command's name

type hystrixNode struct {
	client *plain
	id     string
}

func (n hystrixNode) changed(opened, closed bool) { n.client.changed(n.id, opened, closed) }

// Printf implements hystrix's logger.
func (l *hystrixLogger) Printf(format string, items ...any) {
	opened := strings.HasPrefix(format, "hystrix-go: opening circuit")
	closed := strings.HasPrefix(format, "hystrix-go: closing circuit")
	if !opened && !closed || len(items) == 0 {
		return
	}
	if n, ok := l.nodes.Load(items[0]); ok {
		n.(hystrixNode).changed(opened, closed)
	}
}

// Close implements harness.Client. The circuits stay: hystrix's Flush purges
// those of all clients, and leaves their goroutines.
func (c *hystrixClient) Close() error {
	for _, name := range c.commands {
		hystrixLog.nodes.Delete(name)
	}
	return c.plain.Close()
}
