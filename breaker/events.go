package breaker

import "sync/atomic"

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
	x := c.more(now)
	x.subs = append(x.subs, sub)
	c.pin()
	return func() { c.unsubscribe(sub) }
}

func (c *Circuit) unsubscribe(sub *subscriber) {
	sub.gone.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.ext.subs[:0]
	for _, s := range c.ext.subs {
		if s != sub {
			kept = append(kept, s)
		}
	}
	clear(c.ext.subs[len(kept):])
	c.ext.subs = kept
	c.pin()
}

// pin notes in the word whether the circuit holds what a new one would not.
// The caller holds c.mu.
func (c *Circuit) pin() {
	w := c.word.Load() &^ flagPinned
	if len(c.ext.subs) > 0 || c.ext.shadow.Load() != 0 {
		w |= flagPinned
	}
	c.word.Store(w)
}

// enqueue queues the event for all who listen now. The caller holds c.mu and
// releases it with c.unlock, which delivers.
func (c *Circuit) enqueue(e Event) {
	if c.fam.onEvent == nil && len(c.ext.subs) == 0 {
		return
	}
	event := &e
	if c.fam.onEvent != nil {
		c.ext.queue = append(c.ext.queue, delivery{event: event, listen: c.fam.onEvent})
	}
	for _, sub := range c.ext.subs {
		c.ext.queue = append(c.ext.queue, delivery{event, sub.listen, sub})
	}
}

// unlock releases c.mu, and empties the queue unless somebody already does.
func (c *Circuit) unlock() {
	x := c.ext
	mine := x != nil && len(x.queue) > 0 && !x.delivering
	if mine {
		x.delivering = true
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
	x := c.ext
	if len(x.queue) == 0 {
		x.queue, x.delivering = nil, false
		return delivery{}, false
	}
	d, x.queue = x.queue[0], x.queue[1:]
	return d, true
}
