package bench

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/report"
	"github.com/holdfast-go/holdfast/benchmarks/scenario"
	"github.com/holdfast-go/holdfast/benchmarks/stacks"
)

var t0 = time.Unix(1000, 0)

// named is a stack that is never run.
type named struct {
	stacks.Bare
	name string
}

func (n named) Name() string { return n.name }

// made is a job whose run takes so many CPUs for ten seconds; the schedule
// knows.
func made(s *schedule, seed uint64, name string, cpus float64) *job {
	j := &job{scenario: scenario.Scenario{Name: name}, stack: named{name: "stack"}, plan: harness.Plan{Seed: seed, Nodes: 5, Processes: 2, Rate: 10, Warm: 9 * time.Second}}
	s.costs.add(j, time.Duration(cpus*float64(10*time.Second)), 10*time.Second)
	return j
}

// drain takes all that there is room for.
func drain(s *schedule, now time.Time) (names []string) {
	for j := s.next(now); j != nil; j = s.next(now) {
		if s.next(now) != nil {
			panic("two runs start at once")
		}
		s.started(j, now)
		names = append(names, fmt.Sprint(j.scenario.Name, j.plan.Seed))
	}
	return names
}

func running(s *schedule, name string) *job {
	for j := range s.now {
		if fmt.Sprint(j.scenario.Name, j.plan.Seed) == name {
			return j
		}
	}
	return nil
}

// Those that fit are next, seed by seed; a heavy one waits until it is alone.
func TestScheduleFills(t *testing.T) {
	s := newSchedule(1, 0, nil)
	for seed := range uint64(2) {
		for _, x := range []struct {
			name string
			cpus float64
		}{{"a", 0.4}, {"heavy", 0.6}, {"b", 0.4}, {"c", 0.2}} {
			s.add(made(s, seed+1, x.name, x.cpus), int(seed)+1)
		}
	}
	for _, step := range []struct{ end, want string }{
		{"", "[a1 b1 c1]"},
		{"a1", "[]"}, // the heavy one needs all
		{"b1", "[]"},
		{"c1", "[heavy1]"},
		{"heavy1", "[a2 b2 c2]"},
	} {
		if step.end != "" {
			s.end(running(s, step.end), t0, 0, true)
		}
		if got := fmt.Sprint(drain(s, t0)); got != step.want {
			t.Errorf("after %s: %s, want %s", step.end, got, step.want)
		}
	}
}

// -parallel is a limit besides.
func TestScheduleMost(t *testing.T) {
	for _, most := range []int{1, 2, 3} {
		s := newSchedule(1, most, nil)
		for i := range 5 {
			s.add(made(s, 1, fmt.Sprint(i), 0.01), 1)
		}
		if got := drain(s, t0); len(got) != most {
			t.Errorf("at most %d: %v", most, got)
		}
	}
}

// A run that was not valid is repeated behind all others, then alone; and the
// next ones like it count twice.
func TestScheduleRepeats(t *testing.T) {
	s := newSchedule(1, 0, nil)
	bad := made(s, 1, "bad", 0.1)
	again, other := made(s, 2, "bad", 0.1), made(s, 2, "other", 0.1)
	s.last = 2
	for _, j := range []*job{bad, made(s, 1, "x", 0.1), again, other} {
		s.add(j, int(j.plan.Seed))
	}
	before := s.weight(again)
	if got := fmt.Sprint(drain(s, t0)); got != "[bad1 x1 bad2 other2]" {
		t.Error(got)
	}
	s.end(bad, t0.Add(time.Second), 0, false)
	s.repeat(bad)
	if w := s.weight(again); math.Abs(w-2*before/s.ease) > 1e-9 {
		t.Errorf("the next of its kind has %v of the room, want twice %v", w, before)
	}
	if s.ease >= 1 {
		t.Error("the room has not shrunk")
	}
	if got := fmt.Sprint(drain(s, t0)); got != "[bad1]" {
		t.Error(got)
	}
	s.end(bad, t0, 0, false)
	s.repeat(bad)
	if got := drain(s, t0); s.weight(bad) != 1 || got != nil {
		t.Errorf("third time: %v of the room, and started beside others: %v", s.weight(bad), got)
	}
	if s.ease < 0.99*tighter*tighter {
		t.Error("the room has shrunk for more than the two")
	}
	ease := s.ease
	s.end(running(s, "x1"), t0, 0, false)
	if s.ease != ease {
		t.Error("the room has shrunk again for what was under way with the first")
	}
	for _, name := range []string{"bad2", "other2"} {
		s.end(running(s, name), t0, 0, true)
	}
	if s.ease <= ease {
		t.Error("the room has not grown back")
	}
	ease = s.ease
	drain(s, t0)
	s.end(bad, t0, 0, false)
	if s.ease != ease {
		t.Error("a run alone has shrunk the room of others")
	}
}

