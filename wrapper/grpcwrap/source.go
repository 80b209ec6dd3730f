package grpcwrap

import (
	"errors"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/attributes"
	"google.golang.org/grpc/resolver"

	"github.com/holdfast-go/holdfast/selector"
)

// nodes is the selector's source: what the balancer was told by the resolver.
type nodes struct {
	mu     sync.Mutex
	report func([]selector.Node, error)
	err    error // the resolver's last error; nil since there are nodes

	known atomic.Bool // the resolver has said something
}

// Watch implements selector.Source.
func (n *nodes) Watch(report func([]selector.Node, error)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.report = report
	return nil
}

// Close implements selector.Source.
func (n *nodes) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.report = nil
	return nil
}

// tell passes on what the resolver said. The balancer calls it, one at a time.
func (n *nodes) tell(list []selector.Node, err error) {
	n.mu.Lock()
	report := n.report
	n.err = err
	n.mu.Unlock()
	if report != nil {
		report(list, err)
	}
	n.known.Store(true)
}

// lastErr is the resolver's last error, if it has not been right since.
func (n *nodes) lastErr() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.err
}

// scheme is that of targets whose addresses are Config.Nodes.
const scheme = "holdfast"

// pushes brings the reports of Config.Nodes to the resolver that the
// ClientConn has at the time: it ends when the ClientConn is idle, and comes
// back.
type pushes struct {
	source selector.Source // nil: there is none

	mu   sync.Mutex
	last []selector.Node
	err  error
	cc   resolver.ClientConn // nil: nobody listens
}

func (p *pushes) report(list []selector.Node, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err = err; err == nil {
		p.last = list
	}
	p.push()
}

// push says what is known to the resolver's ClientConn, which does not call
// back on this goroutine. Caller holds mu.
func (p *pushes) push() {
	switch {
	case p.cc == nil:
	case p.err != nil:
		p.cc.ReportError(p.err)
	case len(p.last) > 0:
		_ = p.cc.UpdateState(resolver.State{Endpoints: endpoints(p.last)}) // an error asks for another resolution
	}
}

func (p *pushes) close() error {
	if p.source == nil {
		return nil
	}
	return p.source.Close()
}

// nodeKey is the attribute of an endpoint that comes from a selector.Source.
type nodeKey struct{}

func endpoints(list []selector.Node) []resolver.Endpoint {
	out := make([]resolver.Endpoint, len(list))
	for i := range list {
		out[i].Addresses = []resolver.Address{{Addr: list[i].Addr}}
		out[i].Attributes = attributes.New(nodeKey{}, &list[i])
	}
	return out
}

// builder makes the resolver for "holdfast:///".
type builder struct{ c *Client }

// Scheme implements resolver.Builder.
func (builder) Scheme() string { return scheme }

// Build implements resolver.Builder.
func (b builder) Build(_ resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	p := &b.c.pushes
	if p.source == nil {
		return nil, errors.New("grpcwrap: a holdfast target, and no Config.Nodes")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cc = cc
	p.push()
	return resolution{p, cc}, nil
}

// resolution is a resolver until the ClientConn is idle or closed.
type resolution struct {
	p  *pushes
	cc resolver.ClientConn
}

// ResolveNow implements resolver.Resolver. The source knows when to look.
func (resolution) ResolveNow(resolver.ResolveNowOptions) {}

// Close implements resolver.Resolver.
func (r resolution) Close() {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	if r.p.cc == r.cc {
		r.p.cc = nil
	}
}
