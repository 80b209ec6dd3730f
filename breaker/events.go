package breaker

import (
	"slices"
	"sync/atomic"
)

// bus carries events to listeners. The circuit's mutex guards it.
type bus struct {
	subs       []*subscriber
	queue      []delivery
	delivering bool // somebody is emptying the queue
}

// subscriber is a listener added at run time.
type subscriber struct {
	listen func(Event)
	gone   atomic.Bool
}

// delivery is an event on its way to one listener.
type delivery struct {
	event  *Event
	listen func(Event)
	sub    *subscriber // nil: Config.OnEvent
}

// Subscribe lets fn hear every event from now on, after Config.OnEvent and
// earlier subscribers, until unsubscribe is called. Events come in order, one
// at a time, outside every lock: fn may call the breaker. They are delivered
// by the call that caused them, or by another that is delivering at the time,
// so fn should be quick. If fn panics, the others and later events are still
// delivered, and the panic goes on to the caller of that call.
//
// A call of fn that has begun may outlast unsubscribe; none begins after it.
// unsubscribe may be called more than once.
func (c *Circuit) Subscribe(fn func(Event)) (unsubscribe func()) {
	if fn == nil {
		return func() {}
	}
	sub := &subscriber{listen: fn}
	now := c.fam.clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.more(now).wire()
	b.subs = append(b.subs, sub)
	c.pin()
	return func() { c.unsubscribe(sub) }
}

// wire returns the bus, made if need be.
func (x *extra) wire() *bus {
	if x.bus == nil {
		x.bus = &bus{}
	}
	return x.bus
}

func (c *Circuit) unsubscribe(sub *subscriber) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sub.gone.Swap(true) {
		return
	}
	b := c.ext.bus
	b.subs = slices.DeleteFunc(b.subs, func(s *subscriber) bool { return s == sub })
	c.ext.tidy()
	c.pin()
}

// tidy gives the bus up when nobody needs it.
func (x *extra) tidy() {
	if b := x.bus; len(b.subs) == 0 && len(b.queue) == 0 && !b.delivering {
		x.bus = nil
	}
}

// pin notes in the word whether the circuit holds what a new one would not.
// The caller holds c.mu.
func (c *Circuit) pin() {
	w := c.word.Load() &^ flagPinned
	if x := c.ext; x.shadow.Load() != 0 || x.bus != nil && len(x.bus.subs) > 0 {
		w |= flagPinned
	}
	c.word.Store(w)
}

// enqueue queues the event for all who listen now. The caller holds c.mu and
// releases it with c.unlock, which delivers.
func (c *Circuit) enqueue(e Event) {
	if c.fam.onEvent == nil && c.ext.bus == nil {
		return
	}
	b, event := c.ext.wire(), &e
	if c.fam.onEvent != nil {
		b.queue = append(b.queue, delivery{event: event, listen: c.fam.onEvent})
	}
	for _, sub := range b.subs {
		b.queue = append(b.queue, delivery{event, sub.listen, sub})
	}
}

// unlock releases c.mu, and empties the queue unless somebody already does.
func (c *Circuit) unlock() {
	mine := false
	if x := c.ext; x != nil && x.bus != nil {
		mine = len(x.bus.queue) > 0 && !x.bus.delivering
		x.bus.delivering = x.bus.delivering || mine
	}
	c.mu.Unlock()
	if mine {
		c.deliver()
	}
}

// deliver empties the queue. When a listener panics or ends its goroutine, the
// rest is delivered before that goes on.
func (c *Circuit) deliver() {
	empty := false
	defer func() {
		if !empty {
			c.deliver()
		}
	}()
	for {
		d, ok := c.next()
		if !ok {
			empty = true
			return
		}
		if d.sub == nil || !d.sub.gone.Load() {
			d.listen(*d.event)
		}
	}
}

// next takes a delivery from the queue, or gives up the right to deliver.
func (c *Circuit) next() (d delivery, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.ext.bus
	if len(b.queue) == 0 {
		b.queue, b.delivering = nil, false
		c.ext.tidy()
		return delivery{}, false
	}
	d, b.queue = b.queue[0], b.queue[1:]
	return d, true
}
