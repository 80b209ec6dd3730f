package board

import (
	"maps"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// service is what is counted of one client. It is that client's observer.
type service struct {
	board *Board
	name  string

	client atomic.Pointer[resilience.Client] // nil: not open yet, or stacked by hand
	clk    clock.Clock                       // the client's
	epoch  time.Time                         // when second 0 began, on that clock

	calls row
	nodes atomic.Pointer[map[string]*row] // by ID
	rest  row                             // the nodes beyond the bound, and what comes late from those that left

	crowded atomic.Bool // not every node has a row

	refused atomic.Pointer[Refusal] // settings that their source had last; nil: they are in force

	mu             sync.Mutex      // to replace nodes
	taken          int             // rows that the board has granted
	asked, adopted int             // looks at the set, and the last one that was made use of
	pasts          map[string]past // of nodes that have a row
	beside         beside
}

func newService(b *Board, name string, clk clock.Clock) *service {
	s := &service{board: b, name: name, pasts: make(map[string]past)}
	s.nodes.Store(&map[string]*row{})
	s.start(clk)
	return s
}

// start begins second 0, in step with the board's own seconds.
func (s *service) start(clk clock.Clock) {
	s.clk = clk
	s.epoch = clk.Now().Add(-(clock.System.Now().Sub(s.board.epoch) % time.Second))
}

// at is the number of a time's second.
func (s *service) at(t time.Time) int64 { return max(int64(t.Sub(s.epoch)/time.Second), 0) }

// Observe implements resilience.Observer.
func (s *service) Observe(e resilience.Event) {
	switch e.Kind {
	case resilience.AttemptDone:
		if e.Node != nil {
			s.attempt(&e)
		}
	case resilience.CallDone:
		s.call(&e)
	case resilience.FallbackDone:
		c := fellBack
		if e.Err != nil {
			c = fallbackFailed
		}
		s.calls.tally().second(s.at(e.At)).n[c].Add(1)
	case resilience.NodeEvent:
		s.note(&e)
		if e.Change.Kind == selector.NodesChanged {
			s.adopt()
		}
	case resilience.CandidateEvent:
		if e.Breaker != nil {
			s.noteBreaker(e.Breaker, true)
		} else {
			s.note(&e)
		}
	case resilience.ServiceBreakerEvent:
		s.noteBreaker(e.Breaker, false)
	case resilience.ClientOpened:
		s.start(e.Client.Clock())
		s.client.Store(e.Client)
		s.adopt()
		s.board.add(s)
	case resilience.ClientClosed:
		s.leave()
	case resilience.SettingsChanged, resilience.SettingsRefused:
		s.noteSettings(&e)
	}
}

func (s *service) attempt(e *resilience.Event) {
	second := s.node(e.Node.ID).add(s.at(e.At), countOf(e), e.Elapsed)
	if e.Attempt > 1 {
		second.n[retried].Add(1)
	}
}

func (s *service) call(e *resilience.Event) {
	second := s.calls.add(s.at(e.At), countOf(e), e.Elapsed)
	if e.Ambiguous {
		second.n[ambiguous].Add(1)
	}
	if c := s.client.Load(); c != nil {
		second.reach(c.InFlight())
	}
}

// node returns the row of a node.
func (s *service) node(id string) *row {
	if r := (*s.nodes.Load())[id]; r != nil {
		return r
	}
	if s.client.Load() != nil {
		return &s.rest // beyond the bound, or no longer in the set
	}
	return s.meet(id)
}

// adopt keeps the rows of the nodes in the set, makes those that are missing,
// and forgets the others.
func (s *service) adopt() {
	c := s.client.Load()
	if c == nil {
		return
	}
	s.mu.Lock()
	s.asked++
	mine := s.asked
	s.mu.Unlock()
	set := c.Selector().Nodes() // asks breakers, which may be a user's: not under mu
	s.mu.Lock()
	defer s.mu.Unlock()
	if mine < s.adopted { // by somebody who looked later
		return
	}
	s.adopted = mine
	old := *s.nodes.Load()
	s.taken += s.board.grant(len(set) - s.taken)
	s.crowded.Store(s.taken < len(set))
	next := make(map[string]*row, s.taken)
	for i := range set { // first those who have one
		if id := set[i].Node.ID; old[id] != nil {
			next[id] = old[id]
		}
	}
	for i := range set {
		if id := set[i].Node.ID; next[id] == nil && len(next) < s.taken {
			next[id] = new(row)
		}
	}
	s.nodes.Store(&next)
	maps.DeleteFunc(s.pasts, func(id string, _ past) bool { return next[id] == nil })
}

// meet makes a row for a node of calls that are stacked by hand, where nobody
// says which nodes there are.
func (s *service) meet(id string) *row {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := *s.nodes.Load()
	if r := old[id]; r != nil {
		return r
	}
	if s.board.grant(1) == 0 {
		s.crowded.Store(true)
		return &s.rest
	}
	next := maps.Clone(old)
	r := new(row)
	next[strings.Clone(id)] = r // it may be part of something large
	s.nodes.Store(&next)
	return r
}

// leave gives the rows back.
func (s *service) leave() {
	s.board.remove(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adopted = math.MaxInt
	s.board.grant(-s.taken)
	s.taken = 0
	s.nodes.Store(&map[string]*row{})
	clear(s.pasts)
}
