package microwrap

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go-micro.dev/v5/registry"
	mselector "go-micro.dev/v5/selector"

	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// Registry is a service's nodes in any go-micro registry, as a source for
// package selector: a [RegistrySource] with the defaults.
func Registry(reg registry.Registry, service string) selector.Source {
	return &RegistrySource{Registry: reg, Service: service}
}

// RegistrySource is a service's nodes in any go-micro registry, read again
// whenever the registry's watcher tells of a change, and every Resync, since
// watchers may lose one. A watch that ends is begun anew, after a pause that
// grows up to Resync, and what has changed meanwhile is read.
//
// The service must be registered when Watch is called. Later a registry that
// cannot be reached, or has no nodes of the service any more, leaves the last
// good set in use and is reported. A node that is registered twice (under two
// versions) is taken once.
//
// The fields are read by Watch and must not be changed after it.
type RegistrySource struct {
	Registry registry.Registry  // required
	Service  string             // required
	Filters  []mselector.Filter // leave out nodes; as those of a selector, and safe for concurrent use
	Resync   time.Duration      // the longest time between two looks at the registry; at least 10 ms, default 30 s

	report func([]selector.Node, error)
	known  atomic.Pointer[known]

	mu      sync.Mutex // everything below
	stop    chan struct{}
	watcher registry.Watcher
	closed  bool
	problem string // what was reported last; empty after a good read
}

var _ selector.Source = (*RegistrySource)(nil)

// known is the last good answer of the registry.
type known struct {
	services []*registry.Service
	declared map[string]retry.Idempotency // by endpoint
}

const (
	resync    = 30 * time.Second
	minResync = 10 * time.Millisecond
	firstWait = 100 * time.Millisecond // before a watch that has ended is begun anew
)

// Watch implements selector.Source. It fails when a field is out of range, when
// the service cannot be read or has no nodes, and when it was called before.
func (s *RegistrySource) Watch(report func([]selector.Node, error)) error {
	if err := s.validate(); err != nil {
		return err
	}
	if err := s.start(report); err != nil {
		return err
	}
	nodes, err := s.read()
	if err != nil {
		return err
	}
	report(nodes, nil)
	go s.run()
	return nil
}

func (s *RegistrySource) validate() error {
	var errs []error
	if s.Registry == nil {
		errs = append(errs, errors.New("registry: want one"))
	}
	if s.Service == "" {
		errs = append(errs, errors.New("service: want the name of one"))
	}
	if s.Resync != 0 && s.Resync < minResync {
		errs = append(errs, fmt.Errorf("resync %v: want at least %v (0: default %v)", s.Resync, minResync, resync))
	}
	return errors.Join(errs...)
}

func (s *RegistrySource) start(report func([]selector.Node, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return fmt.Errorf("%s: the registry source is closed", s.Service)
	case s.report != nil:
		return fmt.Errorf("%s: the registry source is watched already; each selector needs its own", s.Service)
	}
	s.report, s.stop = report, make(chan struct{})
	return nil
}

// Close implements selector.Source. It does not wait for a registry that is
// just being asked.
func (s *RegistrySource) Close() error {
	s.mu.Lock()
	was, w := s.closed, s.watcher
	s.closed, s.watcher = true, nil
	s.mu.Unlock()
	if was {
		return nil
	}
	if s.stop != nil {
		close(s.stop)
	}
	if w != nil {
		w.Stop()
	}
	return nil
}

// run watches to the end.
func (s *RegistrySource) run() {
	longest := s.Resync
	if longest == 0 {
		longest = resync
	}
	for wait := min(firstWait, longest); ; wait = min(2*wait, longest) {
		w, err := s.Registry.Watch(registry.WatchService(s.Service))
		if err == nil {
			if !s.keep(w) {
				w.Stop()
				return
			}
			var good bool
			if good, err = s.follow(w, longest); good {
				wait = min(firstWait, longest)
			}
			if s.release() {
				w.Stop()
			}
		}
		select {
		case <-s.stop:
			return
		default:
		}
		s.tell(nil, fmt.Errorf("%s: watching the registry: %w", s.Service, err))
		if !s.sleep(wait) {
			return
		}
	}
}

func (s *RegistrySource) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.stop:
		return false
	}
}

// keep lets Close stop the watcher.
func (s *RegistrySource) keep(w registry.Watcher) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.watcher = w
	return true
}

// release takes the watcher back, and reports whether Close has not: to stop
// one twice at a time is a panic in go-micro's registries.
func (s *RegistrySource) release() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ours := s.watcher != nil
	s.watcher = nil
	return ours
}

// follow reads the service at once, for what nobody has watched, and then
// whenever there may be news, until the watch ends. good: it was of use.
func (s *RegistrySource) follow(w registry.Watcher, longest time.Duration) (good bool, err error) {
	changes, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		for {
			if _, err := w.Next(); err != nil {
				ended <- err
				return
			}
			select {
			case changes <- struct{}{}:
			default: // several are one
			}
		}
	}()
	again := time.NewTicker(longest)
	defer again.Stop()
	for {
		s.tell(s.read())
		select {
		case <-changes:
			good = true
		case <-again.C:
			good = true
		case err := <-ended:
			return good, err
		case <-s.stop:
			return good, nil
		}
	}
}

// tell reports a set, and each problem once.
func (s *RegistrySource) tell(nodes []selector.Node, err error) {
	s.mu.Lock()
	text := ""
	if err != nil {
		text = err.Error()
	}
	silent := s.closed || err != nil && text == s.problem
	s.problem = text
	s.mu.Unlock()
	if !silent {
		s.report(nodes, err)
	}
}

// read asks the registry.
func (s *RegistrySource) read() ([]selector.Node, error) {
	services, err := s.Registry.GetService(s.Service)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Service, err)
	}
	for _, f := range s.Filters {
		services = f(services)
	}
	nodes := nodesOf(services)
	if len(nodes) == 0 {
		return nil, fmt.Errorf("%s: %w", s.Service, mselector.ErrNoneAvailable)
	}
	s.known.Store(&known{services, declarations(services)})
	return nodes, nil
}

func nodesOf(services []*registry.Service) []selector.Node {
	var nodes []selector.Node
	seen := make(map[string]bool)
	for _, service := range services {
		for _, n := range service.Nodes {
			id := n.Id
			if id == "" {
				id = n.Address
			}
			if !seen[id] {
				seen[id] = true
				nodes = append(nodes, selector.Node{ID: id, Addr: n.Address, Meta: n.Metadata})
			}
		}
	}
	return nodes
}

// idempotency is what the server has registered with an endpoint.
func (s *RegistrySource) idempotency(endpoint string) retry.Idempotency {
	if k := s.known.Load(); k != nil {
		return k.declared[endpoint]
	}
	return retry.Unspecified
}

// declarations reads the metadata "idempotency" of all endpoints. Where
// versions of the service do not agree, nothing is known.
func declarations(services []*registry.Service) map[string]retry.Idempotency {
	all := make(map[string]retry.Idempotency)
	for _, service := range services {
		for _, e := range service.Endpoints {
			var i retry.Idempotency
			if i.UnmarshalText([]byte(e.Metadata["idempotency"])) != nil {
				i = retry.Unspecified
			}
			if before, ok := all[e.Name]; ok && before != i {
				i = retry.Unspecified
			}
			all[e.Name] = i
		}
	}
	return all
}
