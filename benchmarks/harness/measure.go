package harness

import (
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Metrics is what a run came to. Nil means that it did not happen within the
// run, or that the client does not tell.
type Metrics struct {
	Requests        int      `json:"requests"`        // that were due in the whole run
	Failed          int      `json:"failed"`          // of these, not answered with success; those never sent included
	Duplicated      int      `json:"duplicated"`      // Σ over requests of max(0, effects − 1), from the ledger
	Ghosts          int      `json:"ghosts"`          // the effect is there and the caller saw an error
	Lost            int      `json:"lost"`            // answered with success, and no effect
	Amplification   float64  `json:"amplification"`   // attempts seen by instances a request, in the window
	P50Ms           float64  `json:"p50Ms"`           // latency from when a request was due, in the window, failures included
	P99Ms           float64  `json:"p99Ms"`           //
	P999Ms          float64  `json:"p999Ms"`          //
	TimeToEjectMs   *float64 `json:"timeToEjectMs"`   // from the fault until a client had ejected the node: the median of clients and nodes
	FalseEjections  int      `json:"falseEjections"`  // of nodes with which nothing was wrong, over all clients
	TimeToReadmitMs *float64 `json:"timeToReadmitMs"` // from when the node was well until a client took it back: likewise

	Ejections int      `json:"ejections"` // of all nodes, over all clients
	Peak      float64  `json:"peak"`      // attempts in the busiest second from the end of the fault on, as a multiple of the rate
	RecoverMs *float64 `json:"recoverMs"` // from the end of the fault until 95 % of the requests of the following second succeed
}

// MetricKeys are the names of the metrics, in the order of reports.
var MetricKeys = []string{
	"requests", "failed", "duplicated", "ghosts", "lost", "amplification",
	"p50Ms", "p99Ms", "p999Ms", "timeToEjectMs", "falseEjections", "timeToReadmitMs",
	"ejections", "peak", "recoverMs",
}

// Value returns the metric of that name, as in JSON. It is false if there is
// none, or it is nil.
func (m Metrics) Value(key string) (float64, bool) {
	switch key {
	case "requests":
		return float64(m.Requests), true
	case "failed":
		return float64(m.Failed), true
	case "duplicated":
		return float64(m.Duplicated), true
	case "ghosts":
		return float64(m.Ghosts), true
	case "lost":
		return float64(m.Lost), true
	case "amplification":
		return m.Amplification, true
	case "p50Ms":
		return m.P50Ms, true
	case "p99Ms":
		return m.P99Ms, true
	case "p999Ms":
		return m.P999Ms, true
	case "falseEjections":
		return float64(m.FalseEjections), true
	case "ejections":
		return float64(m.Ejections), true
	case "peak":
		return m.Peak, true
	case "recoverMs":
		return deref(m.RecoverMs)
	case "timeToEjectMs":
		return deref(m.TimeToEjectMs)
	case "timeToReadmitMs":
		return deref(m.TimeToReadmitMs)
	}
	return 0, false
}

func deref(x *float64) (float64, bool) {
	if x == nil {
		return 0, false
	}
	return *x, true
}

// afterwards is how long after the fault its effect on latency is still
// counted.
const afterwards = 2 * time.Second

// Window is the part of the run in which latencies and attempts count: from
// the first step until 2 s after the end of the fault phase, if there is so
// much.
func (r *Run) Window() (from, to time.Duration) {
	return r.Plan.Warm, min(r.Plan.Warm+r.Plan.Fault+afterwards, r.Plan.Total())
}

// Latencies returns the distribution of the latencies, in microseconds, of the
// requests that were due between from and to and were sent.
func (r *Run) Latencies(from, to time.Duration) *hdrhistogram.Histogram {
	h := newHistogram()
	for i := range r.Shots {
		if s := &r.Shots[i]; !s.Unsent && s.Due >= from && s.Due < to {
			_ = h.RecordValue(clampMicros(s.Latency()))
		}
	}
	return h
}

// histogramMax is in microseconds: longer than any call.
const histogramMax = int64(10 * time.Minute / time.Microsecond)

func clampMicros(d time.Duration) int64 { return min(max(d.Microseconds(), 1), histogramMax) }

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, histogramMax, 3) }

