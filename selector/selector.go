// Package selector answers: which node next? A [Source] says which nodes
// there are, a [Strategy] chooses among those admitted, each node's own
// circuit breaker admits or refuses, and the ejector takes out a node that
// does worse than its peers.
package selector

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/internal/relay"
)

// ErrNoNodes is returned by Pick while no node is known.
var ErrNoNodes = errors.New("no nodes are known")

// ErrClosed is returned by Pick after Close.
var ErrClosed = errors.New("the selector is closed")

// Node is one instance of a service. A Node that was handed out is never
// changed; do not change it either.
type Node struct {
	ID     string            // identity; empty: Addr. Unique in a set
	Addr   string            // where it is, as its client needs it: "10.0.0.7:8080"
	Weight int               // share of the load relative to the others; 0: 1
	Zone   string            // for zone preference; may be empty
	Meta   map[string]string // whatever the source knows besides
}

// String returns the ID.
func (n *Node) String() string { return n.ID }

// Call is what a pick needs to know of the call.
type Call struct {
	Method string    // failures are judged per method; bounded: the 65th and later share one record
	Now    time.Time // the present; zero: the clock is read
	Tried  []*Node   // nodes that earlier attempts of this call went to

	// Retriable says that this attempt may be made again elsewhere if it ends
	// in doubt. Such calls are preferred as probes of an ejected node.
	Retriable bool
}

// Report is the result of one attempt.
type Report struct {
	Result  breaker.Result
	Start   time.Time     // when the attempt began; zero: when its node was picked
	Elapsed time.Duration // how long it took; feeds the latency of a Success
	NotSent bool          // no connection was obtained: evidence about the node alone

	// Silent says of a Failure or an Ignored result that nothing has come from
	// the node: the attempt ended by a timeout, or the caller gave up. Any
	// other result is an answer, by which the node is known to be there.
	Silent bool

	// Early says of a Silent report that the attempt was ended on the word of
	// [Picked.Overdue], before its time. If it was merely late then, nothing is
	// held against the node.
	Early bool

	// Refused says of an Ignored result that the node turned the call away for
	// load (429, 503 with Retry-After, RESOURCE_EXHAUSTED). Nothing is wrong
	// with it; [TwoChoices] leaves it alone for about a second.
	Refused bool
}

// Config describes a Selector. The zero Config has no nodes.
type Config struct {
	Source   Source   // where nodes come from; required
	Strategy Strategy // nil: TwoChoices{}

	// Zone prefers the nodes of this zone while at least half of them can
	// take calls. Empty: no preference.
	Zone string

	// SlowStart is how long a new or readmitted node takes to grow from a
	// tenth of its share to the whole, linearly. Default 10 s, negative: off.
	SlowStart time.Duration

	// Ejection is the comparison of a node with its peers.
	Ejection Ejection

	// Engine makes each node's breaker, keyed by its ID. Nil: native ones
	// that open only when the ejector (or a hand) trips them.
	Engine breaker.Engine

	// Breaker is how long the native breakers stay open, and how they are
	// probed. It has no effect where there is an Engine. Its Rule, SlowCall,
	// Ramp and Clock are not used: the ejector and the slow start do that.
	Breaker breaker.Config

	// OnEvent, if not nil, hears ejections, readmissions and changes of the
	// set: in order, outside every lock.
	OnEvent func(Event)

	// Clock is the time and randomness; nil: the real ones.
	Clock clock.Clock
}

// Validate returns all that is wrong, joined.
func (c Config) Validate() error {
	var errs []error
	if c.Source == nil {
		errs = append(errs, errors.New("source: want one, such as selector.Static(nodes...)"))
	}
	return errors.Join(append(errs, c.Ejection.Validate(), c.breaker().Validate())...)
}

// breaker is the configuration of the native breakers.
func (c *Config) breaker() breaker.Config {
	b := c.Breaker
	b.Rule, b.SlowCall, b.Ramp, b.Clock = breaker.Never{}, 0, -1, c.Clock
	return b
}

// Selector picks nodes. It is safe for concurrent use; make one by [New] and
// end it by Close.
type Selector struct {
	source Source
	engine breaker.Engine
	native *breaker.Family // the engine, where it is ours; nil: it is the user's
	clk    clock.Clock
	epoch  time.Time
	origin int64 // epoch, as the clock's Mono tells it
	tune   atomic.Pointer[tuning]

	set       atomic.Pointer[set]
	methods   atomic.Pointer[methods]
	survival  [maxMethods + 1]atomic.Pointer[survival]
	typical   [maxMethods + 1]atomic.Uint32 // float32 nanoseconds; 0: to be looked up; see Typical
	late      atomic.Uint64                 // successes of attempts that were late
	nextProbe [2]atomic.Int64               // since epoch: when an ejected node or a suspect may be tried next; see probeDue
	events    relay.Relay[Event]
	index     atomic.Pointer[index] // of a mirror; nil: not needed yet

	mu       sync.Mutex // everything below, node.sick, and replacing set and methods
	gone     graveyard
	retired  uint64 // successes of nodes that are gone
	suspects suspects
	watches  []*watch // spare ones
	scratch  scratch
	mirrors  []*reflection
	closed   bool
}

