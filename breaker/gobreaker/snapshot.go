package gobreaker

import (
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
)

var _ breaker.Inspector = (*Breaker)(nil)

// Snapshot implements [breaker.Inspector], for dashboards. By which numbers a
// ReadyToTrip of your own trips cannot be read without calling it: Rule says
// no more than that there is one, and MinCalls and ErrorRate are 0.
func (b *Breaker) Snapshot() breaker.Snapshot {
	in, st := b.cur.Load(), &b.cfg.Settings
	c := in.lib.Counts()
	sn := breaker.Snapshot{
		Key: b.name, State: breaker.State(in.state.Load()), Rule: "gobreaker(ReadyToTrip)", OpenFor: st.Timeout,
		Calls: uint64(c.Requests), Failures: uint64(c.TotalFailures),
	}
	if st.ReadyToTrip == nil {
		sn.Rule, sn.MinCalls, sn.ErrorRate = "gobreaker(6 in a row)", 6, 1
		sn.Score, sn.Threshold = float64(c.ConsecutiveFailures), 6
	}
	switch sn.State {
	case breaker.Closed:
		sn.Share = 1
	case breaker.Open:
		sn.RetryAt = clock.System.At(in.opened.Load() + int64(st.Timeout))
	}
	return sn
}
