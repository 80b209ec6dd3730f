package sim

import (
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/retry"
)

// measure counts as the run goes what harness.Run.Measure counts of a run that
// was written down, by the same definitions; a test compares the two.
type measure struct {
	w        *world
	r        Result
	from, to int64 // the window
	over     int64 // the end of the last fault
	rows     []int // of the course, by node; -1: none

	window, warm            *hdrhistogram.Histogram
	begunIn, dueIn          int // in the window
	begunWarm, dueWarm      int
	attempts, dueBy, goodBy []int // after the fault, by tenths of a second
	latencies               [][]uint32
	waiting                 []int // calls that were due in a slice and have not ended
	courseAttempts          [][]int
	out                     [][]float64 // changes, by row and slice
	isOut                   map[[2]int]int
	sick                    []sickness
	tell                    witness // nil: nobody wants to know it all
}

// witness is told all that is counted: a test writes it down.
type witness interface {
	begun(*job)
	unbegun(*job)
	applied(*call)
	done(*call)
	node(kind harness.EntryKind, client, node int)
}

// sickness is a time in which it is right to eject a node, and who did.
type sickness struct {
	node     int
	from, to int64
	clients  int
	out      []int64 // by client; 0: never; else when, + 1
	back     []int64
}

const (
	slice      = int64(100 * time.Millisecond)
	afterwards = int64(2 * time.Second)
	maxRows    = 20
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(10*time.Minute/time.Microsecond), 3)
}

func (m *measure) prepare(w *world) {
	s := &w.sys
	m.w = w
	total := int64(s.Total())
	m.r.Client = s.Client.String()
	m.from, m.to = int64(s.Warm), min(int64(s.Warm+s.Fault)+afterwards, total)
	m.window, m.warm = newHistogram(), newHistogram()
	m.over = int64(s.Warm + s.Fault)
	for _, f := range s.Faults {
		if f.For > 0 {
			m.over = max(m.over, int64(f.At+f.For))
		}
	}
	n := max(0, int((total-m.over)/slice))
	m.attempts, m.dueBy, m.goodBy = make([]int, n), make([]int, n), make([]int, n)
	m.isOut = map[[2]int]int{}
	m.sickness(s)
	m.course(s)
}

// sickness merges the faults of a node that follow each other at once.
func (m *measure) sickness(s *System) {
	open := map[int]int{}
	faults := slices.Clone(s.Faults)
	slices.SortStableFunc(faults, func(a, b Fault) int { return int(a.At - b.At) })
	for _, f := range faults {
		if f.Innocent {
			continue
		}
		from, to := int64(f.At), int64(s.Total())
		if f.For > 0 {
			to = int64(f.At + f.For)
		}
		for _, i := range f.hits(s.Nodes) {
			if k, ok := open[i]; ok && m.sick[k].to >= from {
				m.sick[k].to = max(m.sick[k].to, to)
				continue
			}
			open[i] = len(m.sick)
			clients := s.Clients
			if f.Share > 0 {
				clients = int(f.Share * float64(s.Clients))
			}
			m.sick = append(m.sick, sickness{i, from, to, clients, make([]int64, clients), make([]int64, clients)})
		}
	}
}

func (m *measure) course(s *System) {
	n := int((int64(s.Total()) + slice - 1) / slice)
	ms := func(d time.Duration) float64 { return millis(int64(d)) }
	m.r.Course = harness.Course{
		SliceMs: millis(slice), WarmMs: ms(s.Warm), FaultMs: ms(s.Warm + s.Fault), TotalMs: ms(s.Total()),
		Good: make([]int, n), Failed: make([]int, n), P99Ms: make([]*float64, n),
		Attempts: map[string][]int{}, Out: map[string][]float64{},
	}
	m.latencies, m.waiting = make([][]uint32, n), make([]int, n)
	m.rows = make([]int, s.Nodes)
	for i := range m.rows {
		m.rows[i] = -1
	}
	row := func(i int) {
		if m.rows[i] < 0 && len(m.courseAttempts) < maxRows {
			m.rows[i] = len(m.courseAttempts)
			m.courseAttempts = append(m.courseAttempts, make([]int, n))
			m.out = append(m.out, make([]float64, n+1))
		}
	}
	for _, f := range s.Faults { // first, where there is not room for all
		for _, i := range f.Nodes {
			row(i)
		}
	}
	for i := range m.rows {
		row(i)
	}
}

// millis is as package harness has it.
func millis(d int64) float64 {
	return float64(time.Duration(d).Round(time.Microsecond)) / float64(time.Millisecond)
}

