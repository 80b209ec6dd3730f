// Package relay tells one listener what happened: in order, one event at a
// time, and outside every lock, so that the listener may call whatever told
// it.
package relay

import (
	"sync"
	"sync/atomic"
)

// Relay is a queue of events on their way to a listener. The zero Relay has no
// listener and keeps nothing. It is safe for concurrent use.
type Relay[E any] struct {
	Listen func(E) // set before the first Add, if at all

	waiting atomic.Int32 // len(queue)
	mu      sync.Mutex
	queue   []E
	busy    bool
}

// Add queues an event. It calls nobody, and may be called with locks held.
func (r *Relay[E]) Add(e E) {
	if r.Listen == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = append(r.queue, e)
	r.waiting.Add(1)
}

// Drain delivers what is queued, unless somebody is at it already: then that
// one delivers ours too. Call it without locks, after Add. With nothing queued
// it costs a load. A listener that panics or ends its goroutine loses its own
// event only: what is behind it comes with the next Drain.
func (r *Relay[E]) Drain() {
	if r.waiting.Load() == 0 {
		return
	}
	r.mu.Lock()
	if r.busy {
		r.mu.Unlock()
		return
	}
	r.busy = true
	defer func() {
		r.busy = false
		r.mu.Unlock()
	}()
	for len(r.queue) > 0 {
		e := r.queue[0]
		r.queue = r.queue[1:]
		r.waiting.Add(-1)
		r.call(e)
	}
	r.queue = nil
}

// call runs the listener without the lock, and takes it again whatever the
// listener does.
func (r *Relay[E]) call(e E) {
	r.mu.Unlock()
	defer r.mu.Lock()
	r.Listen(e)
}
