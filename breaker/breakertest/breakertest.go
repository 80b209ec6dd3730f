// Package breakertest is the contract of a breaker engine, as tests: states,
// permits, time, leased probes, stale results, calls that panic or end their
// goroutine, listeners that call back, Trip and Reset, races. The native engine
// and the adapters of this repository pass it; run it on an engine of your own
// with one [Run] in a test.
//
// Each case runs in a testing/synctest bubble, so an engine that reads time by
// package time runs in virtual time. Nothing is skipped: what an engine cannot
// do it declares, case by case, in [Subject].Limits. A declared case is run as
// well, must fail, and is printed with its reason.
package breakertest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// Subject is an engine under test. All fields but Limits are required.
type Subject struct {
	// New makes a closed breaker with nothing on record. It is called once or
	// more in each case, in the case's bubble. listen must hear every
	// transition, in order; an engine that cannot tell declares it.
	New func(listen func(from, to breaker.State)) breaker.Breaker

	// Failures is how many failures in a row open a new breaker.
	Failures int

	// OpenFor is the longest that the breaker stays open the first time.
	OpenFor time.Duration

	// Probes is how many calls a half-open breaker admits at once, and how
	// many must succeed to close it. With 2 or more the suite sees more.
	Probes int

	// ProbeTimeout is when a probe that has not reported is forfeited.
	ProbeTimeout time.Duration

	// Limits is what the engine cannot do: the names of cases that do not
	// hold, each with the reason in words. A case that is declared and holds
	// fails the suite, so that declarations stay true. Declared cases run in a
	// child process, where they may hang or crash.
	//
	// An engine that leaves goroutines behind declares "goroutines": it could
	// not end a bubble, so all its cases run in child processes.
	Limits map[string]string
}

// Run holds the subject to every case, each as a subtest by its name. It may
// be called once in a test or subtest, since children find their case by the
// test's name.
func Run(t *testing.T, s Subject) {
	t.Helper()
	if inChild(t, s) {
		return
	}
	if _, again := seen.LoadOrStore(t.Name(), true); again {
		t.Fatal("breakertest: Run was called twice in one test; give each subject a subtest")
	}
	if wrong := s.wrong(); len(wrong) > 0 {
		t.Fatalf("breakertest: subject: %v", wrong)
	}
	_, alone := s.Limits["goroutines"]
	for _, c := range contract {
		t.Run(c.name, func(t *testing.T) {
			why, declared := s.Limits[c.name]
			var faults []string
			if declared || alone {
				faults = c.inProcess(t)
			} else {
				faults = c.inBubble(t, s)
			}
			switch verdict, ok := judge(c, why, declared, faults); {
			case !ok:
				t.Error(verdict)
			case verdict != "":
				t.Log(verdict)
			}
		})
	}
}

// judge says what the faults of a case mean, and whether that is well.
func judge(c item, why string, declared bool, faults []string) (verdict string, ok bool) {
	switch {
	case declared && len(faults) == 0:
		return fmt.Sprintf("declared as a limit (%s), but it holds: %s", why, c.holds), false
	case declared:
		return fmt.Sprintf("declared limit: %s; seen: %s", why, faults[0]), true
	case len(faults) > 0:
		return fmt.Sprintf("want: %s\ngot: %s", c.holds, strings.Join(faults, "\n")), false
	}
	return "", true
}

var seen sync.Map // names of tests that called Run

// wrong lists what is wrong with the subject itself.
func (s Subject) wrong() (wrong []string) {
	need := func(ok bool, text string) {
		if !ok {
			wrong = append(wrong, text)
		}
	}
	need(s.New != nil, "New is nil")
	need(s.Failures >= 1, "Failures: want at least 1")
	need(s.OpenFor > 0, "OpenFor: want more than 0")
	need(s.Probes >= 1, "Probes: want at least 1")
	need(s.ProbeTimeout > 0, "ProbeTimeout: want more than 0")
	for name, why := range s.Limits {
		known := slices.ContainsFunc(contract, func(c item) bool { return c.name == name })
		need(known, fmt.Sprintf("Limits: there is no case %q", name))
		need(why != "", fmt.Sprintf("Limits: %q has no reason", name))
	}
	return wrong
}

// item is one case of the contract.
type item struct {
	name  string
	holds string // what must hold, in a sentence
	run   func(*rig)
}

// contract is every case, in the order of a breaker's life.
var contract = slices.Concat(lifeCases, probeCases, staleCases, leaveCases, listenCases, controlCases, raceCases)

// inBubble runs the case here, and returns what did not hold.
func (c item) inBubble(t *testing.T, s Subject) (faults []string) {
	synctest.Test(t, func(*testing.T) { faults = newRig(s).try(c) })
	return faults
}
