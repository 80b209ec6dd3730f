package clock

import "context"

// subscriber is told, once, that the context it hangs on has ended.
type subscriber interface{ ended(err, cause error) }

// node is a subscriber's place in one list; it is embedded in the subscriber,
// so subscribing does not allocate.
type node struct {
	prev, next *node
	list       *list // nil when in none
	sub        subscriber
}

// list holds subscribers in the order in which they came.
type list struct {
	first, last *node
	foreigner   *foreigner // whose list it is, if it is a foreigner's
}

func (l *list) add(n *node) {
	n.list, n.prev = l, l.last
	if l.last != nil {
		l.last.next = n
	} else {
		l.first = n
	}
	l.last = n
}

// unlink takes n off its list, if it is on one.
func (n *node) unlink() {
	l := n.list
	if l == nil {
		return
	}
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		l.first = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		l.last = n.prev
	}
	n.list, n.prev, n.next = nil, nil, nil
	if l.first == nil && l.foreigner != nil {
		l.foreigner.forget()
	}
}

// end empties the list and tells everyone who was on it.
func (l *list) end(err, cause error) {
	for n := l.first; n != nil; n = l.first {
		n.unlink()
		n.sub.ended(err, cause)
	}
}

// watch subscribes n to the end of ctx.
func (v *Virtual) watch(ctx context.Context, n *node) {
	c, ok := ctx.(*virtualCtx)
	if !ok {
		done := ctx.Done()
		if done == nil {
			return
		}
		// A context that ends together with its nearest virtual ancestor
		// (context.WithValue) needs no watching of its own.
		if c, _ = ctx.Value(nearest).(*virtualCtx); c != nil && c.Done() != done {
			c = nil
		}
	}
	switch {
	case c == nil || c.v != v:
		v.foreign.get(ctx).subs.add(n)
	case c.err != nil: // by a real goroutine, just now
		n.sub.ended(c.err, c.cause)
	default:
		c.subs.add(n)
	}
}

// foreigner is a context that ends without telling the clock.
type foreigner struct {
	ctx   context.Context
	done  <-chan struct{}
	all   *foreigners
	index int // in all.list
	subs  list
}

// foreigners are those that somebody waits for, each once however many wait.
type foreigners struct {
	list    []*foreigner
	byDone  map[<-chan struct{}]*foreigner
	polling bool
}

func (s *foreigners) get(ctx context.Context) *foreigner {
	done := ctx.Done()
	if f := s.byDone[done]; f != nil {
		return f
	}
	f := &foreigner{ctx: ctx, done: done, all: s, index: len(s.list)}
	f.subs.foreigner = f
	if s.byDone == nil {
		s.byDone = make(map[<-chan struct{}]*foreigner)
	}
	s.byDone[done] = f
	s.list = append(s.list, f)
	return f
}

// forget drops f: nobody waits for it any more.
func (f *foreigner) forget() {
	s := f.all
	end := len(s.list) - 1
	last := s.list[end]
	s.list[f.index], last.index = last, f.index
	s.list[end] = nil
	s.list = s.list[:end]
	delete(s.byDone, f.done)
}

// pollForeign ends what hangs on foreign contexts that have ended. It is
// called after each event and before a virtual context answers, so that an
// end counts from the moment at which it was made.
func (v *Virtual) pollForeign() {
	s := &v.foreign
	if len(s.list) == 0 || s.polling {
		return
	}
	s.polling = true // a foreign Err may ask a virtual parent
	defer func() { s.polling = false }()
	for i := 0; i < len(s.list); {
		f := s.list[i]
		if err := f.ctx.Err(); err != nil {
			f.subs.end(err, context.Cause(f.ctx)) // f leaves the list
		} else {
			i++
		}
	}
}
