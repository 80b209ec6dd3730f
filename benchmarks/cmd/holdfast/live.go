package main

import (
	"fmt"
	"io"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
)

// live shows how the experiment stands.
type live struct{ line *cli.Line }

func newLive(w io.Writer) *live { return &live{cli.NewLine(w)} }

func (l *live) show(p harness.Progress) {
	status := fmt.Sprintf("%-17s  %6s   %6s/%v  %5d sent  %d failed", p.Stack, p.Phase, seconds(p.Elapsed), p.Duration, p.Sent, p.Failed)
	if p.Elapsed < 0 {
		status = fmt.Sprintf("%-17s", p.Stack)
	}
	if p.Notice != "" {
		l.line.Note(time.Now(), status+"  "+p.Notice)
	} else {
		l.line.Status(time.Now(), status)
	}
}

func (l *live) close() { l.line.Close() }

func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", max(0, d.Seconds())) }
