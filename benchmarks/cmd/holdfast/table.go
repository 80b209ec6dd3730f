package main

import (
	"bufio"
	"fmt"
	"io"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// writeText prints the timelines, the table, and the verdict.
func writeText(out io.Writer, r *harness.Report) error {
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "\n%d hello instances, fault %q on one of them; %v requests/s for %v, of %v each at hello; seed %d\n\n",
		r.Nodes, r.Fault, r.Rate, duration(r.DurationMs), duration(r.WorkMs), r.Seed)
	for _, s := range r.Stacks {
		writeTimeline(w, s)
	}
	writeRoutes(w, r)
	writeFacts(w, r)
	writeVerdict(w, r)
	return w.Flush()
}

func duration(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// Widths.
const (
	routeColumn = 27
	stackColumn = 19
	factColumn  = 43
)

// writeRoutes prints, per route and phase, what callers of each stack saw.
func writeRoutes(w io.Writer, r *harness.Report) {
	fmt.Fprintf(w, "%-*s%*s\n", routeColumn, "latency in ms", stackColumn+40, "requests  failed     p50     p99     max")
	for i, first := range r.Stacks[0].Routes {
		label := first.Route + " " + string(first.Phase)
		for _, s := range r.Stacks {
			x := s.Routes[i]
			fmt.Fprintf(w, "%-*s%-*s%8d  %6d %7.1f %7.1f %7.1f\n",
				routeColumn, label, stackColumn, s.Name, x.Requests, x.Failed, x.P50Ms, x.P99Ms, x.MaxMs)
			label = ""
		}
	}
	fmt.Fprintln(w)
}

// writeFacts prints what was counted over the whole run.
func writeFacts(w io.Writer, r *harness.Report) {
	fmt.Fprintf(w, "%-*s", factColumn, "")
	for _, s := range r.Stacks {
		fmt.Fprint(w, pad(s.Name, stackColumn))
	}
	fmt.Fprintln(w)
	line := func(label string, value func(*harness.StackReport) string) {
		fmt.Fprintf(w, "%-*s", factColumn, label)
		for _, s := range r.Stacks {
			fmt.Fprint(w, pad(value(s), stackColumn))
		}
		fmt.Fprintln(w)
	}
	count := func(label string, value func(*harness.StackReport) int) {
		line(label, func(s *harness.StackReport) string { return fmt.Sprint(value(s)) })
	}
	count("requests", func(s *harness.StackReport) int { return s.Requests })
	count("failed", func(s *harness.StackReport) int { return s.Failed })
	count("  of them POST", func(s *harness.StackReport) int { return s.FailedPosts })
	count("  of them reported ambiguous", func(s *harness.StackReport) int { return s.FailedPostsAmbiguous })
	count("effects carried out twice", func(s *harness.StackReport) int { return s.Duplicated })
	count("ghosts (carried out, caller saw an error)", func(s *harness.StackReport) int { return s.Ghosts })
	count("lost (acknowledged, not carried out)", func(s *harness.StackReport) int { return s.Lost })
	count("in flight on the victim at the fault", func(s *harness.StackReport) int { return s.InFlightAtFault })
	count("  of them POST", func(s *harness.StackReport) int { return s.InFlightPosts })
	if r.Fault == harness.Stop {
		count("POSTs on the victim while stopped", func(s *harness.StackReport) int { return s.PendingPosts })
	}
	count("attempts seen by servers", func(s *harness.StackReport) int {
		n := 0
		for _, seen := range s.AttemptsSeen {
			n += seen
		}
		return n
	})
	count("retries", func(s *harness.StackReport) int { return s.Retries })
	count("  of attempts that were not sent", func(s *harness.StackReport) int { return s.RetriedNotSent })
	count("attempts on the dead node", func(s *harness.StackReport) int { return s.AttemptsOnDeadNode })
	line("time to eject", func(s *harness.StackReport) string { return after(s.TimeToEjectMs) })
	line("time to readmit", func(s *harness.StackReport) string { return after(s.TimeToReadmitMs) })
	line("load: p99 lag", func(s *harness.StackReport) string {
		if !s.Load.Valid {
			return fmt.Sprintf("INVALID %.0f ms", s.Load.LagP99Ms)
		}
		return fmt.Sprintf("%.1f ms", s.Load.LagP99Ms)
	})
	fmt.Fprintln(w)
}

// after prints a time, or that it never happened in the run.
func after(ms *float64) string {
	if ms == nil {
		return "never"
	}
	return fmt.Sprintf("%.0f ms", *ms)
}

func writeVerdict(w io.Writer, r *harness.Report) {
	for _, s := range r.Stacks {
		if s.Name != judged {
			continue
		}
		if len(r.Violations) > 0 {
			fmt.Fprintf(w, "FAILED: %s did not keep %d of its promises; see standard error\n", judged, len(r.Violations))
			return
		}
		fmt.Fprintf(w, "PASS: %s: no failed GET, no effect carried out twice, %s\n", judged, postsVerdict(r, s))
	}
}

func postsVerdict(r *harness.Report, s *harness.StackReport) string {
	bound, where := s.InFlightPosts, "in flight on "+s.Victim
	if r.Fault == harness.Stop {
		bound, where = s.PendingPosts, "on "+s.Victim+" while it was stopped"
	}
	if s.FailedPosts == 0 {
		return fmt.Sprintf("no failed POST though %d were %s", bound, where)
	}
	return fmt.Sprintf("%d failed POSTs of %d that were %s, reported ambiguous", s.FailedPosts, bound, where)
}
