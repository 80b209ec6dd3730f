package harness

import (
	"math"
	"reflect"
	"slices"
	"testing"
	"time"
)

// scripted is a run of which everything is known: 4 s of warm-up, the fault on
// hello-2 from 4 s to 6 s, 3 s after it. Times are in milliseconds.
type scripted struct{ *Run }

func newScripted() scripted {
	return scripted{&Run{
		Plan: Plan{
			Nodes: 2, Processes: 2, Clients: 1, Rate: 10, Warm: 4 * time.Second, Fault: 2 * time.Second, Recover: 3 * time.Second,
			Timeout: time.Second, Service: Service{Mean: 10 * time.Millisecond},
		},
		Start:   time.Unix(1000, 0),
		Entries: make([][]Entry, 2),
	}}
}

func (s scripted) when(ms int) time.Time { return s.Start.Add(time.Duration(ms) * time.Millisecond) }

func (s scripted) did(do Deed, begin, end int, change func(*Step)) {
	step := Step{At: time.Duration(begin) * time.Millisecond, Do: do, Nodes: []int{1}}
	if change != nil {
		change(&step)
	}
	s.Steps = append(s.Steps, Done{Step: step, Begin: time.Duration(begin) * time.Millisecond, End: time.Duration(end) * time.Millisecond})
}

func (s scripted) shot(id string, route Route, due, done int, ok bool) {
	s.Shots = append(s.Shots, Shot{
		Arrival: Arrival{Due: time.Duration(due) * time.Millisecond, Route: route, ID: id},
		Sent:    time.Duration(due) * time.Millisecond, Done: time.Duration(done) * time.Millisecond, OK: ok,
	})
}

func (s scripted) record(kind Kind, id, node string, ms int) {
	route := Get
	if id[0] == 'p' {
		route = Post
	}
	s.Records = append(s.Records, Record{Kind: kind, Route: route, ID: id, Attempt: 1, Node: node, At: s.when(ms)})
}

func (s scripted) entry(process int, kind EntryKind, node string, ms int) {
	s.Entries[process] = append(s.Entries[process], Entry{Kind: kind, Node: node, End: s.when(ms)})
}

func TestMeasure(t *testing.T) {
	s := newScripted()
	s.did(DoKill, 4000, 4010, nil)
	s.did(DoStart, 6000, 6050, nil)

	s.shot("p0", Post, 1000, 1012, true) // in the warm-up
	s.record(Begun, "p0", "hello-1", 1001)
	s.record(Applied, "p0", "hello-1", 1006)
	s.record(Ended, "p0", "hello-1", 1011)
	s.shot("p1", Post, 4500, 4700, false) // carried out, and not acknowledged
	s.record(Begun, "p1", "hello-1", 4501)
	s.record(Applied, "p1", "hello-1", 4505)
	s.shot("p2", Post, 4600, 4620, true) // carried out twice
	for i := range 2 {
		s.record(Begun, "p2", "hello-1", 4601+5*i)
		s.record(Applied, "p2", "hello-1", 4603+5*i)
	}
	s.shot("p3", Post, 4700, 4720, true) // acknowledged, and not carried out
	s.shot("g1", Get, 4800, 4810, true)
	s.shot("g2", Get, 8900, 8910, false) // after the window
	s.entry(0, Ejected, "hello-2", 4200)
	s.entry(1, Ejected, "hello-2", 4400)
	s.entry(0, Ejected, "hello-1", 4500) // for nothing
	s.entry(0, Readmitted, "hello-2", 7050)

	m := s.Measure()
	if m.Requests != 6 || m.Failed != 2 || m.Duplicated != 1 || m.Ghosts != 1 || m.Lost != 1 {
		t.Errorf("%+v", m)
	}
	if m.Amplification != 3.0/4 { // four were due in the window, the instances saw three attempts
		t.Errorf("amplification %v, want 0.75", m.Amplification)
	}
	if math.Abs(m.P50Ms-20) > 0.1 || math.Abs(m.P99Ms-200) > 0.2 {
		t.Errorf("p50 %v, p99 %v; want 20 and 200", m.P50Ms, m.P99Ms)
	}
	if m.TimeToEjectMs == nil || *m.TimeToEjectMs != 200 || m.Ejections != 3 || m.FalseEjections != 1 {
		t.Errorf("to eject %v, ejections %d, false %d", m.TimeToEjectMs, m.Ejections, m.FalseEjections)
	}
	if m.TimeToReadmitMs == nil || *m.TimeToReadmitMs != 1000 {
		t.Errorf("to readmit %v, want 1000", m.TimeToReadmitMs)
	}
}

