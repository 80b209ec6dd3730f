package microwrap

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"go-micro.dev/v5/client"
	"go-micro.dev/v5/registry"
	"go-micro.dev/v5/transport"
	mnet "go-micro.dev/v5/util/net"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// Client is a go-micro client whose calls are resilient. It is safe for
// concurrent use; a wrapper that [New] returns makes it, and Close ends it.
type Client struct {
	client.Client // the one that is wrapped

	cfg   Config
	wrong error // what is wrong with cfg
	proxy bool  // go-micro sends everything to a proxy

	mu        sync.Mutex // everything below
	transport *Transport
	services  map[string]*service
	lists     int // of them, those at addresses that calls have given
	closed    bool
}

var _ client.Client = (*Client)(nil)

// ErrClosed is matched by the error of a call after Close.
var ErrClosed = errors.New("microwrap: the client is closed")

func newClient(cfg Config, wrong error, next client.Client) *Client {
	c := &Client{Client: next, cfg: cfg, wrong: wrong, services: make(map[string]*service)}
	_, _, c.proxy = mnet.Proxy("", nil)
	return c
}

// service is one that was called.
type service struct {
	key    string
	name   string
	given  []string // addresses, by the call; nil: the registry's
	client *resilience.Client
	source *RegistrySource // nil: the nodes come from elsewhere
	ready  chan struct{}   // closed when client or err is set
	err    error

	mu    sync.Mutex
	addrs map[string]bool // of the nodes, as last seen
}

// Init implements client.Client. A change of the registry begins anew: what
// was known of the nodes is forgotten.
func (c *Client) Init(opts ...client.Option) error {
	before := registryOf(c.Client)
	if err := c.Client.Init(opts...); err != nil {
		return err
	}
	if registryOf(c.Client) == before {
		return nil
	}
	c.mu.Lock()
	old := c.services
	c.services, c.lists = make(map[string]*service), 0
	c.mu.Unlock()
	return closeAll(old)
}

// registryOf is where the client's own calls would find nodes.
func registryOf(c client.Client) registry.Registry {
	o := c.Options()
	if o.Selector != nil {
		if r := o.Selector.Options().Registry; r != nil {
			return r
		}
	}
	return o.Registry
}

// Resilience is the client of a service at the registry's nodes, for its
// status, settings and updates; nil until the service is first called. Close it through the
// [Client].
func (c *Client) Resilience(name string) *resilience.Client {
	c.mu.Lock()
	s := c.services[name]
	c.mu.Unlock()
	if s == nil {
		return nil
	}
	select {
	case <-s.ready:
		return s.client
	default:
		return nil
	}
}

// Close ends the sources of nodes and the connections. Calls fail with
// [ErrClosed] afterwards.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	old, t := c.services, c.transport
	c.services = nil
	c.mu.Unlock()
	err := closeAll(old)
	if t != nil {
		t.close()
	}
	return err
}

// closeAll closes those that are made; the others notice by themselves.
func closeAll(services map[string]*service) error {
	var errs []error
	for _, s := range services {
		select {
		case <-s.ready:
			errs = append(errs, s.client.Close())
		default:
		}
	}
	return errors.Join(errs...)
}

// through makes the wrapped client use our transport, around its own. It is
// asked at each call, for go-micro's options may be set at any time.
func (c *Client) through(current transport.Transport) (*Transport, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	if t, ok := current.(*Transport); ok && (c.transport == nil || t == c.transport) {
		c.transport = t
		return t, nil
	}
	t := NewTransport(current)
	if err := c.Client.Init(client.Transport(t)); err != nil {
		return nil, err
	}
	if c.transport != nil {
		c.transport.close()
	}
	c.transport = t
	return t, nil
}

// maxLists bounds the lists of addresses that are remembered, since they come
// with the calls.
const maxLists = 64

// errTooMany is that of a call with one list more: it is go-micro's.
var errTooMany = errors.New("too many lists of addresses")

