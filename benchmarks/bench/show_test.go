package bench

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/report"
	"github.com/holdfast-go/holdfast/benchmarks/scenario"
)

func jobsOf(args string, t *testing.T) []*job {
	t.Helper()
	o, err := parseRun(strings.Fields(args), known)
	if err != nil {
		t.Fatal(err)
	}
	return o.jobs()
}

// The seeds are outermost, every run is there once, and one of a high rate
// counts for several.
func TestJobs(t *testing.T) {
	jobs := jobsOf("-scenario crash,sparse -stack holdfast,bare -seeds 2", t)
	var names []string
	for _, j := range jobs {
		names = append(names, j.String())
	}
	want := "crash/holdfast/1 crash/bare/1 sparse/holdfast/1 sparse/bare/1 crash/holdfast/2 crash/bare/2 sparse/holdfast/2 sparse/bare/2"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if c, s := jobs[0].weight(64), jobs[2].weight(64); c != 1 || s != 8 { // 200 and 1500 requests a second
		t.Errorf("weights %d and %d, want 1 and 8", c, s)
	}
	if w := jobs[2].weight(2); w != 2 {
		t.Errorf("weight %d, want all there is", w)
	}
}

// A bar grows with what is done, and tells what is left.
func TestShow(t *testing.T) {
	var out bytes.Buffer
	jobs := jobsOf("-scenario crash -stack holdfast,bare -seeds 1", t)
	s := newShow(&out, jobs, 1)
	s.begin(jobs[0])
	s.progress(jobs[0])(harness.Progress{Elapsed: jobs[0].plan.Total()})
	if got := s.share(); got < 0.4 || got > 0.5 {
		t.Errorf("share %v when half is nearly done", got)
	}
	s.end(jobs[0])
	s.done(jobs[0], report.Run{Valid: true, Metrics: harness.Metrics{Requests: 7}})
	if s.share() != 0.5 || s.finished != 1 {
		t.Errorf("share %v, %d finished", s.share(), s.finished)
	}
	s.start = s.start.Add(-time.Minute)
	if left := s.left(); left < 59*time.Second || left > 62*time.Second {
		t.Errorf("%v left, want as long as the first half took", left)
	}
	if bar := s.bar(); !strings.HasPrefix(bar, "["+strings.Repeat("=", 15)+strings.Repeat(" ", 15)+"] 1/2 runs") {
		t.Error(bar)
	}
	s.done(jobs[1], report.Run{Load: harness.LoadQuality{Invalid: "too late"}})
	s.close()
	for _, want := range []string{"2 runs, about", "[1/2] crash/holdfast/1: 7 requests", "[2/2] crash/bare/1: invalid: too late"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %q", want, out.String())
		}
	}
}

// With -quick the whole matrix is planned to take less than ten minutes on two
// CPUs: the runs' time over those that run at once.
func TestQuickMatrixIsShort(t *testing.T) {
	const parallel, stacks, seeds = 6, 12, 2
	s := &show{parallel: parallel}
	var total time.Duration
	for _, sc := range scenario.All() {
		total += s.cost(&job{scenario: sc, plan: sc.Plan(scenario.Quick).WithDefaults()})
	}
	if d := total * stacks * seeds / parallel; d > 9*time.Minute {
		t.Errorf("%v", d)
	} else {
		t.Log(d)
	}
}
