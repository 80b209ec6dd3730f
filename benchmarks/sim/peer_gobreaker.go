package sim

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// gobreakerRule is sony/gobreaker v2.4.0 with its default Settings: opens at
// the sixth consecutive failure, for 60 s, then lets one call through.
type gobreakerRule struct {
	tell       func(harness.EntryKind)
	state      uint8 // closed, open, half-open
	generation uint64
	failures   int // in a row
	requests   int // in this generation
	expiry     int64
}

const (
	ruleClosed = iota
	ruleOpen
	ruleHalfOpen
)

const (
	gobreakerFailures = 6
	gobreakerOpen     = int64(60 * time.Second)
)

func (b *gobreakerRule) set(state uint8, now int64) {
	b.state = state
	b.generation++
	b.failures, b.requests = 0, 0
	switch state {
	case ruleOpen:
		b.expiry = now + gobreakerOpen
		b.tell(harness.Ejected)
	case ruleClosed:
		b.tell(harness.Readmitted)
	}
}

func (b *gobreakerRule) current(now int64) {
	if b.state == ruleOpen && b.expiry < now {
		b.set(ruleHalfOpen, now)
	}
}

func (b *gobreakerRule) run(_ context.Context, now func() int64, attempt func() error) error {
	b.current(now())
	if b.state == ruleOpen || b.state == ruleHalfOpen && b.requests >= 1 {
		return errRejected
	}
	b.requests++
	generation := b.generation
	err := attempt()
	b.current(now())
	switch {
	case generation != b.generation:
	case err == nil && b.state == ruleHalfOpen:
		b.set(ruleClosed, now())
	case err == nil:
		b.failures = 0
	case b.state == ruleHalfOpen:
		b.set(ruleOpen, now())
	default:
		if b.failures++; b.failures >= gobreakerFailures {
			b.set(ruleOpen, now())
		}
	}
	return err
}
