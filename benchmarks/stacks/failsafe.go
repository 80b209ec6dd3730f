package stacks

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/timeout"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// Failsafe is failsafe-go's RoundTripper with its retry policy and budget,
// over one a node with a breaker and a timeout.
type Failsafe struct{ harness.OverHTTP }

// Name implements harness.Stack.
func (Failsafe) Name() string { return "failsafe" }

// Info implements harness.Stack.
func (Failsafe) Info() harness.Info {
	return harness.Info{
		What: "failsafe-go v0.9.8's RoundTripper: retry policy and budget, over a circuit breaker per node",
		Config: "failsafehttp.NewRoundTripper(nodes, failsafehttp.NewRetryPolicyBuilder().WithBackoff(25ms, 1s).WithJitterFactor(.25)" +
			".WithBudget(budget.New())), which tries POSTs again as well; nodes: failsafehttp.NewRoundTripper(http.Transport, " +
			"circuitbreaker with HandleIf(error or 5xx).WithFailureThreshold(5).WithDelay(time.Minute).WithSuccessThreshold(2), " +
			"timeout.New(250ms)); by failsafe-go.dev/http and the first example of failsafe-go.dev/circuit-breaker (the default opens at " +
			"one failure); who is let in by no breaker is passed to the next node at once; " + sameForAll,
	}
}

// Dial implements harness.Stack.
//
//nolint:bodyclose // builders, no responses
func (Failsafe) Dial(cfg harness.ClientConfig) (harness.Client, error) {
	c := &failsafeClient{plain: newPlain(cfg), turns: turns{nodes: len(cfg.Nodes)}}
	for _, n := range cfg.Nodes {
		breaker := circuitbreaker.NewBuilder[*http.Response]().
			HandleIf(func(resp *http.Response, err error) bool { return err != nil || resp.StatusCode >= 500 }).
			WithFailureThreshold(5).WithDelay(time.Minute).WithSuccessThreshold(2).
			OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
				c.changed(n.ID, e.NewState == circuitbreaker.OpenState, e.NewState == circuitbreaker.ClosedState)
			}).Build()
		c.nodes = append(c.nodes, failsafehttp.NewRoundTripper(&failsafeNode{c.plain, n}, breaker, timeout.New[*http.Response](attemptTimeout)))
	}
	retry := failsafehttp.NewRetryPolicyBuilder().WithBackoff(firstPause, time.Second).WithJitterFactor(.25).WithBudget(budget.New()).Build()
	c.retrying = &http.Client{Transport: failsafehttp.NewRoundTripper(http.RoundTripper(c), retry)}
	return c, nil
}

type failsafeClient struct {
	*plain
	turns    turns
	nodes    []http.RoundTripper
	retrying *http.Client
}

// failsafeCall is one call, kept in its context.
type failsafeCall struct {
	id       string
	route    harness.Route
	attempts atomic.Int32
}

type failsafeCallKey struct{}

// Do implements harness.Client.
func (c *failsafeClient) Do(ctx context.Context, route harness.Route, id string) (string, error) {
	ctx = context.WithValue(ctx, failsafeCallKey{}, &failsafeCall{id: id, route: route})
	req, err := harness.NewRequest(ctx, "http://hello", route, id)
	if err != nil {
		return "", err
	}
	return answer(c.retrying.Do(req))
}

// RoundTrip implements http.RoundTripper: one attempt, at the next node whose
// breaker lets it in.
//
//nolint:bodyclose // its caller does
func (c *failsafeClient) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	req.Context().Value(failsafeCallKey{}).(*failsafeCall).attempts.Add(1)
	_, err = c.turns.through(failsafeRejects, func(node int) (string, error) {
		resp, err = c.nodes[node].RoundTrip(req)
		return "", err
	})
	return resp, err
}

func failsafeRejects(err error) bool { return errors.Is(err, circuitbreaker.ErrOpen) }

// failsafeNode sends to its node, whatever the URL says.
type failsafeNode struct {
	*plain
	node harness.Node
}

// RoundTrip implements http.RoundTripper.
//
//nolint:bodyclose // its caller does
func (n *failsafeNode) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	call := req.Context().Value(failsafeCallKey{}).(*failsafeCall)
	number := int(call.attempts.Load())
	req = req.Clone(req.Context())
	req.URL.Host = n.node.Addr
	req.Header.Set(harness.AttemptHeader, strconv.Itoa(number))
	err = n.watch(call.route, call.id, number, n.node, func() error {
		resp, err = n.client.Transport.RoundTrip(req)
		if err == nil && resp.StatusCode != http.StatusOK {
			return statusError(resp.StatusCode)
		}
		return err
	})
	var status statusError
	if errors.As(err, &status) {
		err = nil
	}
	return resp, err
}