// tuning is what Update may change.
type tuning struct {
	strategy  Strategy // nil: TwoChoices{}
	zone      string
	slowStart time.Duration
	ejection  thresholds
}

func (c Config) tuning() *tuning {
	t := &tuning{strategy: c.Strategy, zone: c.Zone, slowStart: c.SlowStart, ejection: c.Ejection.thresholds()}
	if t.strategy == Strategy(TwoChoices{}) {
		t.strategy = nil // asked without an interface in between
	}
	if t.slowStart == 0 {
		t.slowStart = 10 * time.Second
	}
	return t
}

// New starts watching the source. It fails when cfg is invalid or the source
// cannot start.
func New(cfg Config) (*Selector, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Selector{source: cfg.Source, engine: cfg.Engine, clk: cfg.Clock}
	if s.clk == nil {
		s.clk = clock.System
	}
	if s.engine == nil {
		family, err := breaker.NewFamily(cfg.breaker())
		if err != nil {
			return nil, err
		}
		s.engine, s.native = family, family
	}
	s.origin = s.clk.Mono()
	s.epoch = s.clk.At(s.origin)
	s.tune.Store(cfg.tuning())
	s.set.Store(&set{})
	s.methods.Store(&methods{first: noMethod})
	s.schedule()
	s.events.Listen = cfg.OnEvent
	if c, ok := s.source.(interface{ defaultClock(clock.Clock) }); ok {
		c.defaultClock(s.clk)
	}
	if err := s.source.Watch(s.report); err != nil {
		return nil, errors.Join(fmt.Errorf("source: %w", err), s.source.Close())
	}
	return s, nil
}

// Update changes the strategy, zone, slow start, ejection thresholds and the
// native breakers' times; nodes and what is known of them stay. Source, Engine,
// OnEvent and Clock of cfg are ignored.
func (s *Selector) Update(cfg Config) error {
	if err := cfg.Ejection.Validate(); err != nil {
		return err
	}
	if s.native != nil {
		if err := s.native.Update(cfg.breaker()); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tune.Store(cfg.tuning())
	s.rebuild(s.set.Load().all)
	return nil
}

// Close ends the source. Picks fail with [ErrClosed] afterwards; attempts that
// are under way may still call Done.
func (s *Selector) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.set.Store(&set{closed: true})
	s.schedule()
	s.mu.Unlock()
	return s.source.Close()
}

// Pick chooses a node and counts the attempt as in flight there. A node in
// c.Tried is chosen only when every admitted node was tried. It fails with
// [ErrNoNodes] or [ErrClosed] only; it does not block and, for a first
// attempt, does not allocate.
func (s *Selector) Pick(c Call) (Picked, error) {
	var p Picked
	err := s.PickTo(&p, &c)
	return p, err
}

// PickTo is Pick into memory that the caller has, which saves two copies.
// What p held is overwritten; on error it is left alone.
func (s *Selector) PickTo(p *Picked, c *Call) error {
	if c.Now.IsZero() {
		return s.PickAt(p, c, s.clk.Mono())
	}
	return s.PickAt(p, c, s.origin+int64(c.Now.Sub(s.epoch)))
}

// PickAt is PickTo at an instant that Config.Clock's Mono has told: c.Now is
// not looked at.
func (s *Selector) PickAt(p *Picked, c *Call, mono int64) error {
	t := mono - s.origin
	noted := false
	var now time.Time // our own breakers read the clock, in the rare case that they need the time
	if s.native == nil {
		now = s.instant(t)
	}
	if s.probeDue(c.Retriable, t) && len(c.Tried) == 0 {
		if n, permit, ok := s.tryProbe(c, s.instant(t), t); ok {
			s.claim(p, n, t, c.Method)
			p.permit, p.probe = permit, true
			return nil
		}
	}
	for avoided := 0; ; {
		set := s.set.Load()
		n, err := s.choose(set, c.Tried, t)
		if err != nil {
			return err
		}
		if noted = len(set.live.nodes) > 1 && avoided < mostAvoided && n.quiet(t); noted && s.listen(n, t, s.methodIndex(c.Method), c.Retriable) {
			avoided++
			continue
		}
		permit, after, ok := n.breaker.TryAcquire(now)
		if ok || set.bypass() {
			s.claim(p, n, t, c.Method)
			p.noted, p.since = noted, t
			p.permit, p.probe = permit, ok && len(set.live.nodes) == 0 && s.isOut(n)
			return nil
		}
		s.noteOpen(n, t, after)
	}
}

// mostAvoided is how often a call looks for a node that is less doubtful.
const mostAvoided = 4

// instant is t, which counts from the epoch, as others tell the time.
func (s *Selector) instant(t int64) time.Time { return s.epoch.Add(time.Duration(t)) }
