package sim

import (
	"context"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// ours is the production client. Attempts end by themselves at their timeout,
// as those of httpwrap do.
type ours struct {
	client *resilience.Client
	hints  []resilience.Hint
}

// maker returns what makes the client of that index.
func (w *world) maker() (func(int) (client, error), error) {
	if w.sys.Client.Stack != Holdfast {
		return w.peers()
	}
	nodes := make([]selector.Node, w.sys.Nodes)
	for i := range nodes {
		nodes[i].ID = nodeName(i)
	}
	set := selector.Static(nodes...) // one for all, whose Close does nothing
	hints := make([]resilience.Hint, len(w.sys.Methods))
	for i, m := range w.sys.Methods {
		hints[i] = resilience.Hint{Method: m.Name, Idempotency: m.Kind}
		if m.Kind == retry.Keyed {
			hints[i].Key = m.Name // any: the server's half of a key is the call itself
		}
	}
	return func(i int) (client, error) {
		var hears resilience.Observer
		if w.observer != nil {
			hears = w.observer(i)
		}
		c, err := resilience.New(resilience.Config{
			Settings: w.sys.Client.Settings, Nodes: set, Clock: w.clk, OwnCut: true, Observer: hears,
			OnNode: func(e selector.Event) {
				switch e.Kind {
				case selector.Ejected:
					w.m.ejected(i, nodeIndex(e.Node.ID))
				case selector.Readmitted:
					w.m.readmitted(i, nodeIndex(e.Node.ID))
				}
			},
		})
		return &ours{c, hints}, err
	}, nil
}

func (o *ours) do(ctx context.Context, c *call) error {
	return o.client.Call(ctx, o.hints[c.method], c.attempt)
}

func (o *ours) close() {
	if o.client != nil {
		_ = o.client.Close()
	}
}

func (w *world) keyed(c *call) bool { return w.sys.Methods[c.method].Kind == retry.Keyed }
