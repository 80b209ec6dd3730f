package clock

import (
	"context"
	"time"
)

// virtualCtx is a context of a Virtual.
type virtualCtx struct {
	parent   context.Context
	v        *Virtual
	deadline int64 // forever if it has none of its own
	timer    timer
	node     node // in the parent's subs
	subs     list // who ends, or wakes, with this context

	err, cause error // both set, or neither

	// Package context only propagates to its own types, and through them. So
	// what it asks for, Done and Cause, is answered by a context of its own,
	// made when first asked for, that is ended by hand (see anchor).
	inner    context.Context
	endInner func()
}

// nearest is the key under which a virtualCtx finds itself.
var nearest = new(byte)

// WithTimeout implements [Clock].
func (v *Virtual) WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	c := new(virtualCtx).begin(ctx, v).within(d)
	return c, func() { c.end(context.Canceled, nil) }
}

// Term is a context with a timeout whose memory is used again, for those who
// make many and know that nobody keeps one. The zero Term is ready to use; it
// must not be copied.
type Term struct{ ctx virtualCtx }

// Begin returns what v.WithTimeout(ctx, d) does. Of the term before, which must
// have ended, nothing may be used any more.
func (t *Term) Begin(ctx context.Context, v *Virtual, d time.Duration) context.Context {
	t.ctx = virtualCtx{}
	return t.ctx.begin(ctx, v).within(d)
}

// End cancels the context.
func (t *Term) End() { t.ctx.end(context.Canceled, nil) }

// WithCancel implements [Clock].
func (v *Virtual) WithCancel(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	c := new(virtualCtx).begin(ctx, v)
	return c, func(cause error) { c.end(context.Canceled, cause) }
}

// begin makes a zero c a child of parent that ends with it.
func (c *virtualCtx) begin(parent context.Context, v *Virtual) *virtualCtx {
	c.parent, c.v, c.deadline = parent, v, forever
	c.timer.owner, c.node.sub = c, c
	if err := parent.Err(); err != nil {
		c.end(err, context.Cause(parent))
	} else {
		v.watch(parent, &c.node)
	}
	return c
}

// within ends c when d is over.
func (c *virtualCtx) within(d time.Duration) *virtualCtx {
	switch {
	case c.err != nil:
	case d <= 0:
		c.deadline = c.v.now + int64(d)
		c.end(context.DeadlineExceeded, nil)
	default:
		c.setDeadline(c.v.after(d))
	}
	return c
}

// setDeadline arms the timer, unless the parent surely ends before.
func (c *virtualCtx) setDeadline(at int64) {
	c.deadline = at
	if p, ok := c.parent.(*virtualCtx); ok && p.v == c.v && p.deadline <= at {
		c.deadline = p.deadline
		return
	}
	c.v.timers.arm(&c.timer, at)
}

// end ends the context and whatever hangs on it, in the order in which that
// was hung there. Only the first call counts.
func (c *virtualCtx) end(err, cause error) {
	if c.err != nil {
		return
	}
	if cause == nil {
		cause = err
	}
	c.err, c.cause = err, cause
	c.v.timers.disarm(&c.timer)
	c.node.unlink()
	if c.endInner != nil {
		c.endInner()
	}
	c.subs.end(err, cause)
}

// fire is the deadline.
func (c *virtualCtx) fire(*Virtual) { c.end(context.DeadlineExceeded, nil) }

// ended is the parent's end.
func (c *virtualCtx) ended(err, cause error) { c.end(err, cause) }

// Deadline implements context.Context.
func (c *virtualCtx) Deadline() (time.Time, bool) {
	outer, ok := c.parent.Deadline()
	if c.deadline == forever {
		return outer, ok
	}
	own := epoch.Add(time.Duration(c.deadline))
	if ok && outer.Before(own) {
		return outer, true
	}
	return own, true
}

// Err implements context.Context.
func (c *virtualCtx) Err() error {
	if c.err == nil {
		c.v.pollForeign()
	}
	return c.err
}

// Done implements context.Context.
func (c *virtualCtx) Done() <-chan struct{} {
	if c.err == nil {
		c.v.pollForeign()
	}
	return c.std().Done()
}

// Value implements context.Context.
func (c *virtualCtx) Value(key any) any {
	if key == any(nearest) {
		return c
	}
	if c.inner != nil || c.err != nil {
		if val := c.std().Value(key); val != nil {
			return val
		}
	}
	return c.parent.Value(key)
}

// std returns the inner context.
func (c *virtualCtx) std() context.Context {
	if c.inner == nil {
		inner, cancel := context.WithCancel((*anchor)(c))
		_ = cancel // its own cancel could not say DeadlineExceeded
		c.inner = inner
		if c.err != nil {
			c.endInner()
		}
	}
	return c.inner
}

// anchor is a virtualCtx as the parent of its inner context: package context
// registers with it through AfterFunc, and what it registered ends the inner
// context, synchronously, with the anchor's error and cause.
type anchor virtualCtx

// never keeps package context from looking for an end elsewhere.
var never = make(chan struct{})

func (*anchor) Deadline() (time.Time, bool) { return time.Time{}, false }

func (*anchor) Done() <-chan struct{} { return never }

func (a *anchor) Err() error { return a.err }

// Value answers context.Cause, which finds a cause only in a context of its
// own package.
func (a *anchor) Value(key any) any {
	if a.cause == a.err { //nolint:errorlint // the default cause is err itself
		return nil
	}
	carrier, cancel := context.WithCancelCause(context.Background())
	cancel(a.cause)
	return carrier.Value(key)
}

// AfterFunc is called by package context only, with what ends the inner context.
func (a *anchor) AfterFunc(f func()) (stop func() bool) {
	a.endInner = f
	return func() bool { return false }
}
