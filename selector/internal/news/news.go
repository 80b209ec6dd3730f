// Package news is what sources of nodes have in common: they report what is
// news, once, and nothing after their end.
package news

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/holdfast-go/holdfast/selector"
)

// Desk reports for one source. The zero Desk is ready to use. Its methods are
// safe for concurrent use, but Tell, which follow one another.
type Desk struct {
	mu      sync.Mutex // everything below; report is called without it
	report  func([]selector.Node, error)
	closed  bool
	end     func()
	last    []selector.Node
	problem string // what was reported last; empty after a good look
}

// Open begins to report. It fails when it was called before, and after Close,
// which will call end.
func (d *Desk) Open(report func([]selector.Node, error), end func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return errors.New("the source is closed")
	case d.report != nil:
		return errors.New("the source is watched already; each client needs its own")
	}
	d.report, d.end = report, end
	return nil
}

// Close ends the reports. It does not wait for one that is under way, since it
// may be called from there.
func (d *Desk) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed && d.end != nil {
		d.end()
	}
	d.closed = true
}

// Unless does something that must not be done after Close.
func (d *Desk) Unless(what func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		what()
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
