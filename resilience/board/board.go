// Package board shows what the clients of a process do, over HTTP:
//
//	b, err := board.New(board.Config{})
//	…
//	client, err := resilience.New(resilience.Config{Service: "users", Observer: b, …})
//	…
//	http.Handle("/holdfast/", b)
//
// and then /holdfast/ is a live page, /holdfast/state.json what it shows for
// other readers ([State]), and /holdfast/hystrix.stream what a Hystrix dashboard
// or Turbine reads. [Gather] puts the boards of several processes side by side.
// One board takes as many clients as there are; each names it as its Observer.
// Unless Config.Read says otherwise, whoever reaches it reads names, addresses
// and settings; nobody steers unless Config.Steer lets them.
//
// A call is counted once for its service and each attempt once for its node,
// by two atomic additions and no allocation (the benchmarks have stack=holdfast
// beside stack=holdfast-board). Nothing else happens while nobody looks: there
// is no goroutine, and rolling windows are kept by those who count. What there
// is to see is worked out once a second for all who look, and once more when
// something happens.
package board

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/resilience"
)

// Config describes a Board. The zero Config is good.
type Config struct {
	// Nodes is how many nodes, of all services together, are counted each on
	// its own; further ones of a service share a row. A busy node takes 10 kB.
	// Default 2000.
	Nodes int

	// Watchers is how many streams may be open at once; further ones are
	// answered 503. Default 100.
	Watchers int

	// Patience is how long a watcher may take to read the events of a second.
	// One that takes longer is dropped. Default 10 s.
	Patience time.Duration

	// Read, if not nil, must let in who reads. Nil: whoever reaches the board
	// reads names, addresses and settings.
	Read Authenticator

	// Steer, if not nil, takes orders ([Order]) from whom it lets in, by POST to
	// …/steer; not from pages of another origin. Nil: nobody steers.
	Steer Authenticator
}

// Validate returns all that is wrong, joined.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, field string, value any, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("board: %s %v: want %s", field, value, want))
		}
	}
	check(c.Nodes >= 0, "nodes", c.Nodes, "1 or more (0: default 2000)")
	check(c.Watchers >= 0, "watchers", c.Watchers, "1 or more (0: default 100)")
	check(c.Patience >= 0, "patience", c.Patience, "more than 0s (0: default 10s)")
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	orElse(&c.Nodes, 2000)
	orElse(&c.Watchers, 100)
	orElse(&c.Patience, 10*time.Second)
	return c
}

func orElse[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Board counts what its clients do and shows it. It is an http.Handler, and
// the Observer of its clients. It is safe for concurrent use; make one by
// [New] and end its streams by Close.
type Board struct {
	streams
	live

	cfg      Config
	origins  *http.CrossOriginProtection
	changing sync.Mutex // somebody's settings

	stacked atomic.Pointer[map[string]*service] // by hand: see Observe

	hystrix   frames
	farewells farewells // for who makes a frame of it

	mu       sync.Mutex
	services []*service // by name, then by age
	free     int        // rows that no node has
}

var (
	_ http.Handler       = (*Board)(nil)
	_ resilience.Watcher = (*Board)(nil)
)

// New makes a Board. The error lists everything wrong with cfg.
func New(cfg Config) (*Board, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	b := &Board{cfg: cfg, origins: http.NewCrossOriginProtection(), free: cfg.Nodes, farewells: make(farewells)}
	b.open(cfg.Watchers, cfg.Patience)
	b.live.state = func() any {
		st := b.State()
		st.Log = nil
		return st
	}
	b.stacked.Store(&map[string]*service{})
	return b, nil
}

// Watch implements resilience.Watcher.
func (b *Board) Watch(name string) resilience.Observer { return newService(b, name, clock.System) }

// Observe implements resilience.Observer, for calls that are stacked by hand
// and so have no client: their services are told apart by name, and counted;
// of their breakers and nodes no more is known than where attempts went.
func (b *Board) Observe(e resilience.Event) {
	switch e.Kind {
	case resilience.AttemptDone, resilience.CallDone, resilience.FallbackDone:
		s := (*b.stacked.Load())[e.Service]
		if s == nil {
			s = b.meet(e.Service)
		}
		s.Observe(e)
	}
}

// maxStacked bounds the names that Observe tells apart; the services after
// these share one more.
const maxStacked = 256

func (b *Board) meet(name string) *service {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := *b.stacked.Load()
	if len(old) >= maxStacked {
		name = others
	}
	if s := old[name]; s != nil {
		return s
	}
	next := maps.Clone(old)
	name = strings.Clone(name) // it may be part of something large
	s := newService(b, name, clock.System)
	next[name] = s
	b.stacked.Store(&next)
	b.insert(s)
	return s
}

// others is the name of what shares a row.
const others = "(others)"

// add shows a service.
func (b *Board) add(s *service) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.insert(s)
}

// insert keeps the order. Caller holds mu.
func (b *Board) insert(s *service) {
	i, _ := slices.BinarySearchFunc(b.services, s, func(a, b *service) int {
		if a.name <= b.name {
			return -1
		}
		return 1
	})
	b.services = slices.Insert(b.services, i, s)
}

func (b *Board) remove(s *service) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.services = slices.DeleteFunc(b.services, func(x *service) bool { return x == s })
}

// grant gives up to n rows, or takes −n back; it returns how many.
func (b *Board) grant(n int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n = min(n, b.free)
	b.free -= n
	return n
}

// list is the services there are.
func (b *Board) list() []*service {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.services)
}

// ServeHTTP implements http.Handler. It goes by the last element of the path,
// so that the board can be mounted anywhere.
func (b *Board) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, last := path.Split(r.URL.Path)
	serve, methods := b.serveRead(last), []string{http.MethodGet, http.MethodHead}
	if last == "steer" && b.cfg.Steer != nil {
		serve, methods = b.serveSteer, []string{http.MethodPost}
	}
	if serve == nil {
		http.NotFound(w, r)
		return
	}
	if !slices.Contains(methods, r.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		http.Error(w, strings.Join(methods, " or ")+" only", http.StatusMethodNotAllowed)
		return
	}
	serve(w, r)
}

// serveRead returns what serves a file or a stream, behind Config.Read where it
// tells of the process.
func (b *Board) serveRead(name string) http.HandlerFunc {
	var serve http.HandlerFunc
	switch name {
	case "state.stream":
		serve = func(w http.ResponseWriter, r *http.Request) { b.serveLive(w, r, &b.live) }
	case "state.json":
		serve = b.serveState
	case "hystrix.stream":
		serve = b.serveHystrix
	default:
		return assetOf[name]
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if _, ok := b.cfg.Read.admit(w, r); ok {
			serve(w, r)
		}
	}
}

// Close ends the streams, which a server's Shutdown would wait for:
//
//	server.RegisterOnShutdown(func() { _ = b.Close() })
//
// Streams that are asked for afterwards are refused; counting goes on.
func (b *Board) Close() error {
	b.close()
	return nil
}
