package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// live shows how an experiment stands: on a terminal in one line that is drawn
// again and again, elsewhere in a line whenever something happens, and every
// few seconds.
type live struct {
	w        io.Writer
	terminal bool
	drawn    bool          // a status line is on the screen
	last     time.Duration // when the last plain line was printed
}

const plainEvery = 5 * time.Second

func newLive(w io.Writer) *live { return &live{w: w, terminal: isTerminal(w)} }

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull) // a character device too
	return err != nil || !os.SameFile(info, null)
}

func (l *live) show(p harness.Progress) {
	status := fmt.Sprintf("%-8s  %6s   %6s/%v  %5d sent  %d failed", p.Stack, p.Phase, seconds(p.Elapsed), p.Duration, p.Sent, p.Failed)
	if p.Elapsed < 0 {
		status = fmt.Sprintf("%-8s", p.Stack)
	}
	switch {
	case p.Notice != "":
		l.wipe()
		fmt.Fprintf(l.w, "%s  %s\n", status, p.Notice)
		l.last = p.Elapsed
	case l.terminal:
		l.wipe()
		fmt.Fprint(l.w, status)
		l.drawn = true
	case p.Elapsed-l.last >= plainEvery:
		fmt.Fprintln(l.w, status)
		l.last = p.Elapsed
	}
}

// wipe clears the status line.
func (l *live) wipe() {
	if l.drawn {
		fmt.Fprint(l.w, "\r\x1b[K")
		l.drawn = false
	}
}

func (l *live) close() { l.wipe() }

func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", max(0, d.Seconds())) }
