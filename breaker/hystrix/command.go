package hystrix

import (
	"fmt"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/resilience"
)

// Command is what [Do] runs functions of one name in: a resilience.Client of
// one anonymous node and one attempt, with a service breaker and a timeout, and
// places for as many functions as may run. [GetCircuit] returns it.
type Command struct {
	Name string

	client   *resilience.Client
	clk      clock.Clock
	observer *gate // nil: nobody listens

	places  atomic.Int64
	running atomic.Int64
}

// CircuitBreaker is the library's name for it.
type CircuitBreaker = Command

func newCommand(name string, s settings, clk clock.Clock, o resilience.Observer) (*Command, error) {
	c := &Command{Name: name, clk: clk}
	cfg := resilience.Config{Service: name, Settings: s.command(), Clock: clk}
	if w, ok := o.(resilience.Watcher); ok {
		o = w.Watch(name)
	}
	if o != nil {
		c.observer = &gate{to: o}
		cfg.Observer = c.observer
	}
	var err error
	if c.client, err = resilience.New(cfg); err != nil {
		return nil, fmt.Errorf("hystrix: %w", err)
	}
	c.places.Store(int64(s.concurrent))
	return c, nil
}

// command is the settings of a command's client, to the library's nanosecond.
// Its places are not the client's bulkhead, which would give them back when the
// call returns.
func (s settings) command() resilience.Settings {
	set, exact := s.client(), s.breaker()
	set.ServiceBreaker.OpenFor, set.ServiceBreaker.OpenMax, set.ServiceBreaker.ProbeTimeout = exact.OpenFor, exact.OpenMax, exact.ProbeTimeout
	set.Bulkhead, set.Attempts, set.AttemptTimeout, set.Ejection.Off = 0, 1, -1, true
	return set
}

func (c *Command) update(s settings) error {
	c.places.Store(int64(s.concurrent))
	return c.client.Update(s.command())
}

// Circuit is the command's breaker: to trip or reset it, to look at its numbers
// or to hear of its transitions.
func (c *Command) Circuit() *breaker.Circuit {
	return c.client.ServiceBreaker().(*breaker.Circuit) // the native one: no ServiceEngine is set
}

// IsOpen reports whether the circuit is open, or closed for all but a probe.
func (c *Command) IsOpen() bool { return c.Circuit().State() != breaker.Closed }

// Running is how many functions run, those included whose callers were told
// that they timed out.
func (c *Command) Running() int { return int(c.running.Load()) }

// enter takes a place for a function.
func (c *Command) enter() bool {
	if c.running.Add(1) <= c.places.Load() {
		return true
	}
	c.running.Add(-1)
	return false
}

func (c *Command) leave() { c.running.Add(-1) }

func (c *Command) close() { _ = c.client.Close() } // a static source

// answered tells the observer how a fallback ended.
func (c *Command) answered(x *execution, err error) {
	if c.observer != nil {
		c.observer.Observe(resilience.Event{Kind: resilience.FallbackDone, At: c.clk.Now(), Service: c.Name, Attempt: x.attempts, Err: err})
	}
}
