package board

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// Entry is one line of the log: what happened to a node, a set of nodes or a
// service breaker.
type Entry struct {
	ID      uint64    `json:"id"` // from 1, each one more than the one before
	At      time.Time `json:"at"`
	Process string    `json:"process,omitempty"` // of a Gathering: whose it is
	Service string    `json:"service"`
	Node    string    `json:"node,omitempty"`
	Kind    string    `json:"kind"`                // selector.Kind in words; "breaker open", "breaker half-open", "breaker closed" or "breaker mode …" of the service breaker; "settings changed" or "settings refused", by their source; "steered"
	OpenFor float64   `json:"openForMs,omitempty"` // at least
	OutFor  float64   `json:"outForMs,omitempty"`  // of "readmitted": how long it was out

	// Candidate says that this is what the candidate settings would have done:
	// nothing has happened.
	Candidate bool    `json:"candidate,omitempty"`
	Reason    *Reason `json:"reason,omitempty"`
	Error     string  `json:"error,omitempty"` // why the source of nodes failed, or the settings were refused

	// Of "steered": who did what, and why.
	Who string `json:"who,omitempty"`
	Did string `json:"did,omitempty"`
	Why string `json:"why,omitempty"`

	// Of "nodes changed": how many there are, have come and have gone.
	Nodes   int `json:"nodes,omitempty"`
	Added   int `json:"added,omitempty"`
	Removed int `json:"removed,omitempty"`
}

// Change is one line of a node's own history.
type Change struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"`
}

// Ejection is when a node was last taken out, and why.
type Ejection struct {
	At     time.Time `json:"at"`
	Reason *Reason   `json:"reason"`
}

// past is what is remembered of a node.
type past struct {
	changes []Change
	ejected *Ejection // nil: it never was
	would   would
}

const (
	maxLog     = 500 // entries that are kept
	maxHistory = 20  // changes of one node that are kept
	maxText    = 500 // bytes of an error or a note that are kept
)

// log keeps the last entries.
type log struct {
	mu   sync.Mutex
	last uint64
	ring []Entry
}

func (l *log) add(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	e.ID = l.last
	if len(l.ring) < maxLog {
		l.ring = append(l.ring, e)
		return
	}
	l.ring[(l.last-1)%maxLog] = e
}

// list returns the entries there are, the oldest first.
func (l *log) list() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := int(l.last % maxLog)
	if len(l.ring) < maxLog {
		first = 0
	}
	return slices.Concat(l.ring[first:], l.ring[:first])
}

// since returns the entries after number id, the oldest first.
func (l *log) since(id uint64) []Entry {
	l.mu.Lock()
	more := l.last > id
	l.mu.Unlock()
	if !more {
		return nil
	}
	list := l.list()
	i, _ := slices.BinarySearchFunc(list, id+1, func(e Entry, id uint64) int { return cmp.Compare(e.ID, id) })
	return list[i:]
}

// note writes down what happened to a node or the set.
func (s *service) note(e *resilience.Event) {
	c := e.Change
	entry := Entry{
		At: c.At, Service: s.name, Kind: c.Kind.String(), OpenFor: ms(c.OpenFor),
		Nodes: c.Nodes, Added: c.Added, Removed: c.Removed, Candidate: e.Kind == resilience.CandidateEvent,
	}
	if c.Err != nil {
		entry.Error = short(c.Err.Error())
	}
	if c.Node != nil {
		entry.Node, entry.Reason = c.Node.ID, reasonOf(c.Reason)
		if entry.Candidate {
			entry.OutFor = s.imagine(c, entry.Reason)
		} else {
			entry.OutFor = s.remember(c, entry.Reason)
		}
	}
	s.board.log.add(entry)
}

// noteBreaker writes down what happened to the service breaker.
func (s *service) noteBreaker(e *breaker.Event, candidate bool) {
	entry := Entry{At: e.At, Service: s.name, Kind: "breaker " + e.To.String(), OpenFor: ms(e.OpenFor), Reason: reasonOf(e.Reason), Candidate: candidate}
	if e.From == e.To { // by Force
		entry.Kind = "breaker mode " + e.Mode.String()
	}
	s.board.log.add(entry)
}

// noteSettings writes down what the source of the settings has said.
func (s *service) noteSettings(e *resilience.Event) {
	entry := Entry{At: e.At, Service: s.name, Kind: e.Kind.String()}
	if e.Err == nil {
		s.refused.Store(nil)
	} else {
		entry.Error = short(e.Err.Error())
		s.refused.Store(&Refusal{e.At, entry.Error})
	}
	s.board.log.add(entry)
}

// remember adds to the past of a node that has a row. It returns for how long
// one that is readmitted was out, in milliseconds.
func (s *service) remember(c *selector.Event, why *Reason) (outFor float64) {
	candidate := s.candidate()
	s.mu.Lock()
	defer s.mu.Unlock()
	if candidate != nil && c.Kind == selector.Ejected {
		s.begin(candidate.Since)
		s.beside.ejections++
	}
	if (*s.nodes.Load())[c.Node.ID] == nil {
		return 0
	}
	p := s.pasts[c.Node.ID]
	if len(p.changes) >= maxHistory {
		p.changes = slices.Delete(p.changes, 0, 1)
	}
	p.changes = append(p.changes, Change{c.At, c.Kind.String()})
	switch {
	case c.Kind == selector.Ejected:
		p.ejected = &Ejection{c.At, why}
	case c.Kind == selector.Readmitted && p.ejected != nil:
		outFor = ms(c.At.Sub(p.ejected.At))
	}
	s.pasts[c.Node.ID] = p
	return outFor
}

// recall returns a node's past.
func (s *service) recall(id string) past {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pasts[id]
	p.changes = slices.Clone(p.changes)
	return p
}

func reasonOf(r breaker.Reason) *Reason {
	return &Reason{r.Cause.String(), r.Rule, r.Score, r.Threshold, r.Calls, r.Failures, short(r.Note)}
}

// short bounds a text that comes from elsewhere.
func short(text string) string {
	if len(text) > maxText {
		return strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return text
}
