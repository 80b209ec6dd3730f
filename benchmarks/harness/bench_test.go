package harness

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// quickPlan is a short run of naive clients.
func quickPlan(steps ...Step) Plan {
	return Plan{
		Nodes: 3, Processes: 2, Rate: 150, Warm: 500 * time.Millisecond, Fault: 1200 * time.Millisecond, Recover: 800 * time.Millisecond,
		Timeout: 400 * time.Millisecond, Seed: 7, Steps: steps,
	}
}

func at(ms int, do Deed, nodes ...int) Step {
	return Step{At: time.Duration(ms) * time.Millisecond, Do: do, Nodes: nodes}
}

func ill(ms int, i Illness, nodes ...int) Step {
	s := at(ms, DoSicken, nodes...)
	s.Illness = i
	return s
}

func bench1(t *testing.T, cfg BenchConfig) *Run {
	t.Helper()
	if testing.Short() {
		t.Skip("runs real processes for several seconds")
	}
	run, err := Bench(t.Context(), cfg)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	arrivals := 0
	for i := range cfg.Plan.Processes {
		w := Workload{Seed: cfg.Plan.Seed*1009 + uint64(i), Rate: cfg.Plan.Rate / float64(cfg.Plan.Processes), Duration: cfg.Plan.Total(), Clients: cfg.Plan.Clients}
		arrivals += len(w.Arrivals())
	}
	if len(run.Shots) != arrivals {
		t.Errorf("%d requests, want the %d that are drawn from the seed", len(run.Shots), arrivals)
	}
	if len(run.Steps) != len(cfg.Plan.Steps) {
		t.Errorf("%d steps were done, want %d", len(run.Steps), len(cfg.Plan.Steps))
	}
	return run
}

// seen is what the ledger says of an instance between two times.
func (r *Run) seen(node string, kind Kind, from, to time.Duration) (n int) {
	for _, rec := range r.Records {
		if at := r.At(rec.At); rec.Node == node && rec.Kind == kind && at >= from && at < to {
			n++
		}
	}
	return n
}

// Each deed takes effect on the instance that it is done to, and is undone: the
// ledger says so, and so do clients that cannot cope.
func TestBenchDeeds(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []Step
		down  int // attempts that hello-3 may begin while it is down; -1: any
	}{
		{"kill", []Step{at(500, DoKill, 2), at(1700, DoStart, 2)}, 0},
		{"drain", []Step{at(500, DoDrain, 2), at(1700, DoStart, 2)}, 0},
		{"refuse", []Step{at(500, DoRefuse, 2), at(1700, DoAdmit, 2)}, 0},
		{"stop", []Step{at(500, DoStop, 2), at(1700, DoContinue, 2)}, 0},
		{"sicken", []Step{ill(500, Illness{Errors: 1}, 2), ill(1700, Illness{}, 2)}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := bench1(t, BenchConfig{Plan: quickPlan(c.steps...), Stack: naive{}})
			down, back := r.Steps[0], r.Steps[1]
			if back.Begin <= down.End {
				t.Fatalf("steps %v", r.Steps)
			}
			if n := r.seen("hello-3", Begun, down.End, back.Begin); c.down >= 0 && n > c.down {
				t.Errorf("%d attempts began on it while it was down", n)
			}
			if r.seen("hello-3", Ended, 0, down.Begin) == 0 || r.seen("hello-3", Ended, back.End, r.Plan.Total()+time.Second) == 0 {
				t.Error("nothing ended on it before, or after")
			}
			failed := 0
			for i := range r.Shots {
				if s := &r.Shots[i]; !s.OK && s.Due >= down.Begin && s.Due < back.End {
					failed++
				}
			}
			if failed == 0 {
				t.Error("clients that cannot cope saw nothing")
			}
		})
	}
}

// The fail points kill exactly before the effect, between it and the answer,
// and after the answer.
func TestBenchFailPoints(t *testing.T) {
	for point, want := range map[Point]string{BeforeEffect: "B", AfterEffect: "BA", AfterAnswer: "BAE"} {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			plan := quickPlan(ill(500, Illness{Die: point}, 2), at(1700, DoStart, 2))
			r := bench1(t, BenchConfig{Plan: plan, Stack: naive{}})
			died := r.Steps[0].End
			stories, last, answered := map[string]string{}, map[string]time.Duration{}, 0
			for _, rec := range r.Records {
				if rec.Node == "hello-3" && rec.Route == Post && r.At(rec.At) <= died {
					stories[rec.ID] += string(rec.Kind)
					last[rec.ID] = r.At(rec.At)
				}
			}
			maps.DeleteFunc(stories, func(id, story string) bool { return story == "BAE" && last[id] < r.Steps[0].At }) // over before it was told to die
			for i := range r.Shots {
				if s := &r.Shots[i]; s.OK && strings.HasSuffix(stories[s.ID], "E") {
					answered++
				}
			}
			// Others may have been under way, and were cut anywhere; the one
			// that it died of is cut where it should be.
			if !slices.Contains(slices.Collect(maps.Values(stories)), want) {
				t.Errorf("stories %v, want %s among them", stories, want)
			}
			if point == AfterAnswer && answered == 0 {
				t.Errorf("it died before it had answered: %v", stories)
			}
		})
	}
}

