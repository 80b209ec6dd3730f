package sim

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// resiliencyRule is eapache/go-resiliency v1.7.0's breaker.New(3, 1, 5 s), as
// its README has it: opens at the third error between which there was no time
// of 5 s without one, however many successes; half-open after 5 s, for any
// number of calls at a time.
type resiliencyRule struct {
	tell      func(harness.EntryKind)
	state     uint8
	errors    int
	lastError int64
	opened    int64
}

const (
	resiliencyErrors  = 3
	resiliencyTimeout = int64(5 * time.Second)
)

// current is what its timer does.
func (r *resiliencyRule) current(now int64) {
	if r.state == ruleOpen && now-r.opened >= resiliencyTimeout {
		r.state, r.errors = ruleHalfOpen, 0
	}
}

func (r *resiliencyRule) run(_ context.Context, now func() int64, attempt func() error) error {
	r.current(now())
	admitted := r.state
	if admitted == ruleOpen {
		return errRejected
	}
	err := attempt()
	at := now()
	r.current(at)
	switch {
	case err == nil && admitted == ruleClosed: // its fast path
	case err == nil:
		if r.state == ruleHalfOpen {
			r.state, r.errors = ruleClosed, 0
			r.tell(harness.Readmitted)
		}
	default:
		r.failed(at)
	}
	return err
}

func (r *resiliencyRule) failed(now int64) {
	if r.errors > 0 && now > r.lastError+resiliencyTimeout {
		r.errors = 0
	}
	switch r.state {
	case ruleClosed:
		if r.errors++; r.errors < resiliencyErrors {
			r.lastError = now
			return
		}
	case ruleOpen:
		return
	}
	r.state, r.errors, r.opened = ruleOpen, 0, now
	r.tell(harness.Ejected)
}
