package leaktest

import (
	"strings"
	"testing"
	"time"
)

func TestReport(t *testing.T) {
	before := running()
	var text strings.Builder
	if !report(&text, before, patience) {
		t.Fatal(text.String())
	}

	stop, stopped := make(chan struct{}), make(chan struct{})
	go leaking(stop, stopped)
	if report(&text, before, time.Millisecond) {
		t.Error("a goroutine that waits was not found")
	}
	if !strings.Contains(text.String(), "leaking") {
		t.Errorf("the report does not show where it is:\n%s", text.String())
	}

	close(stop) // and what is about to end is waited for
	<-stopped
	if !report(&text, before, patience) {
		t.Error(text.String())
	}
}

func leaking(stop, stopped chan struct{}) {
	defer close(stopped)
	<-stop
}

// TestCheck: what a test cleans up itself is no leak.
func TestCheck(t *testing.T) {
	Check(t)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go leaking(stop, stopped)
	t.Cleanup(func() { close(stop) })
}
