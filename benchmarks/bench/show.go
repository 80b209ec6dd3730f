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
	rest     time.Duration // that was left
	at       time.Time     // then
	now      int           // runs under way
	finished int
	all      int
}

func newShow(w io.Writer, runs int, rest time.Duration) *show {
	now := time.Now()
	s := &show{line: cli.NewLine(w), start: now, rest: rest, at: now, all: runs}
	s.line.Note(now, fmt.Sprintf("%d runs, about %v", runs, rest.Round(time.Second)))
	return s
}

// begin says that a run begins, and what is left.
func (s *show) begin(rest time.Duration) { s.change(1, rest) }

// end says that it has ended.
func (s *show) end(rest time.Duration) { s.change(-1, rest) }

func (s *show) change(runs int, rest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now += runs
	s.rest, s.at = rest, time.Now()
}

// say prints a line.
func (s *show) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line.Note(time.Now(), text)
}

func (s *show) note(j *job, text string) { s.say(j.String() + ": " + text) }

// done tells of a run that will not be repeated.
func (s *show) done(j *job, r report.Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
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
func (s *show) progress() func(harness.Progress) {
	return func(p harness.Progress) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if p.Notice != "" && s.all == 1 {
			s.line.Note(time.Now(), fmt.Sprintf("%6.1fs  %s", max(0, p.Elapsed.Seconds()), p.Notice))
		}
		s.line.Status(time.Now(), s.bar(time.Now()))
	}
}

// left is how long the rest will take.
func (s *show) left(now time.Time) time.Duration { return max(0, s.rest-now.Sub(s.at)) }

// share of the time that is over.
func (s *show) share(now time.Time) float64 {
	over := now.Sub(s.start)
	return float64(over) / float64(max(1, over+s.left(now)))
}

func (s *show) bar(now time.Time) string {
	const width = 30
	full := min(width, int(s.share(now)*width))
	return fmt.Sprintf("[%s%s] %d/%d runs, %d under way, %v left", strings.Repeat("=", full), strings.Repeat(" ", width-full),
		s.finished, s.all, s.now, s.left(now).Round(time.Second))
}

func (s *show) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line.Close()
}
