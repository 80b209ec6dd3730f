// Package trace records the attempts that clients make, so that thresholds can
// be worked out from a service's own traffic (`holdfast tune`):
//
//	rec, err := trace.New(trace.Config{Dir: "/var/lib/app/trace"})
//	…
//	client, err := resilience.New(resilience.Config{Service: "users", Observer: rec, …})
//
// It may stay on: an attempt costs a lock that is rarely contended and no
// allocation, what waits to be written is bounded, and so are the files. What
// does not fit is counted, in the files too, rather than waited for.
//
// The files are NDJSON: a line that says who recorded, then a line an attempt,
// in no exact order. Whole files can be concatenated.
package trace

import (
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// Record is one attempt.
type Record struct {
	Start   time.Time      // when it began
	Client  string         // who made it: Config.Client of the recorder
	Service string         // what was called
	Node    string         // where it went, by ID; empty: nowhere, it was held back
	Method  string         // of the call
	Outcome string         // in a word: see resilience.Outcome
	Result  breaker.Result // what it says about the node
	Latency time.Duration  // how long it took
	Attempt int            // its number within the call, from 1
	Calls   int            // how many attempts it stands for: more than 1 of a sampled success
}

// End is when the attempt ended.
func (r Record) End() time.Time { return r.Start.Add(r.Latency) }

// Counters are what a recorder has come to.
type Counters struct {
	Written uint64 // records in files
	Sampled uint64 // successes left out by Config.Every
	Lost    uint64 // attempts that should have been recorded: the buffer was full, or the disk
}

// BreakError says where a trace ends before its time: what was read up to
// there is good.
type BreakError struct {
	Line   int   // the first that cannot be read, from 1
	Offset int64 // where it begins
	Err    error // why
}

// Error implements error.
func (e *BreakError) Error() string {
	return fmt.Sprintf("trace: broken at line %d (byte %d): %v", e.Line, e.Offset, e.Err)
}

// Unwrap returns why.
func (e *BreakError) Unwrap() error { return e.Err }
