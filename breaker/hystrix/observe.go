package hystrix

import (
	"sync"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/resilience"
)

// Observe tells o of what happens in the commands from now on, as in
// resilience.Config; a board of package resilience/board shows them, each as a
// service. Nil: nobody is told any more. It flushes the commands.
func Observe(o resilience.Observer) {
	commands.mu.Lock()
	commands.observer = o
	commands.mu.Unlock()
	commands.flush()
}

// gate holds back what an observer is to hear of a command until the command is
// in its place: the observer may ask for it.
type gate struct {
	to     resilience.Observer
	opened atomic.Bool

	mu   sync.Mutex
	held []resilience.Event
}

// Observe implements resilience.Observer.
func (g *gate) Observe(e resilience.Event) {
	if g.opened.Load() || !g.hold(e) {
		g.to.Observe(e)
	}
}

func (g *gate) hold(e resilience.Event) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened.Load() {
		return false
	}
	g.held = append(g.held, e)
	return true
}

// open lets through what was held, in order, and then everything.
func (g *gate) open() {
	for {
		g.mu.Lock()
		held := g.held
		g.held = nil
		g.opened.Store(len(held) == 0)
		g.mu.Unlock()
		if len(held) == 0 {
			return
		}
		for _, e := range held {
			g.to.Observe(e)
		}
	}
}
