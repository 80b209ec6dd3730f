package selector

import "sync/atomic"

// Held is an attempt that stays in flight at its node after Done: see
// [Picked.HoldIn]. The zero Held holds nothing. It must not be copied.
type Held struct{ node atomic.Pointer[node] }

// Release ends it. It may be called more than once, and by several at once.
func (h *Held) Release() {
	if n := h.node.Swap(nil); n != nil {
		n.leave(onePick)
	}
}

// HoldIn is [Picked.Hold] without allocations: h releases. Call it before
// Done, once.
func (p *Picked) HoldIn(h *Held) {
	if p.node == nil || p.held {
		return
	}
	p.held = true
	h.node.Store(p.node)
}
