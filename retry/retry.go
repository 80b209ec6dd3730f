// Package retry answers one question: is another attempt of a call safe,
// worth it, affordable and in time? [Decide] is the whole rule; [Budget] keeps
// retries a bounded share of the traffic; [Intervals] spaces them, on top of
// cenkalti/backoff/v4.
//
// It makes no calls itself: package resilience holds the loop.
package retry

import (
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Idempotency is what is known about carrying a call out more than once.
type Idempotency uint8

// The kinds of calls. The zero value makes no promise, and is treated as
// NonIdempotent wherever a later level of precedence does not say more.
const (
	Unspecified   Idempotency = iota
	Safe                      // changes nothing: RFC 9110 §9.2.1
	Idempotent                // twice is as good as once: RFC 9110 §9.2.2
	Keyed                     // carries a key, and the server deduplicates by it
	NonIdempotent             // twice is wrong
)

// Repeatable reports whether a call that may have been carried out may be
// sent again.
func (i Idempotency) Repeatable() bool { return i == Safe || i == Idempotent || i == Keyed }

// Or returns i, or next where i is Unspecified. Chains of Or spell out a
// precedence: hint.Or(request).Or(method).Or(protocol).
func (i Idempotency) Or(next Idempotency) Idempotency {
	if i == Unspecified {
		return next
	}
	return i
}

var idempotencyNames = [...]string{"unspecified", "safe", "idempotent", "keyed", "non-idempotent"}

// String returns the kind in one word.
func (i Idempotency) String() string { return name(idempotencyNames[:], uint8(i), "Idempotency") }

// MarshalText implements encoding.TextMarshaler.
func (i Idempotency) MarshalText() ([]byte, error) {
	if int(i) >= len(idempotencyNames) {
		return nil, fmt.Errorf("idempotency %d: want one of %s", i, strings.Join(idempotencyNames[:], ", "))
	}
	return []byte(i.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *Idempotency) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*i = Unspecified
		return nil
	}
	for k, n := range idempotencyNames {
		if n == string(text) {
			*i = Idempotency(k)
			return nil
		}
	}
	return fmt.Errorf("idempotency %q: want one of %s", text, strings.Join(idempotencyNames[:], ", "))
}

// Effect is whether an attempt may have been carried out.
type Effect uint8

// The effects of an attempt. The zero value is the careful one.
const (
	Possible Effect = iota // nobody knows: it may have been, or may still be
	None                   // certainly not
	Answered               // the server said what came of it
)

// String returns the effect in one word.
func (e Effect) String() string {
	return name([]string{"possible", "none", "answered"}, uint8(e), "Effect")
}

// Reason is why there is no further attempt. It is a one-word answer for
// errors, events and metrics.
type Reason uint8

// The reasons, in the order in which [Decide] asks. Granted is the zero value:
// another attempt may be made.
const (
	Granted       Reason = iota
	Cancelled            // the context ended: the caller cancelled, or its time (or Settings.Timeout) is over
	Final                // another attempt would end the same way, or it succeeded
	NotRepeatable        // it may have been carried out, and the call is not declared repeatable
	Stopped              // the hook or the back-off said stop
	Exhausted            // all attempts were made
	OutOfTime            // another attempt cannot finish before the deadline
	OverBudget           // retries have used up their share of the traffic
	NoCredit             // the caller of the request that is being served has no retries left
)

// String returns the reason in words that end a sentence.
func (r Reason) String() string {
	return name([]string{
		"granted", "cancelled", "final", "not repeatable", "stopped", "attempts exhausted", "out of time", "retry budget exhausted",
		"caller's retry budget exhausted",
	}, uint8(r), "Reason")
}

func name(names []string, i uint8, typ string) string {
	if int(i) < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", typ, i)
}

// Try is an attempt that did not succeed, as a [Hook] sees it.
type Try struct {
	Method      string
	Idempotency Idempotency
	Attempt     int    // 1 for the first
	Effect      Effect // whether it may have been carried out
	Again       bool   // whether another attempt could end differently
	Err         error
}

// Hook may stop a call's retries, or ask for one where the outcome alone would
// not (as go-micro's RetryFunc does). It cannot repeat an attempt that may
// have been carried out when the call is not declared repeatable: that answer
// stands above it. An error ends the call. A Hook must be safe for concurrent
// use.
type Hook func(Try) (again bool, err error)

// Always asks for another attempt after every failure.
func Always(Try) (bool, error) { return true, nil }

// OnError asks for another attempt where one could end differently. It is
// what happens without a hook.
func OnError(t Try) (bool, error) { return t.Again, nil }

// Policy is how a call, or the calls of one method, may be retried. The zero
// Policy retries nothing.
type Policy struct {
	Attempts int                    // in all, the first included; 0 and 1: no retries
	Backoff  func() backoff.BackOff // makes a call's intervals, at its first retry; nil: no pauses
	Verbatim bool                   // take the intervals as they are; false: full jitter over them
	Hook     Hook                   // may stop retries or ask for more; nil: OnError

	// Await is how long after its start a call of which nothing was sent may
	// wait for the service to be back, when its attempts or the budget are
	// used up, and make up to twice its Attempts in all. 0 and less: not at all.
	Await time.Duration
}

// Or returns p with its zero fields taken from q; Verbatim goes with Backoff.
func (p Policy) Or(q Policy) Policy {
	if p.Attempts == 0 {
		p.Attempts = q.Attempts
	}
	if p.Backoff == nil {
		p.Backoff, p.Verbatim = q.Backoff, q.Verbatim
	}
	if p.Hook == nil {
		p.Hook = q.Hook
	}
	if p.Await == 0 {
		p.Await = q.Await
	}
	return p
}

// Question is all that [Decide] looks at.
type Question struct {
	Try
	Hook     Hook          // nil: OnError
	Max      int           // attempts allowed in all
	Wait     time.Duration // before the next attempt could start; negative: the back-off said stop
	Left     time.Duration // until the caller's deadline
	Deadline bool          // whether there is one
	Need     time.Duration // what an attempt usually takes; 0: unknown
}

// Decide says whether another attempt may be made, budget aside: ask
// [Budget].Take last, since it spends. The error is the hook's.
func Decide(q Question) (Reason, error) {
	again := q.Again
	if q.Hook != nil {
		var err error
		if again, err = q.Hook(q.Try); err != nil {
			return Stopped, err
		}
	}
	switch {
	case !again && q.Again:
		return Stopped, nil
	case !again:
		return Final, nil
	case q.Effect == Possible && !q.Idempotency.Repeatable():
		return NotRepeatable, nil
	case q.Attempt >= q.Max:
		return Exhausted, nil
	case q.Wait < 0:
		return Stopped, nil
	case q.Deadline && (q.Wait >= q.Left || q.Need >= q.Left-q.Wait): // no sum: a hint may be any number
		return OutOfTime, nil
	}
	return Granted, nil
}
