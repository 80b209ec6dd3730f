package httpwrap

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/selector"
)

// pools are a service's connections, node by node.
type pools struct {
	base    http.RoundTripper
	cache   sync.Map // *selector.Node → *pool; every pool in it is in byAddr
	mu      sync.Mutex
	cached  int // at most
	byAddr  map[string]*pool
	sel     *selector.Selector
	stopped bool
}

// pool is the connections to one address. When its node is ejected or leaves,
// it is retired: another one is made for the attempts to come, and the
// connections of this one are closed as they become idle.
type pool struct {
	main    http.RoundTripper
	owned   *http.Transport // main, unless Base is a RoundTripper of the user's
	h2c     bool            // speaks HTTP/2 without TLS
	plain   bool            // owned, and speaks HTTP/1 without TLS
	http1   atomic.Bool     // was last seen to speak HTTP/1
	http2   atomic.Bool     // was last seen to speak HTTP/2
	retired atomic.Bool

	sweeping atomic.Bool // sweep is to look again
	mu       sync.Mutex
	fresh    *http.Transport // a connection for each request
}

func (ps *pools) init(base http.RoundTripper) {
	ps.base = base
	ps.byAddr = make(map[string]*pool)
}

// known is told when the selector exists; before that nothing can be sent.
func (ps *pools) known(sel *selector.Selector) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.sel = sel
}

// of returns the node's pool.
func (ps *pools) of(n *selector.Node) *pool {
	if p, ok := ps.cache.Load(n); ok {
		return p.(*pool)
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.byAddr[n.Addr]
	if p == nil {
		p = newPool(ps.base, n.Addr)
		ps.byAddr[n.Addr] = p
		p.retired.Store(ps.stopped)
	}
	// The set may be reported over and over, each time with new pointers.
	if ps.cached++; ps.cached > 2*len(ps.byAddr)+spare {
		ps.forget()
		ps.cached++
	}
	ps.cache.Store(n, p)
	return p
}

const spare = 16

// forget empties the cache. Caller holds mu.
func (ps *pools) forget() {
	ps.cache.Clear()
	ps.cached = 0
}

// hear learns from the selector which connections to drop.
func (ps *pools) hear(e selector.Event) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	switch {
	case e.Kind == selector.Ejected && e.Node != nil:
		ps.drop(e.Node.Addr)
	case e.Kind == selector.NodesChanged && ps.sel != nil:
		left := make(map[string]bool, len(ps.byAddr))
		for addr := range ps.byAddr {
			left[addr] = true
		}
		for _, status := range ps.sel.Nodes() {
			delete(left, status.Node.Addr)
		}
		for addr := range left {
			ps.drop(addr)
		}
	}
}

// drop retires the pool of an address. Caller holds mu.
func (ps *pools) drop(addr string) {
	if p := ps.byAddr[addr]; p != nil {
		delete(ps.byAddr, addr)
		ps.forget()
		p.retired.Store(true)
		p.sweep()
	}
}

func (ps *pools) close() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.stopped = true
	for addr := range ps.byAddr {
		ps.drop(addr)
	}
}

func (ps *pools) closeIdle() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.byAddr {
		p.closeIdle()
	}
}

func newPool(base http.RoundTripper, addr string) *pool {
	t, ok := base.(*http.Transport)
	if !ok {
		return &pool{main: base}
	}
	t = dialTo(t, addr)
	p := &pool{main: t, owned: t}
	p.h2c = t.Protocols != nil && t.Protocols.UnencryptedHTTP2() && !t.Protocols.HTTP1()
	p.plain = t.Proxy == nil && (t.Protocols == nil || !t.Protocols.UnencryptedHTTP2())
	return p
}

// dialTo returns a transport like base whose connections go to addr, whatever
// the URL says: so the Host header, the TLS server name and what the
// certificate is checked against stay the URL's.
func dialTo(base *http.Transport, addr string) *http.Transport {
	t := cloned(base)
	if _, ok := t.TLSNextProto["h2"]; ok {
		// Package x/net/http2 was plugged in: its connections would be pooled
		// by the URL's host, all nodes together. The bundled one is not.
		t.TLSNextProto = nil
	}
	// A DialContext switches HTTP/2 off unless it is asked for; Clone has just
	// settled whether base speaks it.
	if _, ok := base.TLSNextProto["h2"]; ok {
		t.ForceAttemptHTTP2 = true
	}
	if addr == "" {
		return t
	}
	t.Proxy = nil
	dial := t.DialContext
	if old := t.Dial; dial == nil && old != nil { //nolint:staticcheck // SA1019: users still set it
		t.DialContext = func(_ context.Context, network, to string) (net.Conn, error) { return old(network, nodeAddr(addr, to)) }
		return t
	}
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	t.DialContext = func(ctx context.Context, network, to string) (net.Conn, error) {
		return dial(ctx, network, nodeAddr(addr, to))
	}
	return t
}

// cloned is base.Clone with NextProtos of its own: each of the clones appends
// to it at its first request, and would do so to the same array.
func cloned(base *http.Transport) *http.Transport {
	t := base.Clone()
	if c := t.TLSClientConfig; c != nil {
		c.NextProtos = slices.Clone(c.NextProtos)
	}
	return t
}

// dialled is the address that a URL stands for.
func dialled(u *url.URL) string {
	port := u.Port()
	if port == "" {
		if port = "80"; u.Scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// nodeAddr is addr, with the port that was to be dialled if it has none.
func nodeAddr(addr, to string) string {
	if _, _, err := net.SplitHostPort(addr); err == nil {
		return addr
	}
	_, port, err := net.SplitHostPort(to)
	if err != nil {
		return addr
	}
	return net.JoinHostPort(strings.Trim(addr, "[]"), port)
}

// roundTripper is what sends an attempt; again is for a node that the call
// has tried before: it takes a new connection, since the one in the pool may
// be what failed, or lead to the same server behind a load balancer.
func (p *pool) roundTripper(again bool) http.RoundTripper {
	if p.owned == nil || !again {
		return p.main
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fresh == nil {
		p.fresh = cloned(p.owned)
		p.fresh.DisableKeepAlives = true
	}
	return p.fresh
}

func (p *pool) closeIdle() {
	if p.owned != nil {
		p.owned.CloseIdleConnections()
	}
}

// sweep closes the idle connections of a retired pool. HTTP/2 takes a moment
// to see that a stream is over, so it looks again.
func (p *pool) sweep() {
	p.closeIdle()
	if p.owned != nil && !p.http1.Load() && !p.sweeping.Swap(true) {
		time.AfterFunc(straggling, func() {
			p.sweeping.Store(false)
			p.closeIdle()
		})
	}
}

const straggling = time.Second