// after is the place of a moment in the tenths of a second after the fault.
func (m *measure) after(at int64) (i int, ok bool) {
	i = int((at - m.over) / slice)
	return i, at >= m.over && i < len(m.attempts)
}

func (m *measure) due(c *call) {
	m.r.Requests++
	m.waiting[c.due/slice]++
	if c.due >= m.from && c.due < m.to {
		m.dueIn++
	}
	if c.due >= m.from/3 && c.due < m.from {
		m.dueWarm++
	}
	if i, ok := m.after(c.due); ok {
		m.dueBy[i]++
	}
}

// begun is an attempt that a node sees.
func (m *measure) begun(j *job) {
	m.count(j, 1)
	if m.tell != nil {
		m.tell.begun(j)
	}
}

// unbegun takes it back.
func (m *measure) unbegun(j *job) {
	m.count(j, -1)
	if m.tell != nil {
		m.tell.unbegun(j)
	}
}

func (m *measure) count(j *job, n int) {
	at := j.begun
	m.r.Attempts += n
	if at >= m.from && at < m.to {
		m.begunIn += n
	}
	if at >= m.from/3 && at < m.from {
		m.begunWarm += n
	}
	if i, ok := m.after(at); ok {
		m.attempts[i] += n
	}
	if i := int(at / slice); m.rows[j.node.index] >= 0 && i < len(m.latencies) {
		m.courseAttempts[m.rows[j.node.index]][i] += n
	}
}

// applied is an effect.
func (m *measure) applied(c *call) {
	if c.applied > 1 {
		m.r.Duplicated++
	} else if c.ended && !c.ok {
		m.r.Ghosts++
	}
	if m.tell != nil {
		m.tell.applied(c)
	}
}

// done is a call that has ended.
func (m *measure) done(c *call) {
	latency := m.w.now() - c.due
	us := max(latency/1000, 1)
	if c.due >= m.from && c.due < m.to {
		_ = m.window.RecordValue(us)
	}
	if c.due >= m.from/3 && c.due < m.from {
		_ = m.warm.RecordValue(us)
	}
	i := int(c.due / slice)
	m.waiting[i]--
	m.latencies[i] = append(m.latencies[i], uint32(min(us, 1<<32-1)))
	if c.ok {
		m.r.Course.Good[i]++
		if k, ok := m.after(c.due); ok {
			m.goodBy[k]++
		}
	} else {
		m.r.Failed++
		m.r.Course.Failed[i]++
	}
	if m.w.sys.Methods[c.method].Kind != retry.Safe {
		switch {
		case !c.ok && c.applied > 0:
			m.r.Ghosts++
		case c.ok && c.applied == 0:
			m.r.Lost++
		}
	}
	if m.tell != nil {
		m.tell.done(c)
	}
}

// died corrects when a node that killed itself was ill from.
func (m *measure) died(node, fault int) {
	at := int64(m.w.sys.Faults[fault-1].At)
	for i := range m.sick {
		if s := &m.sick[i]; s.node == node && s.from == at {
			s.from = m.w.now()
		}
	}
}

// ejected is a client that takes out a node.
func (m *measure) ejected(client, node int) {
	now := m.w.now()
	m.r.Ejections++
	right := false
	for i := range m.sick {
		s := &m.sick[i]
		if s.node != node || client >= s.clients || now < s.from || now > s.to+int64(max(0, m.w.sys.Timeout)) {
			continue
		}
		right = true
		if s.out[client] == 0 {
			s.out[client] = now + 1
		}
	}
	if !right {
		m.r.FalseEjections++
	}
	if _, was := m.isOut[[2]int{client, node}]; !was {
		if i := int(now / slice); i < len(m.latencies) {
			m.isOut[[2]int{client, node}] = i
		}
	}
	if m.tell != nil {
		m.tell.node(harness.Ejected, client, node)
	}
}

// readmitted is a client that takes it back.
func (m *measure) readmitted(client, node int) {
	now := m.w.now()
	for i := range m.sick {
		s := &m.sick[i]
		if s.node == node && client < s.clients && s.back[client] == 0 && now >= s.to && now <= int64(m.w.sys.Total()) {
			s.back[client] = now + 1
		}
	}
	if from, was := m.isOut[[2]int{client, node}]; was {
		m.span(node, from, int(now/slice))
		delete(m.isOut, [2]int{client, node})
	}
	if m.tell != nil {
		m.tell.node(harness.Readmitted, client, node)
	}
}

// span is the slices in which one client had a node ejected.
func (m *measure) span(node, from, to int) {
	if row := m.rows[node]; row >= 0 {
		m.out[row][from]++
		m.out[row][min(to, len(m.latencies))]--
	}
}
