package board

import (
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// Candidate is settings that run beside those in force, on the same calls: see
// [resilience.Client.Shadow].
type Candidate struct {
	Since    time.Time           `json:"since"`
	Settings resilience.Settings `json:"settings"`
	Breaker  *Breaker            `json:"breaker,omitempty"` // above the retries, if it would have one

	// Ejections since then: those there would have been, and those there were.
	Would int `json:"wouldEject"`
	Were  int `json:"ejected"`
}

// Would is how a node would stand by the candidate settings.
type Would struct {
	Ejected   bool       `json:"ejected"`
	Score     float64    `json:"score"`
	Threshold float64    `json:"threshold"`
	RetryAt   *time.Time `json:"retryAt,omitempty"` // when it would next be tried
	Times     int        `json:"times"`             // it would have been ejected since the candidate runs
	OutFor    float64    `json:"outForMs"`          // it would have been out, in all

	LastEjection *Ejection `json:"lastEjection,omitempty"`
}

// would is what is remembered of a node's ejections that there were not.
type would struct {
	of      time.Time // the candidate's Since; what is of another is forgotten
	times   int
	outFor  time.Duration // without the present one
	out     bool
	ejected *Ejection
}

// beside counts the ejections of a service since its candidate runs.
type beside struct {
	since            time.Time
	would, ejections int
}

// candidate is the one that runs; nil: none does.
func (s *service) candidate() *resilience.Candidate {
	if c := s.client.Load(); c != nil {
		return c.Candidate()
	}
	return nil
}

// begin forgets what is of another candidate. Caller holds mu.
func (s *service) begin(since time.Time) {
	if !s.beside.since.Equal(since) {
		s.beside = beside{since: since}
	}
}

// imagine adds to the past of a node what has not happened. It returns for how
// long one that would be readmitted would have been out, in milliseconds.
func (s *service) imagine(c *selector.Event, why *Reason) (outFor float64) {
	candidate := s.candidate()
	if candidate == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin(candidate.Since)
	if c.Kind == selector.Ejected {
		s.beside.would++
	}
	if (*s.nodes.Load())[c.Node.ID] == nil {
		return 0
	}
	p := s.pasts[c.Node.ID]
	w := &p.would
	if !w.of.Equal(candidate.Since) {
		*w = would{of: candidate.Since}
	}
	switch {
	case c.Kind == selector.Ejected:
		w.times++
		w.out, w.ejected = true, &Ejection{c.At, why}
	case c.Kind == selector.Readmitted && w.out:
		d := c.At.Sub(w.ejected.At)
		w.out = false
		w.outFor += d
		outFor = ms(d)
	}
	s.pasts[c.Node.ID] = p
	return outFor
}

// trial is a candidate as it is looked at; nil: none runs.
type trial struct {
	of    *resilience.Candidate
	nodes map[string]*selector.Status
	would int
	were  int
}

func (s *service) trial(candidate *resilience.Candidate) *trial {
	if candidate == nil {
		return nil
	}
	list := candidate.Selector.Nodes()
	t := &trial{of: candidate, nodes: make(map[string]*selector.Status, len(list))}
	for i := range list {
		t.nodes[list[i].Node.ID] = &list[i]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin(candidate.Since)
	t.would, t.were = s.beside.would, s.beside.ejections
	return t
}

func (t *trial) candidate() *Candidate {
	if t == nil {
		return nil
	}
	return &Candidate{
		Since: t.of.Since, Settings: t.of.Settings, Breaker: breakerOf(t.of.ServiceBreaker), Would: t.would, Were: t.were,
	}
}

func (t *trial) node(n *selector.Status, p *past, now time.Time) *Would {
	if t == nil {
		return nil
	}
	status := t.nodes[n.Node.ID]
	if status == nil {
		return nil
	}
	w := &Would{Ejected: status.Ejected, Score: status.Score, Threshold: status.Threshold, RetryAt: maybe(status.RetryAt)}
	if old := &p.would; old.of.Equal(t.of.Since) {
		out := old.outFor
		if old.out {
			out += now.Sub(old.ejected.At)
		}
		w.Times, w.OutFor, w.LastEjection = old.times, ms(out), old.ejected
	}
	return w
}
