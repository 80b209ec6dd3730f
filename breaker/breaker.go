// Package breaker judges the health of one thing (a node, a service, a
// tenant) from the results of the calls made to it, and stops calls to it
// while it is ill.
//
//	b, err := breaker.New("db", breaker.Config{})
//	permit, err := b.Acquire() // errors.Is(err, breaker.ErrOpen): do not call
//	…
//	permit.Done(breaker.Report{Result: breaker.Success})
//
// A permit that is never done with means nothing while the breaker is closed;
// of a half-open one it is a probe, whose lease ends after ProbeTimeout.
//
// [Circuit] is the native engine: a [Rule] decides when it opens, it stays
// open for a time that grows exponentially with jitter, lets leased probes
// through, and readmits load on a ramp. [Group] keeps a bounded number of
// breakers by key. Other engines (sony/gobreaker, afex/hystrix-go, your own)
// stand behind the same [Breaker] interface.
package breaker

import (
	"errors"
	"fmt"
	"time"
)

// State is where a breaker stands.
type State uint8

// The states of a breaker.
const (
	Closed   State = iota // calls pass
	Open                  // calls are rejected until the open time is over
	HalfOpen              // a few probes pass, and decide
)

// String returns "closed", "open" or "half-open".
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case Open:
		return "open"
	case HalfOpen:
		return "half-open"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// Result is what a finished call says about the thing it was made to.
type Result uint8

// The results of a call. The zero value says nothing.
const (
	Ignored Result = iota // says nothing: cancelled by the caller, rejected for load
	Success
	Failure
)

// String returns "ignored", "success" or "failure".
func (r Result) String() string {
	switch r {
	case Ignored:
		return "ignored"
	case Success:
		return "success"
	case Failure:
		return "failure"
	}
	return fmt.Sprintf("Result(%d)", uint8(r))
}

// Report is the result of one call. Start and Elapsed may be left zero where
// nothing needs them ([Config].SlowCall needs Elapsed).
type Report struct {
	Result  Result
	Start   time.Time     // when the call began
	Elapsed time.Duration // how long it took
}

// Breaker admits or rejects calls to one thing and learns from their results.
// Implementations are safe for concurrent use. It is what selector and
// resilience need of an engine and no more; [Tripper] is optional.
type Breaker interface {
	// TryAcquire asks to let one call through. When ok, the caller makes the
	// call and then calls Done on the permit exactly once. When not ok,
	// retryAfter says when asking again may help (0: unknown), and the permit
	// is empty. It allocates nothing.
	TryAcquire(now time.Time) (p Permit, retryAfter time.Duration, ok bool)

	// State returns the state after the last call or result; time alone does
	// not change it.
	State() State
}

// Tripper is a breaker that can be opened and closed from outside, as the
// ejector of package selector does.
type Tripper interface {
	// Trip opens the breaker, whatever its rule says. Tripping an open
	// breaker does nothing.
	Trip(Reason)
	// Reset closes the breaker and forgets its failures and its open time.
	Reset(Reason)
}

// Engine makes the breaker for a key. It is the plug for other engines; a
// [Family] is the native one.
type Engine interface {
	New(key string) Breaker
}

// Settler is the receiving end of a [Permit]: engines implement it to learn
// the results of the calls they admitted. Settle is called once per permit
// that is not lost; token is what the engine gave to [NewPermit].
type Settler interface {
	Settle(token uint64, r Report)
}

// Permit is the right to make one call. It is a small value: pass it by
// pointer or let its owner keep it. Copies share one right, so calling Done
// on two copies reports twice; do not copy it. The zero Permit is valid and
// its Done does nothing.
type Permit struct {
	settler Settler
	token   uint64
}

// NewPermit makes a permit; it is for engines.
func NewPermit(s Settler, token uint64) Permit { return Permit{settler: s, token: token} }

// Done reports the result and clears the permit: a second Done does nothing.
// It must not be called concurrently on the same permit.
func (p *Permit) Done(r Report) {
	s := p.settler
	if s == nil {
		return
	}
	p.settler = nil
	s.Settle(p.token, r)
}

// ErrOpen is matched by every rejection, with errors.Is.
var ErrOpen = errors.New("circuit breaker is open")

// OpenError is a rejection. It matches [ErrOpen].
type OpenError struct {
	Key        string        // what the breaker guards
	RetryAfter time.Duration // when asking again may help; 0: unknown
}

// Error implements error.
func (e *OpenError) Error() string {
	s := ErrOpen.Error()
	if e.Key != "" {
		s = fmt.Sprintf("circuit breaker %q is open", e.Key)
	}
	if e.RetryAfter > 0 {
		s += fmt.Sprintf(", retry after %v", e.RetryAfter.Round(time.Millisecond))
	}
	return s
}

// Is reports whether target is [ErrOpen].
func (e *OpenError) Is(target error) bool { return target == ErrOpen }

// Cause is why a breaker changed its state.
type Cause uint8

// The causes of a transition.
const (
	ByRule     Cause = iota // the trip rule reached its threshold
	ByEjector               // the node does worse than its peers (package selector)
	ByOpenTime              // the open time is over: open to half-open
	ByProbe                 // the probes decided: half-open to closed or open
	ByHand                  // Trip, Reset or Force was called
	ByEngine                // a foreign engine decided by its own rules
)

// String returns the cause in one word.
func (c Cause) String() string {
	names := [...]string{"rule", "ejector", "open-time", "probe", "hand", "engine"}
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("Cause(%d)", uint8(c))
}

// Reason says why a transition happened, with its numbers. Fields that do not
// apply are zero. For ByProbe, Score is how many probes succeeded and
// Threshold how many must.
type Reason struct {
	Cause     Cause
	Rule      string  // the trip rule in words, e.g. "cusum(1%→50%, 1e6)"
	Score     float64 // what the rule measured …
	Threshold float64 // … and what it is compared with
	Calls     uint64  // calls the score was taken from, where the rule counts them
	Failures  uint64  // of these, failures
	Note      string  // who and why, when done by hand
}

// Event is one transition of a breaker. From and To are the same when only the
// mode was changed, by [Circuit.Force].
type Event struct {
	Key      string
	From, To State
	Mode     Mode // after the event; Auto unless forced
	At       time.Time
	OpenFor  time.Duration // how long it will stay open; when To is Open
	Shadow   bool          // the breaker is in shadow mode: nothing is rejected
	Reason   Reason
}
