package sim

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// hystrixRule is afex/hystrix-go's circuit as its README configures it: opens
// when 25 % of at least 20 requests in 10 s were errors, and tries one request
// each 5 s after that; 100 requests at a time. Rejected requests are errors,
// too. What it writes down by a channel counts at once here.
type hystrixRule struct {
	tell     func(harness.EntryKind)
	open     bool
	tested   int64 // when it opened or was tested last
	running  int
	requests rollingNumber
	errors   rollingNumber
}

const (
	hystrixVolume     = 20
	hystrixPercent    = 25
	hystrixSleep      = int64(5 * time.Second)
	hystrixConcurrent = 100
)

func newHystrixRule(tell func(harness.EntryKind)) *hystrixRule { return &hystrixRule{tell: tell} }

// rollingNumber is its counter: a bucket a second. It drops those of 10 s
// before when it is written, and sums up one more when it is read.
type rollingNumber map[int64]int

func (r *rollingNumber) add(now int64) {
	if *r == nil {
		*r = rollingNumber{}
	}
	second := now / int64(time.Second)
	(*r)[second]++
	for s := range *r {
		if s <= second-10 {
			delete(*r, s)
		}
	}
}

func (r rollingNumber) sum(now int64) (n int) {
	for s, k := range r {
		if s >= now/int64(time.Second)-10 {
			n += k
		}
	}
	return n
}

func (h *hystrixRule) run(_ context.Context, now func() int64, attempt func() error) error {
	if !h.allow(now()) {
		h.report(now(), true)
		return errRejected
	}
	if h.running >= hystrixConcurrent {
		h.report(now(), true)
		return errRejected
	}
	h.running++
	err := attempt()
	h.running--
	if err == nil && h.open {
		h.open = false
		clear(h.requests)
		clear(h.errors)
		h.tell(harness.Readmitted)
	}
	// A call whose own deadline ran out, or that was cancelled, is no error.
	h.report(now(), err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded))
	return err
}

func (h *hystrixRule) report(now int64, failed bool) {
	h.requests.add(now)
	if failed {
		h.errors.add(now)
	}
}

func (h *hystrixRule) allow(now int64) bool {
	if h.isOpen(now) {
		if !h.open || now <= h.tested+hystrixSleep {
			return false
		}
		h.tested = now
	}
	return true
}

func (h *hystrixRule) isOpen(now int64) bool {
	if h.open {
		return true
	}
	n := h.requests.sum(now)
	if n < hystrixVolume {
		return false
	}
	if int(100*float64(h.errors.sum(now))/float64(n)+0.5) < hystrixPercent {
		return false
	}
	h.open, h.tested = true, now
	h.tell(harness.Ejected)
	return true
}