func quantileMs(h *hdrhistogram.Histogram, percent float64) float64 {
	return float64(h.ValueAtPercentile(percent)) / 1000
}

// Measure sums up the run.
func (r *Run) Measure() Metrics {
	m := Metrics{Requests: len(r.Shots)}
	applied := map[string]int{}
	from, to := r.Window()
	attempts, due := 0, 0
	for _, rec := range r.Records {
		switch at := r.At(rec.At); {
		case rec.Kind == Applied:
			applied[rec.ID]++
		case rec.Kind == Begun && at >= from && at < to:
			attempts++
		}
	}
	for _, n := range applied {
		m.Duplicated += n - 1
	}
	for i := range r.Shots {
		s := &r.Shots[i]
		if !s.OK {
			m.Failed++
		}
		if s.Due >= from && s.Due < to {
			due++
		}
		switch {
		case s.Route != Post:
		case !s.OK && applied[s.ID] > 0:
			m.Ghosts++
		case s.OK && applied[s.ID] == 0:
			m.Lost++
		}
	}
	if due > 0 {
		m.Amplification = float64(attempts) / float64(due)
	}
	h := r.Latencies(from, to)
	m.P50Ms, m.P99Ms, m.P999Ms = quantileMs(h, 50), quantileMs(h, 99), quantileMs(h, 99.9)
	r.ejections(&m)
	r.after(&m)
	return m
}

// over is when the fault was over: what the steps did last was undone, or the
// load was as before.
func (r *Run) over() time.Duration {
	end := r.Plan.Warm + r.Plan.Fault
	if n := len(r.Steps); n > 0 {
		end = max(end, r.Steps[n-1].End)
	}
	return end
}

// after sums up what came after the fault.
func (r *Run) after(m *Metrics) {
	const tenth = time.Second / 10
	n := int((r.Plan.Total() - r.over()) / tenth)
	if n < 10 {
		return
	}
	attempts, due, good := make([]int, n), make([]int, n), make([]int, n)
	count := func(list []int, at time.Duration) {
		if i := int((at - r.over()) / tenth); at >= r.over() && i < n {
			list[i]++
		}
	}
	for _, rec := range r.Records {
		if rec.Kind == Begun {
			count(attempts, r.At(rec.At))
		}
	}
	for i := range r.Shots {
		s := &r.Shots[i]
		count(due, s.Due)
		if s.OK {
			count(good, s.Due)
		}
	}
	for i := range n - 9 {
		m.Peak = max(m.Peak, float64(sum(attempts[i:i+10]))/r.Plan.Rate)
		if m.RecoverMs == nil && float64(sum(good[i:i+10])) >= 0.95*float64(sum(due[i:i+10])) {
			at := ms(time.Duration(i) * tenth)
			m.RecoverMs = &at
		}
	}
}

func sum(list []int) (total int) {
	for _, n := range list {
		total += n
	}
	return total
}

// Sick is a time in which something was wrong with a node, seen from some
// clients.
type Sick struct {
	Node      string
	From, To  time.Duration
	Processes []int // which client processes could see it; empty: all
}

// Sickness returns when something was wrong with which node, of those for
// which it is right to eject it.
func (r *Run) Sickness() (list []Sick) {
	open := map[int]int{} // by node: index into list
	for _, d := range r.Steps {
		if d.Innocent {
			continue
		}
		ends := slices.Contains([]Deed{DoStart, DoContinue, DoAdmit, DoMend}, d.Do) || d.Do == DoSicken && d.Illness == (Illness{})
		for _, n := range d.Nodes {
			i, was := open[n]
			switch {
			case ends && was:
				list[i].To = d.End
				delete(open, n)
			case !ends && !was:
				open[n] = len(list)
				list = append(list, Sick{Node: r.node(n), From: d.Begin, To: r.Plan.Total(), Processes: d.From})
			}
		}
	}
	return list
}

func (r *Run) node(i int) string { return instanceNames(i + 1)[i] }

