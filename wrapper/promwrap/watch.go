package promwrap

import (
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// watch is one client's observer.
type watch struct {
	s      *service
	client *resilience.Client // nil: not open yet
	ids    map[string]bool    // of the nodes in its set
}

func (s *service) watch() *watch { return &watch{s: s} }

// Observe implements resilience.Observer.
func (w *watch) Observe(e resilience.Event) {
	w.s.count(&e)
	switch e.Kind {
	case resilience.NodeEvent:
		w.note(e.Change)
	case resilience.ServiceBreakerEvent:
		w.noteBreaker(e.Breaker)
	case resilience.ClientOpened:
		w.s.mu.Lock()
		w.client = e.Client
		w.s.watches[w] = true
		w.s.guarded = w.s.guarded || e.Client.ServiceBreaker() != nil
		w.s.mu.Unlock()
		w.adopt()
	case resilience.ClientClosed:
		w.leave(e.At)
	}
}

// note keeps the time that nodes are out.
func (w *watch) note(c *selector.Event) {
	switch c.Kind {
	case selector.NodesChanged:
		w.adopt()
	case selector.Ejected:
		row := w.s.nodes.get(c.Node.ID)
		w.s.mu.Lock()
		defer w.s.mu.Unlock()
		row.out.begin(stretch{w, c.Node.ID}, c.At)
	case selector.Readmitted:
		row := w.s.nodes.get(c.Node.ID)
		w.s.mu.Lock()
		defer w.s.mu.Unlock()
		row.out.end(stretch{w, c.Node.ID}, c.At)
	}
}

func (w *watch) noteBreaker(e *breaker.Event) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.guarded = true
	if e.To == breaker.Open {
		w.s.open.begin(stretch{watch: w}, e.At)
	} else {
		w.s.open.end(stretch{watch: w}, e.At)
	}
}

// adopt learns which nodes there are. Rows of nodes that no client has any more
// go.
func (w *watch) adopt() {
	w.s.mu.Lock()
	c := w.client
	w.s.mu.Unlock()
	if c == nil {
		return
	}
	ids := make(map[string]bool)
	for _, n := range c.Selector().Nodes() {
		ids[n.Node.ID] = true
	}
	w.s.mu.Lock()
	w.ids = ids
	w.s.forget(w, c.Clock().Now())
	w.s.mu.Unlock()
	for id := range ids { // from 0 on, so that the first of anything is an increase
		w.s.nodes.get(id)
	}
}

// leave takes the client out; its time stays counted.
func (w *watch) leave(at time.Time) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	delete(w.s.watches, w)
	w.ids = nil
	w.s.open.end(stretch{watch: w}, at)
	w.s.forget(w, at)
}

// forget ends what goes on at nodes that are not in w's set, and drops those
// that are in none. Caller holds mu.
func (s *service) forget(w *watch, at time.Time) {
	for _, n := range s.nodes.list() {
		for x := range n.out.open {
			if x.watch == w && !w.ids[x.id] {
				n.out.end(x, at)
			}
		}
	}
	s.nodes.keep(func(id string) bool {
		for w := range s.watches {
			if w.ids[id] {
				return true
			}
		}
		return false
	})
}

// stretches are times that are added up: those that are over, and those that
// go on, each by its client's clock. The zero value is ready to use.
type stretches struct {
	done time.Duration
	open map[stretch]time.Time
}

// stretch is whose time it is.
type stretch struct {
	watch *watch
	id    string // of the node, if any
}

func (s *stretches) begin(x stretch, at time.Time) {
	if _, ok := s.open[x]; ok {
		return
	}
	if s.open == nil {
		s.open = make(map[stretch]time.Time)
	}
	s.open[x] = at
}

func (s *stretches) end(x stretch, at time.Time) {
	if since, ok := s.open[x]; ok {
		s.done += max(at.Sub(since), 0)
		delete(s.open, x)
	}
}

// total is the time up to now.
func (s *stretches) total() time.Duration {
	sum := s.done
	for x, since := range s.open {
		if c := x.watch.client; c != nil {
			sum += max(c.Clock().Now().Sub(since), 0)
		}
	}
	return sum
}