// service returns the named one, or that at the addresses that the call has
// given, made at its first call. What cannot be made is tried again by the next
// call.
func (c *Client) service(ctx context.Context, name string, addrs []string) (*service, error) {
	s, err := c.known(name, addrs)
	if err != nil {
		return nil, err
	}
	select {
	case <-s.ready:
	default:
		select {
		case <-s.ready:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return s, s.err
}

func (c *Client) known(name string, addrs []string) (*service, error) {
	key := name
	if len(addrs) > 0 {
		key += "\x00" + strings.Join(addrs, "\x00")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.services[key]
	switch {
	case c.closed:
		return nil, ErrClosed
	case s != nil:
		return s, nil
	case len(addrs) > 0 && c.lists >= maxLists:
		return nil, errTooMany
	case len(addrs) > 0:
		c.lists++
	}
	s = &service{key: key, name: name, given: slices.Clone(addrs), ready: make(chan struct{})}
	c.services[key] = s
	go c.make(s) // registries take no context
	return s, nil
}

func (c *Client) make(s *service) {
	err := c.build(s)
	if orphan := c.made(s, err); orphan && err == nil {
		_ = s.client.Close() // nobody waits for it
	}
}

func (c *Client) made(s *service, err error) (orphan bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.err = err
	if orphan = c.services[s.key] != s; orphan && err == nil {
		s.err = ErrClosed
	}
	if err != nil && !orphan {
		delete(c.services, s.key)
		if len(s.given) > 0 {
			c.lists--
		}
	}
	close(s.ready)
	return orphan
}

func (c *Client) build(s *service) (err error) {
	sc, ok := c.cfg.Services[s.name]
	if !ok {
		sc = c.cfg.Default
	}
	if sc.Service == "" {
		sc.Service = s.name
	}
	switch {
	case len(s.given) > 0:
		sc.Nodes = s.fixed()
	case sc.Nodes == nil:
		s.source = &RegistrySource{Registry: registryOf(c.Client), Service: s.name}
		sc.Nodes = s.source
	}
	sc.OwnCut = true
	hear := sc.OnNode
	sc.OnNode = func(e selector.Event) {
		c.hear(s, e)
		if hear != nil {
			hear(e)
		}
	}
	if s.client, err = resilience.New(sc); err != nil {
		return err
	}
	s.addrs = make(map[string]bool)
	for _, status := range s.client.Selector().Nodes() {
		s.addrs[status.Node.Addr] = true
	}
	return nil
}

// fixed are the nodes at the addresses that a call has given, as go-micro takes
// them.
func (s *service) fixed() selector.Source {
	meta := map[string]string{"protocol": "mucp"}
	var nodes []selector.Node
	for i, addr := range s.given {
		if !slices.Contains(s.given[:i], addr) {
			nodes = append(nodes, selector.Node{Addr: addr, Meta: meta})
		}
	}
	return selector.Static(nodes...)
}

// hear learns from the selector which connections to drop.
func (c *Client) hear(s *service, e selector.Event) {
	c.mu.Lock()
	t := c.transport
	c.mu.Unlock()
	if t == nil {
		return // nothing was called yet
	}
	switch {
	case e.Kind == selector.Ejected && e.Node != nil:
		t.retire(e.Node.Addr)
	case e.Kind == selector.NodesChanged && e.Removed > 0:
		for _, addr := range s.left() {
			t.retire(addr)
		}
	}
}

// left are the addresses that were in the set when it was last looked at, and
// are not any more.
func (s *service) left() (gone []string) {
	select {
	case <-s.ready:
	default:
		return nil // it is just being made
	}
	now := make(map[string]bool)
	for _, status := range s.client.Selector().Nodes() {
		now[status.Node.Addr] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for addr := range s.addrs {
		if !now[addr] {
			gone = append(gone, addr)
		}
	}
	s.addrs = now
	return gone
}
