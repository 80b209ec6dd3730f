package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// On a terminal one line is drawn again and again.
func TestLineOnTerminal(t *testing.T) {
	var out bytes.Buffer
	l := &Line{w: &out, terminal: true}
	now := time.Now()
	for range 3 {
		l.Status(now, "so far")
	}
	l.Note(now, "it happened")
	l.Close()
	got := out.String()
	if strings.Count(got, "\n") != 1 || strings.Count(got, "\r\x1b[K") != 3 || !strings.HasSuffix(got, "it happened\n") {
		t.Errorf("%q", got)
	}
}

// Elsewhere a line is printed when something happens, and now and then.
func TestLineElsewhere(t *testing.T) {
	var out bytes.Buffer
	l := NewLine(&out)
	start := time.Unix(1000, 0)
	l.Note(start, "starting")
	for at := time.Duration(0); at < 12*time.Second; at += 100 * time.Millisecond {
		l.Status(start.Add(at), "so far")
	}
	l.Note(start.Add(12*time.Second), "killed")
	l.Close()
	if want := "starting\nso far\nso far\nkilled\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
