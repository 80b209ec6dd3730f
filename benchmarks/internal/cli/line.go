package cli

import (
	"fmt"
	"io"
	"os"
	"time"
)

// Line shows how something stands: on a terminal in one line that is drawn
// again and again, elsewhere in a line whenever something happens, and every
// few seconds. It is not safe for concurrent use.
type Line struct {
	w        io.Writer
	terminal bool
	drawn    bool      // a status is on the screen
	last     time.Time // when a plain line was printed
}

const plainEvery = 5 * time.Second

// NewLine writes to w.
func NewLine(w io.Writer) *Line { return &Line{w: w, terminal: isTerminal(w)} }

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

// Terminal reports whether a status is drawn again and again.
func (l *Line) Terminal() bool { return l.terminal }

// Note prints what has happened, in a line that stays.
func (l *Line) Note(now time.Time, text string) {
	l.Close()
	fmt.Fprintln(l.w, text)
	l.last = now
}

// Status shows how it stands.
func (l *Line) Status(now time.Time, text string) {
	switch {
	case l.terminal:
		l.Close()
		fmt.Fprint(l.w, text)
		l.drawn = true
	case now.Sub(l.last) >= plainEvery:
		fmt.Fprintln(l.w, text)
		l.last = now
	}
}

// Close clears the status.
func (l *Line) Close() {
	if l.drawn {
		fmt.Fprint(l.w, "\r\x1b[K")
		l.drawn = false
	}
}
