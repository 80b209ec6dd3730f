package microwrap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"go-micro.dev/v5/registry"
	mselector "go-micro.dev/v5/selector"

	"github.com/holdfast-go/holdfast/selector"
)

// SelectorConfig describes a [Selector]. The zero value is good.
type SelectorConfig struct {
	// Registry says where the nodes of a service are. Nil:
	// registry.DefaultRegistry. go-micro's client.Registry sets it too.
	Registry registry.Registry

	// Strategy chooses, among the nodes that are not out and that the call has
	// not tried, in place of Nodes.Strategy. Nil: that one.
	Strategy mselector.Strategy

	// Nodes is how the nodes of each service are judged and chosen. Its Source
	// must be nil: see Registry.
	Nodes selector.Config
}

// Selector is a go-micro selector whose Mark does what it says: a node that
// does worse than the others is left out until it is well again. The function
// that Select returns is one call's: it does not return to a node while there
// is another that can be asked. It is safe for concurrent use; make one by
// [NewSelector] and end it by Close.
//
// Behind a client whose transport is a [Transport], with its WrapCall, Mark
// knows a node that cannot be reached from one that fails; without, it goes by
// the code of the error.
type Selector struct {
	mu       sync.Mutex // everything below
	cfg      SelectorConfig
	opts     mselector.Options
	services map[string]*listing
	closed   bool

	pending sync.Map // weak.Pointer[registry.Node] → *pick
}

var _ mselector.Selector = (*Selector)(nil)

// listing is one service, as far as it has been asked for.
type listing struct {
	once   sync.Once
	sel    atomic.Pointer[selector.Selector] // set by once, and looked at without
	source *RegistrySource
	err    error
}

// NewSelector makes a Selector. It returns one error that lists everything
// that is wrong with cfg.
func NewSelector(cfg SelectorConfig) (*Selector, error) {
	var errs []error
	if cfg.Nodes.Source != nil {
		errs = append(errs, errors.New("nodes.source: want nil: nodes come from the registry"))
	}
	probe := cfg.Nodes
	probe.Source = selector.Static(selector.Node{})
	if errs = append(errs, prefixed("nodes", probe.Validate())); errors.Join(errs...) != nil {
		return nil, prefixed("microwrap", errors.Join(errs...))
	}
	s := &Selector{cfg: cfg, services: make(map[string]*listing)}
	s.opts = mselector.Options{Registry: cfg.Registry, Strategy: cfg.Strategy, Context: context.Background()}
	if s.opts.Registry == nil {
		s.opts.Registry = registry.DefaultRegistry
	}
	return s, nil
}

// Init implements go-micro's selector. Another registry begins anew.
func (s *Selector) Init(opts ...mselector.Option) error {
	s.mu.Lock()
	before := s.opts.Registry
	for _, o := range opts {
		o(&s.opts)
	}
	var old map[string]*listing
	if s.opts.Registry != before {
		old, s.services = s.services, make(map[string]*listing)
	}
	s.mu.Unlock()
	return closeListings(old)
}

// Options implements go-micro's selector.
func (s *Selector) Options() mselector.Options {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opts
}

// String implements go-micro's selector.
func (*Selector) String() string { return "holdfast" }

// Reset implements go-micro's selector: what is known of a service's nodes is
// forgotten.
func (s *Selector) Reset(service string) {
	s.mu.Lock()
	l := s.services[service]
	delete(s.services, service)
	s.mu.Unlock()
	if l != nil {
		_ = l.close() // nobody can be told
	}
}

// Close implements go-micro's selector.
func (s *Selector) Close() error {
	s.mu.Lock()
	old := s.services
	s.services, s.closed = nil, true
	s.mu.Unlock()
	return closeListings(old)
}

func closeListings(all map[string]*listing) error {
	var errs []error
	for _, l := range all {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

func (l *listing) close() error {
	l.once.Do(func() { l.err = selector.ErrClosed }) // or waits until it is made
	if sel := l.sel.Load(); sel != nil {
		return sel.Close()
	}
	return nil
}

// Nodes is what is known of a service's nodes, for its status or to eject,
// readmit or mark one by hand; nil until the service is first selected.
func (s *Selector) Nodes(service string) *selector.Selector {
	s.mu.Lock()
	l := s.services[service]
	s.mu.Unlock()
	if l == nil {
		return nil
	}
	return l.sel.Load()
}

// successes of all services, for a retry budget.
func (s *Selector) successes() (n uint64) {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.services))
	s.mu.Unlock()
	for _, l := range all {
		if sel := l.sel.Load(); sel != nil {
			n += sel.Successes()
		}
	}
	return n
}

// Select implements go-micro's selector. It fails with go-micro's ErrNotFound
// and ErrNoneAvailable, or with the registry's error.
func (s *Selector) Select(service string, opts ...mselector.SelectOption) (mselector.Next, error) {
	so := mselector.SelectOptions{Strategy: s.Options().Strategy}
	for _, o := range opts {
		o(&so)
	}
	l, err := s.listing(service)
	if err != nil {
		return nil, err
	}
	n := &choice{s: s, sel: l.sel.Load()}
	if len(so.Filters) == 0 && so.Strategy == nil {
		return n.next, nil
	}
	services := l.source.known.Load().services
	for _, f := range so.Filters {
		services = f(services)
	}
	if len(services) == 0 {
		return nil, mselector.ErrNoneAvailable
	}
	n.allowed = make(map[string]bool)
	for _, node := range nodesOf(services) {
		n.allowed[node.ID] = true
	}
	n.fallback = mselector.Random(services)
	if so.Strategy != nil {
		n.strategy = so.Strategy(services)
	}
	return n.next, nil
}

// listing returns a service's nodes, which are asked for at first. What cannot
// be read is asked for again the next time.
func (s *Selector) listing(service string) (*listing, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, selector.ErrClosed
	}
	l := s.services[service]
	if l == nil {
		l = new(listing)
		s.services[service] = l
	}
	reg := s.opts.Registry
	s.mu.Unlock()
	l.once.Do(func() {
		l.source = &RegistrySource{Registry: reg, Service: service}
		cfg := s.cfg.Nodes
		cfg.Source = l.source
		var sel *selector.Selector
		if sel, l.err = selector.New(cfg); l.err == nil {
			l.sel.Store(sel)
		}
	})
	if l.err == nil {
		return l, nil
	}
	s.mu.Lock()
	if s.services[service] == l {
		delete(s.services, service)
	}
	s.mu.Unlock()
	if errors.Is(l.err, registry.ErrNotFound) {
		return nil, mselector.ErrNotFound
	}
	if errors.Is(l.err, mselector.ErrNoneAvailable) {
		return nil, mselector.ErrNoneAvailable
	}
	return nil, fmt.Errorf("%s: %w", service, l.err)
}
