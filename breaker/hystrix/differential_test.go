package hystrix

import (
	"os"
	"slices"
	"strconv"
	"testing"
)

// TestSameDecisionsAsTheLibrary holds the native breaker of a CommandConfig
// against the library's circuit, over random calls, results and pauses.
//
// At every step of every sequence the library decides as the reference model
// does with the defects that make the Differences, and the native breaker as
// the model does without. In most sequences all but one of the defects, or all
// of them, have no occasion: no step is taken after which they would make a
// difference at once. Where none has, the library and the native breaker must
// decide alike at every step. Where one has, it is what made the first
// difference there was.
func TestSameDecisionsAsTheLibrary(t *testing.T) {
	saw := inBubble(t, func() *tally {
		sequences := 60_000 // of some fifty steps; more by HOLDFAST_SEQUENCES
		if n, err := strconv.Atoi(os.Getenv("HOLDFAST_SEQUENCES")); err == nil {
			sequences = n
		} else if testing.Short() {
			sequences = 4_000
		}
		return compare(sequences, 1)
	})
	if saw.Fault != "" {
		t.Fatal(saw.Fault)
	}
	t.Logf("%d sequences of %d steps in all; decisions: %d, alike: %d; %d sequences without a difference",
		saw.Sequences, saw.Steps, saw.Decisions, saw.Alike, saw.Sequences-saw.Different)
	for _, name := range slices.Sorted(keysOf(saw.Edges)) {
		t.Logf("%8d %s", saw.Edges[name], name)
	}
	atLeast := saw.Sequences / 1000
	for _, name := range edges {
		if saw.Edges[name] < 10*atLeast {
			t.Errorf("%q happened %d times before there was a difference, want at least %d", name, saw.Edges[name], 10*atLeast)
		}
	}
	for _, d := range Differences() {
		if n := saw.Edges["difference: "+string(d)]; n < atLeast {
			t.Errorf("was the first difference %d times, want at least %d: %s", n, atLeast, d)
		}
	}
}

// edges are what must have happened often before there was a difference.
var edges = []string{
	"admitted while closed", "opened", "rejected: open", "rejected: a probe is out", "probe", "probe at the end of the sleep window",
	"probe failed", "probe succeeded", "opened after it had closed", "probe forfeited", "failures forgotten",
	"stale failure while closed", "stale failure while open", "forfeited failure",
	"a failure too few", "opened by more than a second of failures",
}

// tally is what the child process saw.
type tally struct {
	Sequences, Steps, Decisions, Alike, Different int

	Edges map[string]int
	Fault string
}
