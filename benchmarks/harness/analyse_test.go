package harness

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"
)

// A run in which everything happens once: the fault at 1 s on "b", done by
// 1.1 s; undone at 2 s, done by 2.1 s.
func scriptedRun(f Fault) *run {
	start := time.Unix(1000, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	r := &run{
		cfg:   &Config{Fault: f, Duration: 3 * time.Second},
		stack: "s", victim: "b", nodes: []*instance{{node: Node{ID: "a"}}, {node: Node{ID: "b"}}},
		start: start,
		down:  span{at(1000), at(1100)}, back: span{at(2000), at(2100)},
	}
	shot1 := func(id string, route Route, due, sent, done, status int, ambiguous bool) {
		r.shots = append(r.shots, Shot{
			Arrival: Arrival{Due: time.Duration(due) * time.Millisecond, Route: route, ID: id},
			Sent:    time.Duration(sent) * time.Millisecond, Done: time.Duration(done) * time.Millisecond,
			OK: status == http.StatusOK, Ambiguous: ambiguous,
		})
	}
	record := func(kind Kind, route Route, id string, attempt int, node string, ms int) {
		r.records = append(r.records, Record{kind, route, id, attempt, node, at(ms)})
	}
	tried := func(id string, route Route, attempt int, node string, begin, end, born int, notSent bool) {
		e := Entry{Kind: TriedNode, Route: route, ID: id, Attempt: attempt, Node: node, Start: at(begin), End: at(end), NotSent: notSent}
		if born >= 0 {
			e.Born = at(born)
		}
		r.entries = append(r.entries, e)
	}

	// Long over at the fault.
	shot1("p0", Post, 100, 101, 120, 200, false)
	record(Begun, Post, "p0", 1, "b", 102)
	record(Applied, Post, "p0", 1, "b", 107)
	record(Ended, Post, "p0", 1, "b", 112)
	tried("p0", Post, 1, "b", 101, 115, 50, false)
	// Killed half way, its effect done: a ghost.
	shot1("p1", Post, 990, 990, 1110, 502, true)
	record(Begun, Post, "p1", 1, "b", 995)
	record(Applied, Post, "p1", 1, "b", 999)
	tried("p1", Post, 1, "b", 991, 1090, 50, false)
	// On the wire: the server never saw it.
	shot1("p2", Post, 999, 999, 1095, 502, true)
	tried("p2", Post, 1, "b", 999, 1090, 50, false)
	// Put on a connection of the dead process, just after.
	shot1("p3", Post, 1101, 1101, 1106, 502, true)
	tried("p3", Post, 1, "b", 1101, 1105, 60, false)
	// Refused, tried elsewhere.
	shot1("p4", Post, 1200, 1200, 1215, 200, false)
	tried("p4", Post, 1, "b", 1200, 1201, -1, true)
	r.entries = append(r.entries, Entry{Kind: Retried, ID: "p4", NotSent: true, End: at(1201)})
	tried("p4", Post, 2, "a", 1201, 1214, 70, false)
	record(Begun, Post, "p4", 2, "a", 1202)
	record(Applied, Post, "p4", 2, "a", 1207)
	record(Ended, Post, "p4", 2, "a", 1212)
	// Refused while the fault was being done: the node was dead already.
	tried("g1", Get, 1, "b", 1010, 1011, -1, true)
	// A GET that was in flight and tried again.
	shot1("g0", Get, 998, 998, 1120, 200, false)
	record(Begun, Get, "g0", 1, "b", 999)
	tried("g0", Get, 1, "b", 998, 1090, 50, false)
	r.entries = append(r.entries, Entry{Kind: Retried, ID: "g0", End: at(1091)})
	tried("g0", Get, 2, "a", 1091, 1110, 70, false)
	record(Begun, Get, "g0", 2, "a", 1092)
	record(Ended, Get, "g0", 2, "a", 1105)
	// Carried out three times; acknowledged and not carried out; not sent.
	shot1("p5", Post, 2500, 2560, 2600, 200, false)
	for i := range 3 {
		record(Applied, Post, "p5", i+1, "a", 2570+i)
	}
	shot1("p6", Post, 2600, 2600, 2610, 200, false)
	shot1("p7", Post, 2700, 0, 0, 0, false)
	r.shots[len(r.shots)-1].Unsent = true
	// Before the load: does not count.
	record(Begun, Get, "w0", 1, "b", -5)
	tried("w0", Get, 1, "b", 1150, 1160, 50, false)

	r.entries = append(r.entries,
		Entry{Kind: Ejected, Node: "a", End: at(500)},
		Entry{Kind: Ejected, Node: "b", End: at(1050)},
		Entry{Kind: Ejected, Node: "b", End: at(1060)},
		Entry{Kind: Readmitted, Node: "a", End: at(2050)},
		Entry{Kind: Readmitted, Node: "b", End: at(2350)},
	)
	return r
}

func TestReport(t *testing.T) {
	r := scriptedRun(Kill)
	s := r.report()
	fifty, later := 50.0, 250.0
	want := map[string][2]any{
		"requests":           {s.Requests, 9},
		"failed":             {s.Failed, 4},
		"failedPosts":        {s.FailedPosts, 4},
		"ambiguous":          {s.FailedPostsAmbiguous, 3},
		"duplicated":         {s.Duplicated, 2},
		"ghosts":             {s.Ghosts, 1},
		"lost":               {s.Lost, 1},
		"inFlightAtFault":    {s.InFlightAtFault, 4},
		"inFlightPosts":      {s.InFlightPosts, 3},
		"attemptsOnDeadNode": {s.AttemptsOnDeadNode, 3},
		"retries":            {s.Retries, 2},
		"retriedNotSent":     {s.RetriedNotSent, 1},
		"timeToEject":        {s.TimeToEjectMs, &fifty},
		"timeToReadmit":      {s.TimeToReadmitMs, &later},
		"ejections":          {s.Ejections, map[string]int{"a": 1, "b": 2}},
		"attemptsSeen":       {s.AttemptsSeen, map[string]int{"a": 2, "b": 3}},
		"unsent":             {s.Load.Unsent, 1},
		"valid":              {s.Load.Valid, false},
		"down":               {s.Timeline.DownMs, 1000.0},
		"back":               {s.Timeline.BackMs, 2100.0},
		"timeline of b":      {s.Timeline.Attempts["b"], []int{1, 0, 0, 3, 4, 0, 0, 0, 0, 0, 0, 0}},
		"timeline failed":    {s.Timeline.Failed, []int{0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 1, 0}},
		"POST before":        {s.Routes[3], RouteReport{"POST /user/register", Before, 3, 2, 96, 120, 120}},
		"GET before":         {s.Routes[0], RouteReport{"GET /user/test", Before, 1, 0, 122, 122, 122}},
		"GET down":           {s.Routes[1], RouteReport{"GET /user/test", Down, 0, 0, 0, 0, 0}},
		"POST back":          {s.Routes[5], RouteReport{"POST /user/register", Back, 3, 1, 10, 100, 100}},
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got, want := want[name][0], want[name][1]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

// A stopped process keeps its connections: what is put on them later is not in
// flight at the fault, but pending.
func TestInFlightOfAStoppedInstance(t *testing.T) {
	s := scriptedRun(Stop).report()
	if s.InFlightPosts != 2 || s.PendingPosts != 3 {
		t.Errorf("in flight %d, pending %d; want 2 and 3", s.InFlightPosts, s.PendingPosts)
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for _, c := range []struct {
		of   []time.Duration
		q    float64
		want time.Duration
	}{
		{nil, 0.5, 0},
		{hundred[:1], 0.5, 1},
		{hundred[:1], 1, 1},
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
		{hundred, 1, 100},
		{hundred[:3], 0.5, 2},
	} {
		if got := percentile(c.of, c.q); got != c.want {
			t.Errorf("percentile of %d at %v: got %d, want %d", len(c.of), c.q, got, c.want)
		}
	}
}

// goodReport is a run that keeps every promise.
func goodReport(f Fault) *Report {
	return &Report{Fault: f, Stacks: []*StackReport{
		{
			Name: "s", Failed: 2, FailedPosts: 2, FailedPostsAmbiguous: 2, InFlightPosts: 2, PendingPosts: 2,
			AttemptsOnDeadNode: 1, RetriedNotSent: 1, Routes: []RouteReport{{Route: Get.String()}, {Route: Post.String(), Failed: 2}},
		},
		{Name: "peer", Duplicated: 9, Failed: 9, Lost: 9, Routes: []RouteReport{{Route: Get.String(), Failed: 9}}},
	}}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*StackReport)
		faults []Fault // in which it is a violation
	}{
		{"all kept", func(*StackReport) {}, nil},
		{"a GET failed", func(s *StackReport) { s.Routes[0].Failed = 1 }, Faults},
		{"a duplicate", func(s *StackReport) { s.Duplicated = 1 }, Faults},
		{"a lost effect", func(s *StackReport) { s.Lost = 1 }, Faults},
		{"a failure that claims to be certain", func(s *StackReport) { s.FailedPostsAmbiguous = 1 }, Faults},
		{"nothing on the dead node", func(s *StackReport) { s.AttemptsOnDeadNode = 0 }, Faults},
		{"nothing not sent", func(s *StackReport) { s.RetriedNotSent = 0 }, []Fault{Kill, Refuse}},
		{"more than in flight", func(s *StackReport) { s.InFlightPosts = 1 }, []Fault{Kill, Refuse}},
		{"more than pending", func(s *StackReport) { s.PendingPosts = 1 }, []Fault{Stop}},
	} {
		for _, f := range Faults {
			r := goodReport(f)
			c.change(r.Stacks[0])
			want := 0
			if slices.Contains(c.faults, f) {
				want = 1
			}
			if got := r.Judge("s"); len(got) != want || got == nil || r.Violations == nil {
				t.Errorf("%s, %s: violations %#v, want %d and never nil", c.name, f, got, want)
			}
		}
	}
}
