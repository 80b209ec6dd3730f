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
	m.latencies = make([][]uint32, n)
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

// result sums up.
func (m *measure) result() *Result {
	r := &m.r
	if m.dueIn > 0 {
		r.Amplification = float64(m.begunIn) / float64(m.dueIn)
	}
	r.P50Ms, r.P99Ms, r.P999Ms = quantileMs(m.window, 50), quantileMs(m.window, 99), quantileMs(m.window, 99.9)
	r.Baseline = map[string]float64{}
	if m.dueWarm > 0 {
		r.Baseline["amplification"] = float64(m.begunWarm) / float64(m.dueWarm)
	}
	if m.warm.TotalCount() > 0 {
		r.Baseline["p50Ms"], r.Baseline["p99Ms"], r.Baseline["p999Ms"] = quantileMs(m.warm, 50), quantileMs(m.warm, 99), quantileMs(m.warm, 99.9)
	}
	r.Latency = m.window
	m.recovery()
	m.times()
	m.drawCourse()
	return r
}

func quantileMs(h *hdrhistogram.Histogram, percent float64) float64 {
	return float64(h.ValueAtPercentile(percent)) / 1000
}

// recovery is what came after the fault.
func (m *measure) recovery() {
	for i := 0; i+10 <= len(m.attempts); i++ {
		attempts, good, due := 0, 0, 0
		for k := i; k < i+10; k++ {
			attempts, good, due = attempts+m.attempts[k], good+m.goodBy[k], due+m.dueBy[k]
		}
		m.r.Peak = max(m.r.Peak, float64(attempts)/m.w.sys.Rate)
		if m.r.RecoverMs == nil && float64(good) >= 0.95*float64(due) {
			at := millis(int64(i) * slice)
			m.r.RecoverMs = &at
		}
	}
}

// times are those to eject and to readmit.
func (m *measure) times() {
	var back []*float64
	for i := range m.sick {
		s := &m.sick[i]
		for c := range s.clients {
			out := since(s.out[c], s.from)
			m.r.TimesToEjectMs = append(m.r.TimesToEjectMs, out)
			if out != nil && s.to < int64(m.w.sys.Total()) {
				back = append(back, since(s.back[c], s.to))
			}
		}
	}
	m.r.TimeToEjectMs, m.r.TimeToReadmitMs = median(m.r.TimesToEjectMs), median(back)
}

func since(at, from int64) *float64 {
	if at == 0 {
		return nil
	}
	d := millis(at - 1 - from)
	return &d
}

// median is nil if there are none, or more than half never happened. Of an
// even number it is the lower one.
func median(list []*float64) *float64 {
	var have []float64
	for _, x := range list {
		if x != nil {
			have = append(have, *x)
		}
	}
	slices.Sort(have)
	if i := (len(list) - 1) / 2; len(list) > 0 && i < len(have) {
		return &have[i]
	}
	return nil
}

// drawCourse makes the course of what was counted.
func (m *measure) drawCourse() {
	c := &m.r.Course
	for i, list := range m.latencies {
		if len(list) > 0 {
			slices.Sort(list)
			p99 := float64(list[max(1, int(.99*float64(len(list))+.5))-1]) / 1000 // the rank that HdrHistogram takes
			c.P99Ms[i] = &p99
		}
	}
	for who, from := range m.isOut {
		m.span(who[1], from, len(m.latencies))
	}
	for i, row := range m.rows {
		if row < 0 {
			continue
		}
		c.Attempts[nodeName(i)] = m.courseAttempts[row]
		share, now := make([]float64, len(m.latencies)), 0.0
		for k := range share {
			now += m.out[row][k]
			share[k] = now / float64(m.w.sys.Clients)
		}
		c.Out[nodeName(i)] = share
	}
}
