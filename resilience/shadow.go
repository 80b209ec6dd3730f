package resilience

import (
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/selector"
)

// Candidate is settings that run beside those in force, on the same calls, and
// change nothing: see [Client.Shadow].
type Candidate struct {
	Settings Settings
	Since    time.Time

	// Selector is the nodes as they would stand: which are ejected, since when
	// they would be, when they would be tried again. It chooses nothing.
	Selector *selector.Selector

	// ServiceBreaker rejects nothing, and counts what it would have; nil: the
	// candidate has none.
	ServiceBreaker breaker.Breaker
}

func (x *Candidate) selector() *selector.Selector {
	if x == nil {
		return nil
	}
	return x.Selector
}

func (x *Candidate) guard() breaker.Breaker {
	if x == nil {
		return nil
	}
	return x.ServiceBreaker
}

// Shadow runs other settings beside those in force, from now on and on the same
// calls, and says what they would have done, in [CandidateEvent]s: which node
// would have been ejected, when, why and for how long, and when the service
// breaker would have opened. What they say of Ejection, Breaker and
// ServiceBreaker is judged; attempts are made, placed and cut by the settings
// in force. An attempt at a node that the candidate would have taken out tells
// it nothing, except when it would have probed the node then. A call costs
// about another pick and its report meanwhile, and no allocation.
//
// One candidate runs at a time, and takes the place of the one before; nil ends
// it. On error the one before goes on, and the error lists everything wrong.
func (c *Client) Shadow(candidate *Settings) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var next *Candidate
	if candidate != nil {
		if err := candidate.Validate(); err != nil {
			return prefix("resilience: candidate", err)
		}
		var err error
		if next, err = c.newCandidate(candidate.clone()); err != nil {
			return prefix("resilience: candidate", err)
		}
	}
	old := c.candidate.Swap(next)
	if old == nil && next == nil {
		return nil
	}
	if err := c.build(c.path.Load().settings); err != nil {
		return err
	}
	if old != nil {
		return old.Selector.Close()
	}
	return nil
}

// Candidate returns the one that runs; nil: none does.
func (c *Client) Candidate() *Candidate { return c.candidate.Load() }

func (c *Client) newCandidate(s Settings) (*Candidate, error) {
	x := &Candidate{Settings: s, Since: c.cfg.Clock.Now()}
	tell := func(e Event) {
		if o := c.cfg.Observer; o != nil && c.candidate.Load() == x {
			e.Kind, e.Service = CandidateEvent, c.service
			o.Observe(e)
		}
	}
	if s.ServiceBreaker != nil {
		bc, err := s.ServiceBreaker.config()
		if err != nil {
			return nil, err
		}
		bc.Clock, bc.Shadow = c.cfg.Clock, true
		bc.OnEvent = func(e breaker.Event) { tell(Event{At: e.At, Breaker: &e}) }
		family, err := breaker.NewFamily(bc)
		if err != nil {
			return nil, err
		}
		x.ServiceBreaker = family.New(c.service)
	}
	sel, err := c.selector.Mirror(selector.Config{
		SlowStart: s.SlowStart, Ejection: s.Ejection.config(), Breaker: s.Breaker.config(),
		OnEvent: func(e selector.Event) {
			if e.Kind != selector.NodesChanged {
				tell(Event{At: e.At, Node: e.Node, Err: e.Err, Change: &e})
			}
		},
	})
	x.Selector = sel
	return x, err
}
