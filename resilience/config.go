package resilience

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// Clock is time, goroutines and randomness: nil, wherever one is asked for,
// means the real ones. Package resiliencetest has a virtual one; there is no
// other.
type Clock = clock.Clock

// Config builds the standard stack. The zero Config is a client of one
// anonymous node, with the default settings.
type Config struct {
	Settings

	// SettingsFrom, if not nil, says what the Settings are, in place of those
	// above, which must be zero, and says so again when they change. The
	// client closes it. Nil: the Settings change by Update only.
	SettingsFrom SettingsSource

	// Service names what is called, in errors and events. May be empty.
	Service string

	// Nodes says where calls go. Nil: one anonymous node, whose Addr the op
	// ignores.
	Nodes selector.Source

	// Engine makes the nodes' breakers. Nil: native ones, tripped by the
	// ejector. An engine of your own trips by its own rules.
	Engine breaker.Engine

	// ServiceEngine makes the service breaker, in place of the native one of
	// Settings.ServiceBreaker, which must then be nil; it trips by its own
	// rules. Nil: the native one, if there are settings for it.
	ServiceEngine breaker.Engine

	// Observer hears what happens. Nil: nobody does, and it costs nothing. A
	// [Watcher] is asked for the one of this client.
	Observer Observer

	// OnNode hears what happens to the nodes, as Observer does, and nothing
	// else: calls do not pay for it. Nil: nobody does.
	OnNode func(selector.Event)

	// OwnCut says that ops end their attempts themselves at the attempt
	// timeout, by [Call.CutBy]; attempts of an op that does not are not cut.
	// It is for adapters whose attempts outlive their Func.
	OwnCut bool

	// Classify judges an attempt's error. Nil: [Classify].
	Classify func(ctx context.Context, err error) Outcome

	// RetryIf may stop retries, or ask for more. Nil: retry.OnError.
	RetryIf retry.Hook

	// Intervals makes each call's back-off, in place of Settings.Backoff; its
	// intervals are taken as they are. It is called at a call's first retry.
	Intervals func() backoff.BackOff

	// Fallback answers in place of a call that failed: see [Fallback].
	Fallback func(ctx context.Context, call *Call, err error) error

	// Wrap goes around the whole call, WrapAttempt around each attempt,
	// inside its timeout; the first is outermost.
	Wrap, WrapAttempt []Wrapper

	// Clock is time, goroutines and randomness. Nil: the real ones. Package
	// resiliencetest has a virtual one.
	Clock Clock
}

// Client makes calls. It is safe for concurrent use; make one by [New] and
// end it by Close.
type Client struct {
	service  string
	selector *selector.Selector
	path     atomic.Pointer[path]

	budget   *retry.Budget
	bulkhead bulkhead
	door     door
	closed   sync.Once
	follower *follower

	mu    sync.Mutex // for Update
	cfg   Config
	guard *guard // the service breaker; nil until there is one

	candidate atomic.Pointer[Candidate] // written under mu; nil: none
}

// guard is the service breaker, kept over updates.
type guard struct {
	family  *breaker.Family // nil with a ServiceEngine
	breaker breaker.Breaker
}

// path is the built stack. Update replaces it as a whole.
type path struct {
	call     Func
	guard    breaker.Breaker // the service breaker; nil: none
	methods  map[string]*MethodSettings
	settings Settings
	observer Observer
	clk      clock.Clock
}

// New builds the standard stack. It returns one error that lists everything
// that is wrong with cfg.
func New(cfg Config) (*Client, error) {
	if cfg.Nodes == nil {
		cfg.Nodes = selector.Static(selector.Node{})
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System
	}
	f := &follower{source: cfg.SettingsFrom}
	err := f.start(&cfg)
	if err == nil {
		err = cfg.Validate()
	}
	if err != nil {
		return nil, errors.Join(prefix("resilience", err), cfg.Nodes.Close(), f.close())
	}
	cfg.Observer = watched(cfg.Observer, cfg.Service)
	c := &Client{service: cfg.Service, follower: f}
	c.cfg = cfg
	sel, err := selector.New(cfg.selectorConfig())
	if err != nil {
		return nil, errors.Join(prefix("resilience", err), f.close())
	}
	c.selector = sel
	bc := cfg.Budget.config()
	bc.Successes = sel.Successes
	if c.budget, err = retry.NewBudget(bc, cfg.Clock.Now()); err != nil {
		return nil, errors.Join(err, sel.Close(), f.close())
	}
	if err := c.build(cfg.Settings); err != nil {
		return nil, errors.Join(prefix("resilience", err), sel.Close(), f.close())
	}
	c.tell(ClientOpened, nil)
	f.follow(c)
	return c, nil
}

// Validate returns all that is wrong, joined.
func (cfg Config) Validate() error {
	var v problems
	v.add(cfg.Settings.Validate())
	if nodes, ok := cfg.Nodes.(interface{ Validate() error }); ok { // known at once, as a static set is
		v.add(nodes.Validate())
	}
	v.check(cfg.ServiceEngine == nil || cfg.ServiceBreaker == nil, "serviceBreaker", "set", "none beside a ServiceEngine")
	for i, w := range cfg.Wrap {
		v.check(w != nil, fmt.Sprintf("wrap[%d]", i), "nil", "a wrapper")
	}
	for i, w := range cfg.WrapAttempt {
		v.check(w != nil, fmt.Sprintf("wrapAttempt[%d]", i), "nil", "a wrapper")
	}
	return errors.Join(v...)
}

