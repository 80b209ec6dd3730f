package bench

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/report"
)

func jobsOf(args string, t *testing.T) []*job {
	t.Helper()
	o, err := parseRun(strings.Fields(args), known)
	if err != nil {
		t.Fatal(err)
	}
	return o.jobs()
}

// The seeds are outermost, and every run is there once.
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
}

// A bar grows with the time that is over, and tells what is left.
func TestShow(t *testing.T) {
	var out bytes.Buffer
	jobs := jobsOf("-scenario crash -stack holdfast,bare -seeds 1", t)
	s := newShow(&out, len(jobs), 2*time.Minute)
	s.begin(2 * time.Minute)
	s.progress()(harness.Progress{Notice: "killed"})
	s.end(time.Minute)
	s.done(jobs[0], report.Run{Valid: true, Metrics: harness.Metrics{Requests: 7}})
	later := s.at.Add(12 * time.Second)
	s.start = later.Add(-48 * time.Second)
	if left := s.left(later); left != 48*time.Second {
		t.Errorf("%v left, want 48s: a minute, 12 s ago", left)
	}
	if bar := s.bar(later); !strings.HasPrefix(bar, "["+strings.Repeat("=", 15)+strings.Repeat(" ", 15)+"] 1/2 runs, 0 under way, 48s left") {
		t.Error(bar)
	}
	s.done(jobs[1], report.Run{Load: harness.LoadQuality{Invalid: "too late"}})
	s.close()
	for _, want := range []string{"2 runs, about 2m0s", "[1/2] crash/holdfast/1: 7 requests", "[2/2] crash/bare/1: invalid: too late"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %q", want, out.String())
		}
	}
	if strings.Contains(out.String(), "killed") {
		t.Errorf("what happens in one of two runs is told: %q", out.String())
	}
}
