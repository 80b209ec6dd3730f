package breakertest

import (
	"slices"
	"testing"
	"time"
)

// subject is a plain engine with a flaw, and the cases that it says it fails.
func subject(flaw string, limits ...string) Subject {
	s := Subject{Failures: 3, OpenFor: time.Second, Probes: 3, ProbeTimeout: 2 * time.Second, Limits: map[string]string{}}
	s.New = newPlain(s, flaw)
	for _, name := range limits {
		s.Limits[name] = "a flaw: " + flaw
	}
	return s
}

// mutants are flaws and the cases that see them, which are all that fail.
// Run itself checks that: it holds declared limits to be true.
var mutants = []struct {
	flaw  string
	cases []string
}{
	{"", nil},
	{"never forgets failures", []string{"opens"}},
	{"rejects when busy", []string{"closed", "opens", "ignored", "probe-ignored", "lost-probe", "panic", "goexit"}},
	{"rejects with a permit", []string{"opens", "open-time", "retry-after", "independent", "probe-failure", "stale-success-open", "trip"}},
	{"is never open", []string{"opens", "open-time", "retry-after", "independent", "probe-failure", "stale-success-open", "listener-calls-back", "trip"}},
	{"tells no delay", []string{"retry-after"}},
	{"tells the whole delay", []string{"retry-after"}},
	{"its state follows the clock", []string{"time-alone"}},
	{"reads its own clock", []string{"now"}},
	{"drops slow failures", []string{"slow-failure", "stale-failure-closed"}},
	{"allocates", []string{"allocations"}},
	{"takes ignored for success", []string{"ignored", "probe-ignored", "panic", "goexit"}},
	{"takes ignored for failure", []string{"ignored", "probe-ignored", "panic", "goexit", "listener-calls-back"}},
	{"one probe too many", []string{"probes", "lost-probe", "stale-success-half-open", "panic", "goexit", "probes-at-once"}},
	{"counts probes twice", []string{"probes"}},
	{"closes at the first success", []string{"probes", "probe-failure", "second-done", "stale-probe"}},
	{"forgives a probe", []string{"probe-failure", "stale-success-half-open", "stale-probe", "listener-order", "listener-calls-back"}},
	{"keeps an ignored probe's place", []string{"probe-ignored", "panic", "goexit", "listener-calls-back"}},
	{"keeps its record", []string{"record-is-clean"}},
	{"wedges", []string{"lost-probe", "forfeited-success", "forfeited-failure", "panic", "goexit"}},
	{"hears forfeited successes", []string{"forfeited-success"}},
	{"hears forfeited failures", []string{"forfeited-failure"}},
	{"a late success closes it", []string{"stale-success-open"}},
	{"takes any success for a probe's", []string{"forfeited-success", "stale-success-half-open", "stale-probe"}},
	{"takes any failure for a probe's", []string{"forfeited-failure", "stale-failure-half-open"}},
	{"takes an old probe for a new one", []string{"stale-probe"}},
	{"stale successes excuse", []string{"stale-success-closed", "reset"}},
	{"drops stale failures", []string{"stale-failure-closed"}},
	{"tells nobody", []string{"listener-order", "listener-calls-back", "listener-panics", "trip-is-heard"}},
	{"tells twice", []string{"listener-order", "listener-panics", "trip-is-heard", "storm"}},
	{"tells the latest first", []string{"listener-order"}},
	{"does not tell of half-open", []string{"listener-order", "listener-panics"}},
	{"tells under its lock", []string{"listener-order", "listener-calls-back"}}, // a deadlock
	{"dies with its listener", []string{"listener-panics"}},
	{"cannot be tripped", []string{"trip", "reset", "trip-is-heard"}},
	{"trips again", []string{"trip"}},
	{"does not trip when half-open", []string{"trip"}},
	{"trips in silence", []string{"trip-is-heard", "storm"}},
	{"does not forget by Reset", []string{"reset"}},
	{"checks, then acts", []string{"probes-at-once"}},
	{"spawns", []string{"goroutines"}}, // and so everything runs in child processes
}

func TestMutants(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range mutants {
		if testing.Short() && len(m.cases) > 1 {
			continue
		}
		t.Run(m.flaw, func(t *testing.T) { Run(t, subject(m.flaw, m.cases...)) })
	}
	for _, m := range mutants {
		for _, name := range m.cases {
			seen[name] = true
		}
	}
	for _, c := range contract {
		if !seen[c.name] {
			t.Errorf("no mutant fails the case %q", c.name)
		}
	}
}

// Flaws that leave little standing: the cases that are about them fail, and
// others with them.
func TestGrossMutants(t *testing.T) {
	for _, m := range mutantsThatFailMost {
		for _, name := range m.cases {
			t.Run(m.flaw+"/"+name, func(t *testing.T) {
				i := slices.IndexFunc(contract, func(c item) bool { return c.name == name })
				if faults := contract[i].inBubble(t, subject(m.flaw)); len(faults) == 0 {
					t.Error("the case passes")
				}
			})
		}
	}
}

var mutantsThatFailMost = []struct {
	flaw  string
	cases []string
}{
	{"stays open", []string{"open-time", "retry-after", "probes"}},
	{"shares", []string{"independent"}},
	{"one probe too few", []string{"probes", "probes-at-once"}},
	{"takes success for failure", []string{"closed", "probes", "storm"}},
	{"counts twice", []string{"opens", "second-done"}},
	{"opens late", []string{"opens", "slow-failure"}},
	{"opens early", []string{"opens", "ignored"}},
	{"never opens by itself", []string{"opens"}},
}

// With one probe the cases are others in part.
func TestOneProbe(t *testing.T) {
	s := subject("")
	s.Probes = 1
	s.New = newPlain(s, "")
	Run(t, s)
}
