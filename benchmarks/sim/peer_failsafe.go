package sim

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/internal/clock"
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

// failsafeClient retries as its documentation has them for HTTP, with
// a budget.New(), which lets three be under way, or as many as are a fifth of
// what is.
type failsafeClient struct {
	peer
	executions, retries int // under way
}

const (
	failsafeRetries = 3
	failsafeShare   = 0.2
	failsafeJitter  = 0.25
	failsafeMax     = time.Second
)

var errBudget = errors.New("budget exceeded")

func (f *failsafeClient) do(ctx context.Context, c *call) error {
	f.executions++
	defer func() { f.executions-- }()
	err := f.through(ctx, c, 1)
	for number := 2; err != nil && number <= peerAttempts && ctx.Err() == nil; number++ {
		if sleep := f.w.clk.Sleep(ctx, failsafePause(number-1, clock.Float64(f.w.clk))); sleep != nil {
			return sleep
		}
		if f.retries >= failsafeRetries && float64(f.retries)/float64(f.executions) > failsafeShare {
			return errBudget
		}
		f.retries++
		f.executions++
		err = f.through(ctx, c, number)
		f.retries--
		f.executions--
	}
	return err
}

// failsafePause is its pause before a retry, the first being 1.
func failsafePause(retry int, x float64) time.Duration {
	delay := min(float64(peerPause)*math.Pow(2, float64(retry-1)), float64(failsafeMax))
	return time.Duration(delay * (1 + (1-2*x)*failsafeJitter))
}
