package grpcwrap

import (
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
)

// subchannel is the connection to one node.
type subchannel struct {
	id    string
	addrs []resolver.Address
	sc    balancer.SubConn
	state connectivity.State
	shows atomic.Pointer[condition] // to Pick
	gone  bool
	made  int64 // as the client's clock tells
}

// condition is what a call meets that has chosen the node.
type condition struct {
	ready bool
	err   error // why it cannot be reached; nil: it is being connected for the first time
}

var (
	ready      = &condition{ready: true}
	connecting = &condition{}
	departed   = &condition{err: errGone}
	unreached  = &condition{err: errors.New("not connected")}
)

// leave keeps the connection for a moment, for calls that have just chosen
// the node. Caller holds mu.
func (t *tree) leave(sub *subchannel) {
	t.discount(sub)
	if other := t.left[sub.id]; other != nil {
		other.sc.Shutdown()
	}
	if t.left == nil {
		t.left = make(map[string]*subchannel)
	}
	t.left[sub.id] = sub
	if sub.state != connectivity.Ready {
		sub.shows.Store(departed)
	}
	t.c.work.AfterFunc(grace, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.left[sub.id] == sub && !t.closed {
			delete(t.left, sub.id)
			t.offer()
			sub.sc.Shutdown()
			t.publish()
		}
	})
}

const grace = time.Second

// comeBack returns the connection of a node that has just left, if there is
// one. Caller holds mu.
func (t *tree) comeBack(id string, addrs []resolver.Address) *subchannel {
	sub := t.left[id]
	if sub == nil || !slices.EqualFunc(sub.addrs, addrs, resolver.Address.Equal) {
		return nil
	}
	delete(t.left, id)
	sub.gone = false
	t.states.RecordTransition(connectivity.Shutdown, sub.state)
	switch sub.state {
	case connectivity.Ready:
		t.live++
		sub.shows.Store(ready)
	case connectivity.Connecting:
		sub.shows.Store(connecting)
	case connectivity.Idle:
		sub.shows.Store(connecting)
		sub.sc.Connect()
	default:
		sub.shows.Store(unreached)
	}
	return sub
}

// discount takes a connection out of the sums. Caller holds mu.
func (t *tree) discount(sub *subchannel) {
	sub.gone = true
	if sub.state == connectivity.Ready {
		t.live--
	}
	t.states.RecordTransition(sub.state, connectivity.Shutdown)
}

// renew gives a node another connection than the one it has had for at least
// that long. What is under way on the old one goes on there.
func (t *tree) renew(id string, least time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.byNode[id]
	if t.closed || old == nil || old.state != connectivity.Ready || time.Duration(t.c.client.Clock().Mono()-old.made) < least {
		return
	}
	sub := t.add(id, old.addrs)
	if sub == nil {
		return
	}
	t.byNode[id] = sub
	t.discount(old)
	t.offer()
	old.sc.Shutdown()
	t.showAll()
	t.publish()
}