// What a metric is called in a document finds it.
func TestMetricKeys(t *testing.T) {
	var m Metrics
	of := reflect.TypeOf(m)
	var tags []string
	for i := range of.NumField() {
		tags = append(tags, of.Field(i).Tag.Get("json"))
	}
	if !slices.Equal(tags, MetricKeys) {
		t.Errorf("keys %q, fields %q", MetricKeys, tags)
	}
	one := 1.0
	v := reflect.ValueOf(&m).Elem()
	for i, key := range MetricKeys {
		switch f := v.Field(i); f.Kind() {
		case reflect.Int:
			f.SetInt(1)
		case reflect.Float64:
			f.SetFloat(1)
		default:
			if _, ok := m.Value(key); ok {
				t.Errorf("%s: nil has a value", key)
			}
			f.Set(reflect.ValueOf(&one))
		}
		if x, ok := m.Value(key); !ok || x != 1 {
			t.Errorf("%s: %v, %v; want 1", key, x, ok)
		}
	}
	if _, ok := m.Value("nothing"); ok {
		t.Error("an unknown key has a value")
	}
}

// An ejection is right from the fault until a call's time after its end, by
// those clients that could see it, and never for what is innocent.
func TestFalseEjections(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*Step)
		process int
		at      int
		want    int
	}{
		{"in the fault", nil, 0, 5000, 0},
		{"before it", nil, 0, 3999, 1},
		{"soon after it", nil, 0, 6900, 0},
		{"long after it", nil, 0, 7100, 1},
		{"innocent", func(s *Step) { s.Innocent = true }, 0, 5000, 1},
		{"by who is cut off", func(s *Step) { s.From = []int{1} }, 1, 5000, 0},
		{"by who is not", func(s *Step) { s.From = []int{1} }, 0, 5000, 1},
	} {
		s := newScripted()
		s.did(DoCut, 4000, 4000, c.change)
		s.did(DoMend, 6000, 6000, c.change)
		s.entry(c.process, Ejected, "hello-2", c.at)
		if m := s.Measure(); m.FalseEjections != c.want || m.Ejections != 1 {
			t.Errorf("%s: %d false of %d, want %d of 1", c.name, m.FalseEjections, m.Ejections, c.want)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		list []float64
		want float64
	}{
		{nil, never},
		{[]float64{5}, 5},
		{[]float64{never}, never},
		{[]float64{never, 5, 3}, 5},
		{[]float64{never, never, 3}, never},
	} {
		got := medianMs(slices.Clone(c.list))
		if c.want == never && got != nil || c.want != never && (got == nil || *got != c.want) {
			t.Errorf("median of %v: %v, want %v", c.list, got, c.want)
		}
	}
}

// After the fault: the busiest second, and when nearly all succeed again.
func TestAfter(t *testing.T) {
	s := newScripted()
	s.did(DoKill, 4000, 4000, nil)
	s.did(DoStart, 6000, 6000, nil)
	for i := range 30 { // one every 100 ms; until 7 s they fail
		at := 6000 + 100*i
		s.shot("g", Get, at, at+10, i >= 10)
		s.record(Begun, "g", "hello-1", at)
	}
	for range 10 {
		s.record(Begun, "g", "hello-1", 7500)
	}
	m := s.Measure()
	if m.RecoverMs == nil || *m.RecoverMs != 1000 {
		t.Errorf("recovered after %v, want 1000", m.RecoverMs)
	}
	if m.Peak != 2 { // 10 usual attempts and 10 more, at a rate of 10
		t.Errorf("peak %v, want 2", m.Peak)
	}
}

// A run whose load or whose instances were late is not valid, and says why; too
// many under way are the stack's fault.
func TestQuality(t *testing.T) {
	s := newScripted()
	s.shot("g1", Get, 1000, 1010, true)
	s.Shots = append(s.Shots, Shot{Unsent: true})
	if q := s.Quality(); q.Invalid != "" || q.Unsent != 1 {
		t.Errorf("a good run: %+v", q)
	}
	s.Late = 11 * time.Millisecond
	if q := s.Quality(); q.Invalid == "" || q.LateP99Ms != 11 {
		t.Errorf("late instances: %+v", q)
	}
	s.Late = 0
	s.Shots[0].Sent += 11 * time.Millisecond
	if q := s.Quality(); q.Invalid == "" {
		t.Errorf("late load: %+v", q)
	}
}

func TestCourse(t *testing.T) {
	s := newScripted()
	s.shot("g1", Get, 50, 60, true)
	s.shot("g2", Get, 60, 260, false)
	s.record(Begun, "g1", "hello-1", 51)
	s.entry(0, Ejected, "hello-2", 150)
	s.entry(0, Readmitted, "hello-2", 350)
	s.entry(1, Ejected, "hello-2", 250)
	c := s.Course()
	if len(c.Good) != 90 || c.Good[0] != 1 || c.Failed[0] != 1 || c.Attempts["hello-1"][0] != 1 {
		t.Errorf("%d slices, the first: %d good, %d failed, %d attempts", len(c.Good), c.Good[0], c.Failed[0], c.Attempts["hello-1"][0])
	}
	if c.P99Ms[0] == nil || math.Abs(*c.P99Ms[0]-200) > 0.2 || c.P99Ms[1] != nil {
		t.Errorf("p99 %v, then %v", c.P99Ms[0], c.P99Ms[1])
	}
	if got := c.Out["hello-2"][:5]; !slices.Equal(got, []float64{0, 0.5, 1, 0.5, 0.5}) {
		t.Errorf("out %v", got)
	}
}
