package microwrap

import (
	"context"
	"runtime"
	"sync"
	"time"
	"weak"

	merrors "go-micro.dev/v5/errors"
	"go-micro.dev/v5/registry"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// pick is a node that was handed out and not marked yet.
type pick struct {
	mu     sync.Mutex
	picked selector.Picked
	at     time.Time
}

// handOut makes the node that go-micro marks later. If it never does, the pick
// is given back when the node is garbage.
func (s *Selector) handOut(p *pick, n *selector.Node) *registry.Node {
	node := &registry.Node{Id: n.ID, Address: n.Addr, Metadata: n.Meta}
	key := weak.Make(node)
	s.pending.Store(key, p)
	runtime.AddCleanup(node, func(key weak.Pointer[registry.Node]) {
		if p, ok := s.pending.LoadAndDelete(key); ok {
			p.(*pick).done(selector.Report{})
		}
	}, key)
	return node
}

func (p *pick) done(r selector.Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.picked.Done(r)
}

// Mark implements go-micro's selector: it is told what became of a node that
// Select's function has returned. Nodes from elsewhere are none of its
// business.
func (s *Selector) Mark(_ string, node *registry.Node, err error) {
	if node == nil {
		return
	}
	v, ok := s.pending.LoadAndDelete(weak.Make(node))
	if !ok {
		return
	}
	p := v.(*pick)
	o := judgeUnseen(context.Background(), err)
	p.done(selector.Report{
		Result: o.Node, Elapsed: time.Since(p.at), NotSent: o.Effect == retry.None, Refused: o.Name == resilience.Refused.Name,
	})
}

// judgeUnseen judges an attempt by its error: by its mark where it has one, or
// else by its code alone.
func judgeUnseen(ctx context.Context, err error) resilience.Outcome {
	o := resilience.Classify(ctx, err)
	if o == resilience.Ambiguous {
		if e, ok := merrors.As(err); ok && e.Id != clientID && e.Id != transportID {
			return byCode(e.Code, false)
		}
		if parsed := merrors.Parse(err.Error()); parsed.Id != clientID && parsed.Id != transportID {
			return byCode(parsed.Code, false)
		}
	}
	return o
}