// Replies that are lost were carried out: ghosts, one for each.
func TestBenchRepliesAreLost(t *testing.T) {
	r := bench1(t, BenchConfig{Plan: quickPlan(ill(500, Illness{Lose: 1}, 2), ill(1700, Illness{}, 2)), Stack: naive{}})
	m := r.Measure()
	unheard := 0
	for _, rec := range r.Records {
		if rec.Kind == Unheard && rec.Route == Post {
			unheard++
		}
	}
	if unheard == 0 || m.Ghosts < unheard*9/10 || m.Lost != 0 || m.Duplicated != 0 {
		t.Errorf("%d replies lost, %+v", unheard, m)
	}
}

// A network: who is cut off gets no answer, the others do, and afterwards all
// do.
func TestBenchCut(t *testing.T) {
	if err := NetworkPossible(); err != nil {
		if os.Getenv("CI") != "" && os.Getuid() == 0 {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cut, mend := at(500, DoCut, 2), at(1700, DoMend, 2)
	cut.From, mend.From = []int{0}, []int{0}
	plan := quickPlan(cut, mend)
	plan.Network, plan.Recover = true, 2*time.Second
	r := bench1(t, BenchConfig{Plan: plan, Stack: naive{}})
	cutAt, mended := r.Steps[0].End, r.Steps[1].Begin
	arrived := map[string]time.Duration{}
	for _, rec := range r.Records {
		if rec.Node == "hello-3" && rec.Kind == Begun {
			arrived[rec.ID] = r.At(rec.At)
		}
	}
	var during, after [2]int // attempts at it by each process that arrived
	for process, list := range r.Entries {
		for _, e := range list {
			at, ok := arrived[e.ID]
			switch start := r.At(e.Start); {
			case e.Kind != TriedNode || e.Node != "hello-3" || !ok:
			case start > cutAt && at < mended:
				during[process]++
			case start > r.Steps[1].End:
				after[process]++
			}
		}
	}
	if during[0] != 0 || during[1] == 0 || after[0] == 0 {
		t.Errorf("attempts that arrived while the first process was cut off: %v, afterwards: %v; want none of the first, and then some", during, after)
	}
}

// An overloaded service turns requests away and carries out what it can.
func TestBenchBoundedInstances(t *testing.T) {
	plan := quickPlan()
	plan.Service = Service{Mean: 50 * time.Millisecond, Workers: 1, Queue: 1}
	r := bench1(t, BenchConfig{Plan: plan, Stack: naive{}})
	refused, ended := 0, 0
	for _, rec := range r.Records {
		switch rec.Kind {
		case Refused:
			refused++
		case Ended:
			ended++
		}
	}
	most := int(3 * (plan.Total() + time.Second) / (50 * time.Millisecond))
	if refused == 0 || ended == 0 || ended > most {
		t.Errorf("%d turned away, %d carried out; want some, and at most %d", refused, ended, most)
	}
}

// The null stack calls nobody, and what its requests take is the harness's.
func TestBenchNull(t *testing.T) {
	r := bench1(t, BenchConfig{Plan: quickPlan(), Stack: Null{}})
	for i := range r.Shots {
		if s := &r.Shots[i]; !s.OK || s.Done < s.Sent || s.Sent < s.Due {
			t.Fatalf("%+v", s)
		}
	}
	if len(r.Records) != 0 {
		t.Errorf("%d attempts", len(r.Records))
	}
}

func TestBenchInterrupted(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes")
	}
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := Bench(ctx, BenchConfig{Plan: quickPlan(), Stack: naive{}, Progress: func(p Progress) {
		if p.Elapsed > 0 {
			cancel(why)
		}
	}})
	if !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
}

// A stack that cannot run here is an error that says why.
func TestBenchUnavailable(t *testing.T) {
	why := errors.New("not installed")
	if _, err := Bench(t.Context(), BenchConfig{Stack: absent{why: why}}); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
}

type absent struct {
	naive
	why error
}

func (a absent) Info() Info { return Info{Unavailable: a.why} }
