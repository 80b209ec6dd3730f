// Package news is what sources of nodes have in common: they report what is
// news, once, and nothing after their end.
package news

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/selector"
)

// Desk reports for one source. The zero Desk is ready to use. Its methods are
// safe for concurrent use, but Tell, which follow one another.
type Desk struct {
	clk clock.Clock // set by Open

	mu      sync.Mutex // everything below; report is called without it
	report  func([]selector.Node, error)
	closed  bool
	cancel  context.CancelCauseFunc
	stop    func() bool // ends the timer of Later
	last    []selector.Node
	problem string // what was reported last; empty after a good look
}

// Open begins to report. It returns a context that ends with Close, and the
// clock: clk, or the real one for nil. It fails when it was called before, and
// after Close.
func (d *Desk) Open(clk clock.Clock, report func([]selector.Node, error)) (context.Context, clock.Clock, error) {
	if clk == nil {
		clk = clock.System
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return nil, nil, errors.New("the source is closed")
	case d.report != nil:
		return nil, nil, errors.New("the source is watched already; each client needs its own")
	}
	var ctx context.Context
	ctx, d.cancel = clk.WithCancel(context.Background())
	d.clk, d.report = clk, report
	return ctx, clk, nil
}

// Close ends the reports, the context and the timer. It does not wait for a
// report that is under way, since it may be called from there.
func (d *Desk) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.stop != nil {
		d.stop()
	}
	if d.cancel != nil {
		d.cancel(nil)
	}
}

// Later does something after a while, concurrently, unless Close comes first.
// One thing at a time can wait so.
func (d *Desk) Later(wait time.Duration, what func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.stop = d.clk.AfterFunc(wait, func() { d.clk.Go(what) })
	}
}

// Tell reports the nodes, if they are others than last time and there are any,
// and the error, if it is another. They must be in an order that does not
// change.
func (d *Desk) Tell(nodes []selector.Node, err error) {
	changed, troubled := d.judge(nodes, err)
	if changed {
		d.report(nodes, nil)
	}
	if troubled {
		d.report(nil, err)
	}
}

func (d *Desk) judge(nodes []selector.Node, err error) (changed, troubled bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false, false
	}
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	troubled = err != nil && problem != d.problem
	d.problem = problem
	if changed = len(nodes) > 0 && !slices.EqualFunc(nodes, d.last, same); changed {
		d.last = nodes
	}
	return changed, troubled
}

func same(a, b selector.Node) bool {
	return a.ID == b.ID && a.Addr == b.Addr && a.Weight == b.Weight && a.Zone == b.Zone && maps.Equal(a.Meta, b.Meta)
}
