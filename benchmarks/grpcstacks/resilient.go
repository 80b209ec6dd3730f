package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/grpcsettings"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/grpcwrap"
)

// resilient is holdfast on gRPC.
type resilient struct{ overGRPC }

// Name implements harness.Stack.
func (resilient) Name() string { return grpcsettings.Holdfast }

// Info implements harness.Stack.
func (resilient) Info() harness.Info { return info(grpcsettings.Holdfast) }

// Dial implements harness.Stack.
func (resilient) Dial(cfg harness.ClientConfig) (harness.Client, error) {
	nodes := make([]selector.Node, len(cfg.Nodes))
	for i, n := range cfg.Nodes {
		nodes[i] = selector.Node{ID: n.ID, Addr: n.Addr}
	}
	j := journal{cfg.Journal}
	options := grpcwrap.DialOptions(grpcwrap.Config{Config: resilience.Config{
		Nodes: selector.Static(nodes...), Observer: cfg.Observer, OnNode: j.node, WrapAttempt: []resilience.Wrapper{j.watch},
		Settings: settings,
	}})
	conn, err := grpc.NewClient("holdfast:///hello", append(options, plaintext)...)
	if err != nil {
		return nil, err
	}
	return telling{caller{conn}, j}, nil
}

var settings = resilience.Settings{Methods: map[string]resilience.MethodSettings{
	grpcsettings.Get: {Idempotency: retry.Safe}, grpcsettings.List: {Idempotency: retry.Safe},
}}

// telling is a caller that knows more.
type telling struct {
	caller
	journal journal
}

type callKey struct{}

// call is one, in its context. Its attempts do not overlap.
type call struct {
	id      string
	route   harness.Route
	notSent bool // the last attempt was not
}

// Do implements harness.Client.
func (c telling) Do(ctx context.Context, route harness.Route, id string) (string, error) {
	return c.caller.Do(context.WithValue(ctx, callKey{}, &call{id: id, route: route}), route, id)
}

// Ambiguous implements harness.Client.
func (telling) Ambiguous(err error) bool { return resilience.IsAmbiguous(err) }

// journal is where it says what it does.
type journal struct{ *harness.Journal }

func (j journal) node(e selector.Event) {
	entry := harness.Entry{End: e.At}
	switch e.Kind {
	case selector.Ejected:
		entry.Kind, entry.Detail = harness.Ejected, fmt.Sprintf("%d failures, score %.1f", e.Reason.Failures, e.Reason.Score)
	case selector.Readmitted:
		entry.Kind = harness.Readmitted
	default:
		return
	}
	entry.Node = e.Node.ID
	j.Add(entry)
}

// watch writes down the attempts.
func (j journal) watch(next resilience.Func) resilience.Func {
	return func(ctx context.Context, attempt *resilience.Call) error {
		c := ctx.Value(callKey{}).(*call)
		e := harness.Entry{
			Kind: harness.TriedNode, Route: c.route, ID: c.id, Attempt: attempt.Attempt, Node: attempt.Node.ID, Start: time.Now(),
		}
		if e.Attempt > 1 {
			j.Add(harness.Entry{
				Kind: harness.Retried, Route: e.Route, ID: e.ID, Attempt: e.Attempt, Node: e.Node, End: e.Start, NotSent: c.notSent,
			})
		}
		err := next(ctx, attempt)
		e.End = time.Now()
		if err != nil {
			o := resilience.Classify(ctx, err)
			e.Detail, e.NotSent = fmt.Sprintf("%v: %v", o, err), o.Effect == retry.None
		}
		c.notSent = e.NotSent
		j.Add(e)
		return err
	}
}
