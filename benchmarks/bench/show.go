package bench

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/report"
)

// show tells how the runs stand: on a terminal a bar with the time left,
// elsewhere a line a run. It is safe for concurrent use.
type show struct {
	mu       sync.Mutex
	line     *cli.Line
	start    time.Time
	parallel int
	todo     time.Duration          // of all runs, were they one after another
	over     time.Duration          // of those that are over
	now      map[*job]time.Duration // how far the others are
	finished int
	all      int
}

// around is what a run takes besides its load: processes start, come to rest,
// and end.
const around = 1500 * time.Millisecond

func newShow(w io.Writer, jobs []*job, parallel int) *show {
	s := &show{line: cli.NewLine(w), start: time.Now(), parallel: parallel, now: map[*job]time.Duration{}, all: len(jobs)}
	for _, j := range jobs {
		s.todo += s.cost(j)
	}
	s.line.Note(s.start, fmt.Sprintf("%d runs, about %v", len(jobs), s.left().Round(time.Second)))
	return s
}

// cost is how much of the room and time it takes.
func (s *show) cost(j *job) time.Duration {
	return (j.plan.Total() + around) * time.Duration(j.weight(s.parallel))
}

func (s *show) begin(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now[j] = 0
}

func (s *show) end(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.now, j)
}

func (s *show) note(j *job, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line.Note(time.Now(), j.String()+": "+text)
}

func (s *show) done(j *job, r report.Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over += s.cost(j)
	s.finished++
	text := fmt.Sprintf("[%*d/%d] %s: ", len(fmt.Sprint(s.all)), s.finished, s.all, j)
	if r.Valid {
		text += fmt.Sprintf("%d requests, %d failed, %d duplicated, p99 %.1f ms", r.Metrics.Requests, r.Metrics.Failed, r.Metrics.Duplicated, r.Metrics.P99Ms)
	} else {
		text += "invalid: " + r.Load.Invalid
	}
	s.line.Note(time.Now(), text)
}

// progress is told of a run under way. A single run's events are shown.
func (s *show) progress(j *job) func(harness.Progress) {
	return func(p harness.Progress) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.now[j] = max(0, p.Elapsed) * time.Duration(j.weight(s.parallel))
		if p.Notice != "" && s.all == 1 {
			s.line.Note(time.Now(), fmt.Sprintf("%6.1fs  %s", max(0, p.Elapsed.Seconds()), p.Notice))
		}
		s.line.Status(time.Now(), s.bar())
	}
}

func (s *show) share() float64 {
	done := s.over
	for _, d := range s.now {
		done += d
	}
	return float64(done) / float64(max(1, s.todo))
}

// left is how long the rest will take: at the pace so far, once there is one.
func (s *show) left() time.Duration {
	share, spent := s.share(), time.Since(s.start)
	if share > 0.05 {
		return time.Duration(float64(spent) * (1 - share) / share)
	}
	return s.todo / time.Duration(s.parallel)
}

func (s *show) bar() string {
	const width = 30
	full := min(width, int(s.share()*width))
	return fmt.Sprintf("[%s%s] %d/%d runs, %d under way, %v left", strings.Repeat("=", full), strings.Repeat(" ", width-full),
		s.finished, s.all, len(s.now), max(0, s.left()).Round(time.Second))
}

func (s *show) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line.Close()
}
