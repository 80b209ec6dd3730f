package sim

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// failsafeRule is failsafe-go v0.9.8's circuit breaker after the first example
// of its documentation: opens at the fifth failure in a row, for a minute, then
// lets two at a time through; two successes close it, one failure opens it. A
// result counts in the state in which it comes, whenever its call began.
type failsafeRule struct {
	tell      func(harness.EntryKind)
	state     uint8
	failures  int // in a row, while closed
	successes int // while half-open
	permits   int
	opened    int64
}

const (
	failsafeFailures  = 5
	failsafeSuccesses = 2
	failsafeOpen      = int64(time.Minute)
)

func (f *failsafeRule) run(_ context.Context, now func() int64, attempt func() error) error {
	if f.state == ruleOpen && now()-f.opened >= failsafeOpen {
		f.state, f.successes, f.permits = ruleHalfOpen, 0, failsafeSuccesses
	}
	if f.state == ruleOpen || f.state == ruleHalfOpen && f.permits == 0 {
		return errRejected
	}
	if f.state == ruleHalfOpen {
		f.permits--
	}
	err := attempt()
	switch f.state {
	case ruleClosed:
		if f.failures++; err == nil {
			f.failures = 0
		}
		if f.failures >= failsafeFailures {
			f.open(now())
		}
	case ruleHalfOpen:
		f.permits++
		if err != nil {
			f.open(now())
		} else if f.successes++; f.successes >= failsafeSuccesses {
			f.state, f.failures = ruleClosed, 0
			f.tell(harness.Readmitted)
		}
	}
	return err
}

func (f *failsafeRule) open(now int64) {
	f.state, f.opened = ruleOpen, now
	f.tell(harness.Ejected)
}
