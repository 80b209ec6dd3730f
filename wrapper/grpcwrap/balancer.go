package grpcwrap

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"

	"github.com/holdfast-go/holdfast/selector"
)

// tree is the balancer of one ClientConn, from one idle time to the next: a
// subchannel for each node, all of them connected, as round_robin has it. It
// chooses nothing: see Pick. gRPC calls it on one goroutine, we renew
// connections from others.
type tree struct {
	cc balancer.ClientConn
	c  *Client // nil until the first update, which names it

	mu     sync.Mutex // all below; gRPC's own locks are taken within it
	states balancer.ConnectivityStateEvaluator
	byNode map[string]*subchannel
	left   map[string]*subchannel // of nodes that have left: see leave
	live   int                    // subchannels of byNode that are ready
	closed bool
}

var errNoEndpoints = errors.New("the resolver has found no addresses")

// UpdateClientConnState implements balancer.Balancer. An empty set is not
// believed: asking again is gRPC's affair.
func (t *tree) UpdateClientConnState(s balancer.ClientConnState) error {
	if cfg, ok := s.BalancerConfig.(*balancerConfig); ok && t.c == nil {
		t.c = cfg.c
	}
	if t.c == nil {
		return errUnconfigured
	}
	nodes, addrs := read(s.ResolverState.Endpoints)
	if len(nodes) == 0 {
		t.ResolverError(errNoEndpoints)
		return balancer.ErrBadResolverState
	}
	t.adopt(nodes, addrs)
	t.c.nodes.tell(nodes, nil) // listeners of others hear of it
	t.mu.Lock()
	defer t.mu.Unlock()
	t.showAll()
	t.publish()
	return nil
}

// adopt makes nodes the set, with the connections that there are.
func (t *tree) adopt(nodes []selector.Node, addrs [][]resolver.Address) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := make(map[string]*subchannel, len(nodes))
	for i := range nodes {
		id := nodes[i].ID
		sub := t.byNode[id]
		if sub == nil || !slices.EqualFunc(sub.addrs, addrs[i], resolver.Address.Equal) {
			if sub = t.comeBack(id, addrs[i]); sub == nil {
				sub = t.add(id, addrs[i])
			}
			if sub == nil {
				continue
			}
		}
		next[id] = sub
	}
	old := t.byNode
	t.byNode = next
	for id, sub := range old {
		if next[id] != sub {
			t.leave(sub)
		}
	}
	t.offer()
	t.c.tree.Store(t)
}

// offer tells Pick which connections there are. Caller holds mu.
func (t *tree) offer() {
	all := maps.Clone(t.left)
	if all == nil {
		all = make(map[string]*subchannel, len(t.byNode))
	}
	maps.Copy(all, t.byNode)
	t.c.pick.Store(&all)
}

// read makes nodes of endpoints: those that Config.Nodes has reported, or ones
// that are known by their address.
func read(endpoints []resolver.Endpoint) (nodes []selector.Node, addrs [][]resolver.Address) {
	seen := make(map[string]bool, len(endpoints))
	for _, e := range endpoints {
		if len(e.Addresses) == 0 {
			continue
		}
		n := selector.Node{Addr: e.Addresses[0].Addr}
		if given, ok := e.Attributes.Value(nodeKey{}).(*selector.Node); ok {
			n = *given
		}
		if n.ID == "" {
			n.ID = n.Addr
		}
		if !seen[n.ID] {
			seen[n.ID] = true
			nodes, addrs = append(nodes, n), append(addrs, e.Addresses)
		}
	}
	return nodes, addrs
}

func (t *tree) add(id string, addrs []resolver.Address) *subchannel {
	sub := &subchannel{id: id, addrs: addrs, state: connectivity.Idle, made: t.c.client.Clock().Mono()}
	sub.shows.Store(connecting)
	sc, err := t.cc.NewSubConn(addrs, balancer.NewSubConnOptions{ //nolint:staticcheck // SA1019: of several addresses, not as such
		StateListener: func(s balancer.SubConnState) { t.changed(sub, s) },
	})
	if err != nil { // the ClientConn is being closed
		return nil
	}
	sub.sc = sc
	t.states.RecordTransition(connectivity.Shutdown, connectivity.Idle)
	sc.Connect()
	return sub
}

// changed hears of a subchannel. A node that was lost is ill until it is
// ready again, however often it is being connected in between.
func (t *tree) changed(sub *subchannel, s balancer.SubConnState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	was, is := sub.state, s.ConnectivityState
	if t.closed || is == connectivity.Shutdown {
		return
	}
	if sub.state = is; sub.gone {
		if is != connectivity.Ready {
			sub.shows.Store(departed)
		}
		return
	}
	switch is {
	case connectivity.Ready:
		sub.shows.Store(ready)
	case connectivity.TransientFailure:
		sub.shows.Store(&condition{err: s.ConnectionError})
		t.cc.ResolveNow(resolver.ResolveNowOptions{})
	case connectivity.Idle: // the connection is lost, or was said goodbye to
		if was == connectivity.Ready {
			sub.shows.Store(connecting)
			t.cc.ResolveNow(resolver.ResolveNowOptions{})
		}
		sub.sc.Connect()
	}
	t.states.RecordTransition(was, is)
	before := t.live
	switch {
	case is == connectivity.Ready && was != is:
		t.live++
	case was == connectivity.Ready && was != is:
		t.live--
	}
	if (before == 0) != (t.live == 0) { // what is fit for a call is another question now
		t.showAll()
	} else {
		t.show(sub)
	}
	t.publish()
}

func (t *tree) showAll() {
	for _, sub := range t.byNode {
		t.show(sub)
	}
}

// show tells the selector whether the node can take calls: if it is connected,
// or if none is and it may come to be.
func (t *tree) show(sub *subchannel) {
	now := sub.shows.Load()
	fit := now.ready || (t.live == 0 && now.err == nil)
	_ = t.c.client.Selector().SetReady(sub.id, fit) // a node that is not in the set any more
}

// publish wakes the calls that wait for a connection.
func (t *tree) publish() {
	if t.c != nil {
		t.cc.UpdateState(balancer.State{ConnectivityState: t.states.CurrentState(), Picker: &picker{t.c}})
	}
}

// ResolverError implements balancer.Balancer. What is known stays.
func (t *tree) ResolverError(err error) {
	if t.c == nil { // gRPC names the client with the first addresses only
		t.cc.UpdateState(balancer.State{ConnectivityState: connectivity.TransientFailure, Picker: base.NewErrPicker(err)})
		return
	}
	t.c.nodes.tell(nil, err)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.byNode) == 0 {
		t.cc.UpdateState(balancer.State{ConnectivityState: connectivity.TransientFailure, Picker: &picker{t.c}})
	}
}

// UpdateSubConnState implements balancer.Balancer; the listeners hear instead.
func (*tree) UpdateSubConnState(balancer.SubConn, balancer.SubConnState) {}

// ExitIdle implements balancer.Balancer.
func (t *tree) ExitIdle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, sub := range t.byNode {
		if sub.state == connectivity.Idle {
			sub.sc.Connect()
		}
	}
}

// Close implements balancer.Balancer: the ClientConn is idle, or closed.
func (t *tree) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, sub := range t.left {
		sub.sc.Shutdown()
	}
	for _, sub := range t.byNode {
		sub.sc.Shutdown()
		sub.shows.Store(connecting)
	}
	if t.c != nil {
		t.live = 0
		t.showAll() // nothing is known until it is connected again
	}
	t.byNode, t.left, t.closed = nil, nil, true
}
