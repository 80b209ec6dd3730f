package resilience

// Cutter ends an attempt whose work outlives its Func, or that knows better
// than its context whether it may be ended: see [Call.CutBy].
type Cutter interface {
	// Cut ends the attempt and returns true, or lets it go on and returns
	// false: where another attempt would not be safe. It is called at most
	// once, when the attempt's timeout is over or its node has fallen silent,
	// and another attempt could be made; it must not block, and must not call the Call's methods.
	Cut(cause error) bool
}

// Bounded reports whether the attempt is under a timeout that its Func applies
// itself, by CutBy. It is true with Config.OwnCut only.
func (c *Call) Bounded() bool { return c.try != nil && c.try.cutter != nil }

// CutBy says who ends the attempt at its timeout, in place of the attempt's
// context. x is forgotten when the Func returns. It does nothing where the
// attempt is not [Call.Bounded].
func (c *Call) CutBy(x Cutter) {
	if !c.Bounded() {
		return
	}
	k := c.try.cutter
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.call != nil {
		k.by = x
	}
}

// cutBy asks the Func's own Cutter. Caller holds mu.
func (c *cutter) cutBy(call *Call) bool {
	if c.by == nil || call.Last() || !c.affordable(call.try) {
		return false
	}
	by := c.by
	c.by = nil // it is asked once
	if c.cut = by.Cut(ErrAttemptTimeout); !c.cut {
		call.try.refund(c.ctx)
	}
	return c.cut
}