// build makes the stack of exported pieces: what is here can be stacked by
// hand.
func (c *Client) build(s Settings) error {
	cfg := &c.cfg
	guard, err := c.serviceBreaker(s.ServiceBreaker)
	if err != nil {
		return err
	}
	retries := Retries{Policy: s.policy(), Methods: make(map[string]retry.Policy), Budget: c.budget, Observer: cfg.Observer, Clock: cfg.Clock}
	retries.Policy.Hook = cfg.RetryIf
	if cfg.Intervals != nil {
		retries.Policy.Backoff, retries.Policy.Verbatim = cfg.Intervals, true
	}
	for name, m := range s.Methods {
		retries.Methods[name] = m.policy()
	}
	stack := Stack(
		deadline(s, cfg.Clock),
		Stack(cfg.Wrap...),
		c.bulkhead.wrapper(s.Bulkhead),
		Fallback(cfg.Fallback),
		guarded(guard, cfg.Clock),
		guarded(c.candidate.Load().guard(), cfg.Clock),
		retries.at(&c.door),
		Select(Selects{Selector: c.selector, Classify: cfg.Classify, Shadow: c.candidate.Load().selector(), Clock: cfg.Clock}),
		Timeout(Timeouts{After: s.AttemptTimeout, OwnCut: cfg.OwnCut, Clock: cfg.Clock}),
		Stack(cfg.WrapAttempt...),
	)
	methods := make(map[string]*MethodSettings, len(s.Methods))
	for name, m := range s.Methods {
		methods[name] = &m
	}
	c.path.Store(&path{call: stack(attempt), guard: guard, methods: methods, settings: s.clone(), observer: cfg.Observer, clk: cfg.Clock})
	return nil
}

// Update puts new settings into force for the calls that begin after it.
// Nodes, what is known of them, open breakers and the budget's savings stay.
// On error the old settings stay, and the error lists everything wrong.
func (c *Client) Update(s Settings) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.cfg
	next.Settings = s
	if err := next.Validate(); err != nil {
		return prefix("resilience", err)
	}
	c.cfg = next
	if err := c.selector.Update(c.cfg.selectorConfig()); err != nil {
		return err
	}
	if err := c.budget.Update(s.Budget.config()); err != nil {
		return err
	}
	return c.build(s)
}

// Settings returns a copy of those in force: change it and hand it to Update.
func (c *Client) Settings() Settings { return c.path.Load().settings.clone() }

// Selector is the client's selector: for the status of nodes, and to eject,
// readmit or mark one by hand.
func (c *Client) Selector() *selector.Selector { return c.selector }

// Budget is the client's retry budget.
func (c *Client) Budget() *retry.Budget { return c.budget }

// Service is the name of what is called.
func (c *Client) Service() string { return c.service }

// Clock is the client's time, for comparison with what its events and nodes
// tell.
func (c *Client) Clock() Clock { return c.path.Load().clk }

// ServiceBreaker is the breaker above the retries, nil if there is none. The
// native one is a *breaker.Circuit.
func (c *Client) ServiceBreaker() breaker.Breaker { return c.path.Load().guard }

// InFlight is how many calls are within the bulkhead. Without one nobody
// counts, and it is 0.
func (c *Client) InFlight() int {
	n := c.bulkhead.in.Load() // with those that are just being turned away
	return int(min(n, int64(c.path.Load().settings.Bulkhead)))
}

// Close ends the sources of nodes and settings. Calls that begin after it fail with
// selector.ErrClosed; calls that are under way end as they would.
func (c *Client) Close() error {
	err := c.follower.close()
	if c.candidate.Load() != nil {
		err = errors.Join(err, c.Shadow(nil))
	}
	err = errors.Join(err, c.selector.Close())
	c.closed.Do(func() { c.tell(ClientClosed, nil) })
	return err
}

// tell tells the observer of the client itself.
func (c *Client) tell(kind EventKind, err error) {
	if p := c.path.Load(); p.observer != nil {
		p.observer.Observe(Event{Kind: kind, At: p.clk.Now(), Service: c.service, Client: c, Err: err})
	}
}

// deadline bounds whole calls, where any are bounded.
func deadline(s Settings, clk clock.Clock) Wrapper {
	bounded := s.Timeout > 0
	for _, m := range s.Methods {
		bounded = bounded || m.Timeout > 0
	}
	if !bounded {
		return nil
	}
	return func(next Func) Func {
		return func(ctx context.Context, call *Call) error {
			d := s.Timeout
			if call.method != nil && call.method.Timeout > 0 {
				d = call.method.Timeout
			}
			if d <= 0 {
				return next(ctx, call)
			}
			ctx, cancel := clk.WithTimeout(ctx, d)
			defer cancel()
			return next(ctx, call)
		}
	}
}