// What a stack takes is guessed from what it took elsewhere.
func TestCosts(t *testing.T) {
	crash, sparse := jobsOf("-scenario crash,sparse -stack holdfast", t)[0], jobsOf("-scenario sparse -stack holdfast", t)[0]
	var c costs
	if g, w := c.of(crash).cpus(), c.of(sparse).cpus(); g < 0.1 || g > 0.3 || w < 5*g {
		t.Errorf("guesses %v and %v", g, w)
	}
	before := c.of(sparse).cpu
	c.add(crash, 3*crash.guess(), 20*time.Second)
	if x := c.of(crash); x.cpu != 3*crash.guess() || x.wall != 20*time.Second {
		t.Errorf("%+v", x)
	}
	if got := c.of(sparse).cpu; got < 3*before-time.Millisecond || got > 3*before+time.Millisecond {
		t.Errorf("%v, want three times %v", got, before)
	}
}

// matrixTakes plays all scenarios with twelve stacks on two CPUs: how long it
// takes, and how long it first said. Runs take what is guessed, times factor.
func matrixTakes(pace scenario.Pace, seeds int, cpus, factor, invalid float64) (took, said time.Duration) {
	var jobs []*job
	for seed := range seeds {
		for _, sc := range scenario.All() {
			for i := range 12 {
				plan := sc.Plan(pace).WithDefaults()
				plan.Seed = uint64(seed + 1)
				jobs = append(jobs, &job{scenario: sc, stack: named{name: fmt.Sprint(i)}, plan: plan})
			}
		}
	}
	luck := rand.New(rand.NewPCG(1, 1))
	s := newSchedule(cpus, 0, jobs)
	said = s.left(t0)
	now := t0
	type event struct {
		at    time.Time
		job   *job
		start bool
	}
	var events []event
	for {
		if j := s.next(now); j != nil {
			events = append(events, event{now.Add(starting), j, true}, event{now.Add(j.plan.Total() + around), j, false})
		} else if len(events) == 0 {
			return now.Sub(t0), said
		}
		first := slices.IndexFunc(events, func(e event) bool {
			return !slices.ContainsFunc(events, func(o event) bool { return o.at.Before(e.at) })
		})
		e := events[first]
		events = slices.Delete(events, first, first+1)
		now = e.at
		if e.start {
			s.started(e.job, now)
			continue
		}
		valid := luck.Float64() >= invalid
		s.end(e.job, now, time.Duration(factor*float64(e.job.guess())), valid)
		if !valid && e.job.again < 2 {
			s.repeat(e.job)
		}
	}
}

// All scenarios with all stacks: -quick in less than ten minutes, and what is
// said at first is what it takes.
func TestMatrixTakes(t *testing.T) {
	for _, c := range []struct {
		name            string
		pace            scenario.Pace
		seeds, busy     int
		factor, invalid float64
		most            time.Duration
	}{
		{"quick", scenario.Quick, 2, busyQuick, 1, 0.03, 10 * time.Minute},
		{"quick, twice as dear", scenario.Quick, 2, busyQuick, 2, 0.03, 10 * time.Minute},
		{"full", scenario.Full, 5, busyFull, 1, 0.03, 3 * time.Hour},
	} {
		took, said := matrixTakes(c.pace, c.seeds, 2*float64(c.busy)/100, c.factor, c.invalid)
		t.Logf("%s: %v, said %v", c.name, took.Round(time.Second), said.Round(time.Second))
		if took > c.most {
			t.Errorf("%s: %v, want at most %v", c.name, took, c.most)
		}
		if r := float64(took) / float64(said); c.factor == 1 && (r < 0.8 || r > 1.25) {
			t.Errorf("%s: takes %v, said %v", c.name, took, said)
		}
	}
}

// A run that cannot be done is repeated, then left out if anything else is
// kept; what this system cannot do is not tried twice.
func TestUndone(t *testing.T) {
	jobs := jobsOf("-scenario crash -stack holdfast,bare -seeds 1", t)
	o := &options{again: 1}
	m := &matrix{options: o, schedule: newSchedule(1, 0, jobs), show: newShow(io.Discard, 2, time.Minute), runs: map[string]report.Run{}}
	broken := errors.New("broken")
	try := func(err error) error {
		j := m.schedule.next(t0)
		m.schedule.end(j, t0, 0, false)
		return m.undone(t.Context(), j, err)
	}
	if err := try(errors.ErrUnsupported); err == nil {
		t.Error("not possible here: no error")
	}
	if err := try(broken); err != nil || len(m.schedule.queue) != 1 {
		t.Errorf("first time: %v, %d to do", err, len(m.schedule.queue))
	}
	m.runs["other"] = report.Run{}
	m.folder = &report.Folder{}
	if err := try(broken); err != nil || !errors.Is(m.failed, broken) || len(m.schedule.queue) != 0 {
		t.Errorf("second time: %v, %v, %d to do", err, m.failed, len(m.schedule.queue))
	}
	m.folder = nil
	if err := m.undone(t.Context(), jobs[1], broken); !errors.Is(err, broken) {
		t.Errorf("nothing is kept: %v", err)
	}
}