// ejections compares what the clients did to nodes with what was wrong with
// these.
func (r *Run) ejections(m *Metrics) {
	sick := r.Sickness()
	for p, list := range r.Entries {
		for _, e := range list {
			if e.Kind != Ejected {
				continue
			}
			m.Ejections++
			if !slices.ContainsFunc(sick, func(s Sick) bool { return s.covers(e.Node, p, r.At(e.End), r.Plan.Timeout) }) {
				m.FalseEjections++
			}
		}
	}
	var out, back []float64
	for _, s := range sick {
		for p, list := range r.Entries {
			if len(s.Processes) > 0 && !slices.Contains(s.Processes, p) {
				continue
			}
			for c := range r.Plan.Clients {
				out = append(out, r.first(list, Ejected, s.Node, c, s.From, s.To+r.Plan.Timeout))
				if out[len(out)-1] != never && s.To < r.Plan.Total() {
					back = append(back, r.first(list, Readmitted, s.Node, c, s.To, r.Plan.Total()))
				}
			}
		}
	}
	m.TimeToEjectMs, m.TimeToReadmitMs = medianMs(out), medianMs(back)
}

// covers reports whether an ejection of the node by a process at that time has
// this for a reason: failures may be heard of until a call's time later.
func (s Sick) covers(node string, process int, at, grace time.Duration) bool {
	return s.Node == node && at >= s.From && at <= s.To+grace && (len(s.Processes) == 0 || slices.Contains(s.Processes, process))
}

const never = -1

// first returns after how many milliseconds a client first did that to a node.
func (r *Run) first(list []Entry, kind EntryKind, node string, client int, from, to time.Duration) float64 {
	for _, e := range list {
		if at := r.At(e.End); e.Kind == kind && e.Node == node && e.Client == client && at >= from && at <= to {
			return ms(at - from)
		}
	}
	return never
}

// medianMs is nil if there are none, or more than half never happened. Of an
// even number it is the lower one.
func medianMs(list []float64) *float64 {
	slices.SortFunc(list, func(a, b float64) int {
		switch {
		case a == b:
			return 0
		case b == never || a != never && a < b:
			return -1
		}
		return 1
	})
	middle := (len(list) - 1) / 2
	if len(list) == 0 || list[middle] == never {
		return nil
	}
	return &list[middle]
}

// LoadQuality is whether the load was what it should be.
type LoadQuality struct {
	LagP50Ms  float64 `json:"lagP50Ms"` // how late requests went out
	LagP99Ms  float64 `json:"lagP99Ms"`
	LagMaxMs  float64 `json:"lagMaxMs"`
	LateP99Ms float64 `json:"lateP99Ms"`         // how much longer than they should the instances' service times took, on the worst
	Unsent    int     `json:"unsent"`            // never sent, since too many were under way: counted as failed
	Invalid   string  `json:"invalid,omitempty"` // why no figure of this run is to be believed
}

// maxBenchLag is the p99 lag, of the load and of service times, from which a
// run of [Bench] is invalid: it would be seen beside a service time.
const maxBenchLag = 10 * time.Millisecond

// Quality tells how late the requests went out.
func (r *Run) Quality() LoadQuality {
	h := newHistogram()
	q := LoadQuality{}
	for i := range r.Shots {
		if s := &r.Shots[i]; s.Unsent {
			q.Unsent++
		} else {
			_ = h.RecordValue(clampMicros(s.Sent - s.Due))
		}
	}
	q.LagP50Ms, q.LagP99Ms, q.LagMaxMs = quantileMs(h, 50), quantileMs(h, 99), quantileMs(h, 100)
	q.LateP99Ms = ms(r.Late)
	switch {
	case q.LagP99Ms > ms(maxBenchLag):
		q.Invalid = fmt.Sprintf("the load generators could not keep up: 1 %% of the requests went out %.1f ms late, or later; at most %v is allowed", q.LagP99Ms, maxBenchLag)
	case r.Late > maxBenchLag:
		q.Invalid = fmt.Sprintf("the machine could not keep up: 1 %% of the service times took %.1f ms longer than they should, or more; at most %v is allowed", q.LateP99Ms, maxBenchLag)
	}
	return q
}
