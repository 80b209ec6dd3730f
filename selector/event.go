package selector

import (
	"fmt"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// Kind is what happened to a node or to the set.
type Kind uint8

// The kinds of events.
const (
	NodesChanged Kind = iota // the source reported another set
	SourceFailed             // the source could not be read or believed; the last good set stays
	Ejected                  // a node was taken out
	ProbeFailed              // an ejected node was tried and stays out
	Readmitted               // an ejected node is back, on a slow start
	Prevented                // a node should go, and the cap on ejections keeps it
	Suspected                // a node is silent: it gets no new call while others can take it
	Cleared                  // a suspect has answered
)

// String returns the kind in words.
func (k Kind) String() string {
	names := [...]string{"nodes changed", "source failed", "ejected", "probe failed", "readmitted", "ejection prevented", "suspected", "cleared"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Event is one change of the set. Fields that do not apply are zero.
type Event struct {
	Kind    Kind
	At      time.Time
	Node    *Node
	OpenFor time.Duration  // how long the node will stay out at least
	Reason  breaker.Reason // why, with numbers
	Err     error          // what SourceFailed came from

	Nodes, Added, Removed int // of NodesChanged
}

// dispatcher delivers events in order, one at a time and outside every lock.
type dispatcher struct {
	listen func(Event) // never changes

	mu    sync.Mutex
	queue []Event
	busy  bool
}

func (d *dispatcher) add(e Event) {
	if d.listen == nil {
		return
	}
	d.mu.Lock()
	d.queue = append(d.queue, e)
	d.mu.Unlock()
}

// drain delivers what is queued, unless somebody is at it already: then that
// one delivers ours too. A listener that panics loses its own event only.
func (d *dispatcher) drain() {
	if d.listen == nil {
		return
	}
	d.mu.Lock()
	if d.busy {
		d.mu.Unlock()
		return
	}
	d.busy = true
	defer func() {
		d.busy = false
		d.mu.Unlock()
	}()
	for len(d.queue) > 0 {
		e := d.queue[0]
		d.queue = d.queue[1:]
		d.call(e)
	}
	d.queue = nil
}

// call runs the listener without the lock, and takes it again whatever the
// listener does.
func (d *dispatcher) call(e Event) {
	d.mu.Unlock()
	defer d.mu.Lock()
	d.listen(e)
}
