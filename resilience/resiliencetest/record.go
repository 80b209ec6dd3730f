package resiliencetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
)

// Observe implements resilience.Observer: it keeps the event.
func (b *Bench) Observe(e resilience.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
}

// Events returns what the bench's clients told, in order; of the kinds that
// are named, or all.
func (b *Bench) Events(kinds ...resilience.EventKind) []resilience.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := slices.Clone(b.events)
	if len(kinds) > 0 {
		list = slices.DeleteFunc(list, func(e resilience.Event) bool { return !slices.Contains(kinds, e.Kind) })
	}
	return list
}

// Log is the record in words, one line an event, for a test's output and for
// comparing two runs. That clients were made and closed is left out.
func (b *Bench) Log() string {
	var text strings.Builder
	for _, e := range b.Events() {
		if e.Client != nil {
			continue
		}
		fmt.Fprintf(&text, "%8s  %s\n", e.At.Sub(b.begin).Round(time.Microsecond), describe(e))
	}
	return text.String()
}

func describe(e resilience.Event) string {
	name := strings.TrimSpace(e.Service + " " + e.Method)
	switch e.Kind {
	case resilience.AttemptDone:
		at := "no node"
		if e.Node != nil {
			at = e.Node.ID
		}
		return fmt.Sprintf("%s: attempt %d at %s: %v", name, e.Attempt, at, e.Outcome)
	case resilience.RetryWaiting:
		return fmt.Sprintf("%s: waits %v", name, e.Wait.Round(time.Microsecond))
	case resilience.CallDone:
		switch {
		case e.Err == nil:
			return fmt.Sprintf("%s: succeeded", name)
		case e.Ambiguous:
			return fmt.Sprintf("%s: failed, may have been carried out: %v", name, e.Why)
		}
		return fmt.Sprintf("%s: failed: %v", name, e.Why)
	case resilience.FallbackDone:
		if e.Err != nil {
			return fmt.Sprintf("%s: the fallback failed", name)
		}
		return fmt.Sprintf("%s: the fallback answered", name)
	case resilience.CandidateEvent:
		return "would have: " + change(e)
	case resilience.NodeEvent, resilience.ServiceBreakerEvent:
		return change(e)
	}
	return e.Kind.String()
}

// change is what happened to a node, the set or a breaker.
func change(e resilience.Event) string {
	c := e.Change
	switch {
	case c == nil:
		return fmt.Sprintf("service breaker: %v to %v (%v)", e.Breaker.From, e.Breaker.To, e.Breaker.Reason.Cause)
	case c.Node != nil:
		return fmt.Sprintf("node %s: %v (%v)", c.Node.ID, c.Kind, c.Reason.Cause)
	case c.Err != nil:
		return fmt.Sprintf("%v: %v", c.Kind, c.Err)
	}
	return fmt.Sprintf("%v: %d, %d new, %d gone", c.Kind, c.Nodes, c.Added, c.Removed)
}
