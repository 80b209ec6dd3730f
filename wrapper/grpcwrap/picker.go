package grpcwrap

import (
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-go/holdfast/selector"
)

// picker hands out the connection to the node that the call has chosen.
type picker struct{ c *Client }

// What Pick ends an attempt with.
var (
	errKnown   = status.Error(codes.Unavailable, "grpcwrap: nodes are known now")
	errForeign = status.Error(codes.Internal, "grpcwrap: an interceptor has put away the context of the attempt, so nobody knows its node")
	errGone    = status.Error(codes.Unavailable, "grpcwrap: the node has left")
	errLost    = status.Error(codes.Unavailable, "grpcwrap: the connection was lost, before the call was sent")
	errCut     = status.Error(codes.Unavailable, "grpcwrap: the attempt is over")
	errReplay  = status.Error(codes.Unavailable, "grpcwrap: not processed: the call itself tries again")
)

// Pick implements balancer.Picker. Status errors end the attempt; gRPC does
// not try again then.
func (p *picker) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	var none balancer.PickResult
	a, ok := info.Ctx.Value(attemptKey{}).(*attempt)
	switch {
	case !ok || a.c != p.c:
		return none, errForeign
	case a.node == nil:
		return none, errKnown
	}
	sub := (*p.c.pick.Load())[a.node.ID]
	if err := a.asked(info.Ctx, sub); err != nil {
		return none, err
	}
	now := sub.shows.Load()
	switch {
	case now == departed:
		return none, a.refuse(errGone, true)
	case now.err != nil:
		return none, a.refuse(status.Errorf(codes.Unavailable, "no connection to %s: %v", a.node, now.err), false)
	case !now.ready && a.direct:
		return none, a.refuse(errLost, true)
	case !now.ready:
		return none, balancer.ErrNoSubConnAvailable // there will be another picker
	case !a.sends():
		return none, errCut
	}
	return balancer.PickResult{SubConn: sub.sc, Done: endOf(a), Metadata: a.tells}, nil
}

// connected reports whether there is a connection to the node.
func (c *Client) connected(n *selector.Node) bool {
	subs := c.pick.Load()
	if subs == nil {
		return false
	}
	sub := (*subs)[n.ID]
	return sub != nil && sub.shows.Load().ready
}
