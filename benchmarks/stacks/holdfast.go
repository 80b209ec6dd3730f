package stacks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// Holdfast is an http.Client over httpwrap, with default settings. POSTs carry
// no idempotency key.
type Holdfast struct{ harness.OverHTTP }

const holdfastHost = "hello"

// Name implements harness.Stack.
func (Holdfast) Name() string { return "holdfast" }

// Info implements harness.Stack.
func (Holdfast) Info() harness.Info {
	return harness.Info{
		What:   "holdfast's http.Client (wrapper/httpwrap), default settings, POSTs without a key",
		Config: "httpwrap.Config{Services: {\"hello\": {Nodes: selector.Static(…)}}}; resilience.Settings{}",
	}
}

// Dial implements harness.Stack.
func (Holdfast) Dial(cfg harness.ClientConfig) (harness.Client, error) {
	return dialHoldfast(cfg, false)
}

func dialHoldfast(cfg harness.ClientConfig, keyed bool) (harness.Client, error) {
	h := &holdfastClient{journal: cfg.Journal, keyed: keyed}
	nodes := make([]selector.Node, len(cfg.Nodes))
	for i, n := range cfg.Nodes {
		nodes[i] = selector.Node{ID: n.ID, Addr: n.Addr}
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxIdleConnsPerHost = 64 // as httpwrap's own
	base.DialContext = (&bornDialer{base.DialContext}).dial
	transport, err := httpwrap.New(httpwrap.Config{
		Base: base,
		Services: map[string]resilience.Config{holdfastHost: {
			Nodes:       selector.Static(nodes...),
			OnNode:      h.node,
			Observer:    cfg.Observer,
			WrapAttempt: []resilience.Wrapper{h.watch},
		}},
	})
	if err != nil {
		return nil, err
	}
	h.transport, h.client = transport, &http.Client{Transport: transport}
	return h, nil
}

// holdfastClient is holdfast's client and what it does, as seen from within
// its retry loop.
type holdfastClient struct {
	client    *http.Client
	transport *httpwrap.Transport
	journal   *harness.Journal
	keyed     bool   // POSTs have a key
	prefix    string // of the nodes' IDs, which the journal has without
}

// holdfastCall is one call, kept in its context. Its attempts do not overlap.
type holdfastCall struct {
	id    string
	route harness.Route

	mu      sync.Mutex
	born    time.Time // when the dial of the attempt's first connection began
	notSent bool      // the last attempt that ended was not
}

type holdfastCallKey struct{}

// Do implements harness.Client.
func (h *holdfastClient) Do(ctx context.Context, route harness.Route, id string) (string, error) {
	call := &holdfastCall{id: id, route: route}
	ctx = context.WithValue(ctx, holdfastCallKey{}, call)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: call.gotConn})
	req, err := harness.NewRequest(ctx, "http://"+holdfastHost, route, id)
	if err != nil {
		return "", err
	}
	if h.keyed && route == harness.Post {
		req.Header.Set(harness.IdempotencyKey, id)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	node, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err == nil && resp.StatusCode == http.StatusOK {
		return string(node), nil
	}
	if err == nil {
		err = errors.New(resp.Status)
	}
	// The answer said that it failed, or was lost on its way: the call's facts
	// know the first, and of the second only that it may have been carried out.
	lost := resp.StatusCode == http.StatusOK
	return "", &answerError{err, lost || httpwrap.Result(resp, nil).Ambiguous}
}

// answerError is an answer that is no success.
type answerError struct {
	err       error
	ambiguous bool
}

func (e *answerError) Error() string { return e.err.Error() }
func (e *answerError) Unwrap() error { return e.err }

// Ambiguous implements harness.Client.
func (*holdfastClient) Ambiguous(err error) bool {
	var answer *answerError
	if errors.As(err, &answer) {
		return answer.ambiguous
	}
	return resilience.IsAmbiguous(err)
}

// Close implements harness.Client.
func (h *holdfastClient) Close() error { return h.transport.Close() }

// node writes what happens to the nodes to the journal.
func (h *holdfastClient) node(e selector.Event) {
	entry := harness.Entry{End: e.At}
	switch e.Kind {
	case selector.Ejected:
		entry.Kind = harness.Ejected
		entry.Detail = fmt.Sprintf("%d failures, score %.1f", e.Reason.Failures, e.Reason.Score)
	case selector.Readmitted:
		entry.Kind = harness.Readmitted
	default:
		return
	}
	entry.Node = strings.TrimPrefix(e.Node.ID, h.prefix)
	h.journal.Add(entry)
}

// watch writes the attempts of a call to the journal.
func (h *holdfastClient) watch(next resilience.Func) resilience.Func {
	return func(ctx context.Context, attempt *resilience.Call) error {
		call := ctx.Value(holdfastCallKey{}).(*holdfastCall)
		e := harness.Entry{
			Kind: harness.TriedNode, Route: call.route, ID: call.id, Attempt: attempt.Attempt,
			Node: strings.TrimPrefix(attempt.Node.ID, h.prefix), Start: time.Now(),
		}
		call.mu.Lock()
		call.born = time.Time{}
		notSent := call.notSent
		call.mu.Unlock()
		if e.Attempt > 1 {
			h.journal.Add(harness.Entry{
				Kind: harness.Retried, Route: e.Route, ID: e.ID, Attempt: e.Attempt, Node: e.Node, End: e.Start, NotSent: notSent,
			})
		}
		err := next(ctx, attempt)
		e.End = time.Now()
		if err != nil {
			outcome := resilience.Classify(ctx, err)
			e.Detail, e.NotSent = fmt.Sprintf("%v: %v", outcome, err), outcome.Effect == retry.None
		}
		call.mu.Lock()
		call.notSent, e.Born = e.NotSent, call.born
		call.mu.Unlock()
		h.journal.Add(e)
		return err
	}
}

func (c *holdfastCall) gotConn(info httptrace.GotConnInfo) {
	if conn, ok := info.Conn.(*bornConn); ok {
		c.sentOn(conn.born)
	}
}

func (c *holdfastCall) sentOn(born time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.born.IsZero() {
		c.born = born
	}
}

// bornDialer makes connections that know their age.
type bornDialer struct {
	next func(ctx context.Context, network, addr string) (net.Conn, error)
}

type bornConn struct {
	net.Conn
	born time.Time
}

func (d *bornDialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	born := time.Now()
	conn, err := d.next(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &bornConn{conn, born}, nil
}
