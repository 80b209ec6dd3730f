package breaker

import (
	"strconv"
	"strings"
	"time"
)

// Rule decides when a closed breaker opens. It is one of [CUSUM],
// [Consecutive], [Rate], [Count] and [Never], by value; others are refused by
// [Config.Validate]. In each, a zero field means its default.
type Rule interface {
	// Validate returns one [*FieldError] for each field out of range, joined.
	Validate() error

	// String returns the rule in words, as in [Reason].Rule.
	String() string

	// judge returns the rule ready for use; it seals the interface.
	judge() judge
}

// judge is a rule with its defaults filled in and its constants computed. It
// is shared by all circuits of a family and immutable; what a circuit
// remembers is in its record, which its mutex guards.
type judge interface {
	String() string

	// kind tells whose record a record is, so that Update can change the rule.
	kind() kind

	// note takes one result into the record and reports whether the breaker
	// must open. Only a failure opens: now is set for failures, and for
	// successes if reads is true.
	note(rec *record, failed bool, now time.Time) bool

	// terms returns the fewest calls that the rule opens after, and the share
	// of failures that is too much; 0 for what it does not go by.
	terms() (minCalls int, rate float64)

	// measure returns the score as of now and what it is compared with.
	measure(rec *record, now time.Time) measure
}

// A kind also says what a rule needs of the path of a success.
type kind uint8

const (
	kindNever kind = iota
	kindCUSUM
	kindConsecutive
	kindRate
	kindCount
)

// windowed rules must hear every success; the others only those that find
// failures on record.
func (k kind) windowed() bool { return k == kindRate || k == kindCount }

// timed rules need to know when a success happened.
func (k kind) timed() bool { return k == kindRate }

// record is what a circuit remembers for its rule. The zero record is empty.
type record struct {
	score float64 // CUSUM: in nats; Consecutive: failures in a row
	win   *window // Rate and Count: made at the first result
}

// failures reports whether the record holds any.
func (r *record) failures() bool { return r.score > 0 || r.win != nil && r.win.failures > 0 }

// window is what Rate and Count remember: totals, and the means to take old
// calls out of them again.
type window struct {
	calls, failures uint64
	span            int64     // Rate: width of a cell in ns; Count: calls remembered
	head            int64     // Rate: number of the newest cell; Count: calls seen
	start           time.Time // Rate: when cell 0 began
	cells           []cell    // Rate: a ring by time
	bits            []uint64  // Count: a ring by call; 1 is a failure
}

type cell struct{ calls, failures uint64 }

// reaches divides, because a product such as 0.07×100 is more than 7.
func (w *window) reaches(minCalls int, threshold float64) bool {
	return w.calls >= uint64(minCalls) && float64(w.failures)/float64(w.calls) >= threshold
}

// measure is a score with the numbers behind it.
type measure struct {
	score, threshold float64
	calls, failures  uint64
}

func (m measure) reason(rule judge) Reason {
	return Reason{
		Cause: ByRule, Rule: rule.String(), Score: m.score, Threshold: m.threshold,
		Calls: m.calls, Failures: m.failures,
	}
}

// share is the measure of failures among calls.
func share(w *window, threshold float64) measure {
	m := measure{threshold: threshold}
	if w != nil && w.calls > 0 {
		m.calls, m.failures = w.calls, w.failures
		m.score = float64(w.failures) / float64(w.calls)
	}
	return m
}

// percent writes 0.01 as "1%".
func percent(p float64) string { return strconv.FormatFloat(p*100, 'g', 6, 64) + "%" }

// short writes 1000000 as "1e6".
func short(f float64) string {
	s := strconv.FormatFloat(f, 'g', 6, 64)
	s = strings.Replace(s, "e+0", "e", 1)
	return strings.Replace(s, "e+", "e", 1)
}
