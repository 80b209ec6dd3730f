package selector

import "sync/atomic"

// RoundRobin takes the nodes in turn, whatever the weights. Its one counter
// is shared by all calls. The zero value is ready; do not copy it, and use a
// pointer.
type RoundRobin struct{ turn atomic.Uint64 }

// Choose implements [Strategy].
func (r *RoundRobin) Choose(v View) int { return int((r.turn.Add(1) - 1) % uint64(v.Len())) }
