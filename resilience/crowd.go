package resilience

import (
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/selector"
)

// crowd knows whether attempts take long because the service as a whole is
// behind. Then it is in vain to cut one and to make another: that waits as
// long, while the server still carries out the first, and falls further behind
// by it.
//
// Only attempts that are slow ask, and the asking is what measures: while none
// is, nothing is counted. It is safe for concurrent use.
type crowd struct {
	mu     sync.Mutex
	asked  int64 // when somebody last did, as the clock's Mono tells it; 0: never
	begun  int64 // of the window in which answers are counted
	before selector.Traffic

	// What the last window came to.
	late    bool          // most answers came after their attempts' timeout
	wait    time.Duration // what another attempt has to expect, by Little's law; 0: unknown
	latency time.Duration // what answers took
}

// A window is a part of the attempt timeout, and goes on until it has enough
// answers to tell something.
const (
	windowShare  = 3
	leastAnswers = 4
	crowdMemory  = 3 // attempt timeouts without a question, after which all is measured anew
)

// slow is asked at now by an attempt of that age whose timeout is full. It
// reports whether another attempt would be no better off.
func (c *crowd) slow(sel *selector.Selector, now int64, age, full time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := c.asked != 0 && now-c.asked <= crowdMemory*int64(full)
	c.asked = now
	switch window := time.Duration(now - c.begun); {
	case !fresh:
		c.begin(now, sel.Traffic())
		c.late, c.wait, c.latency = false, 0, 0
	case window > full/windowShare:
		c.measure(now, window, full, sel.Traffic())
	}
	return c.late || c.wait > age/2 && c.latency > age/4
}

func (c *crowd) begin(now int64, is selector.Traffic) { c.begun, c.before = now, is }

// measure ends the window, if it has enough answers.
func (c *crowd) measure(now int64, window, full time.Duration, is selector.Traffic) {
	answers, late := int64(is.Answers-c.before.Answers), int64(is.Late-c.before.Late) //nolint:gosec // the sign is meant
	switch {
	case answers >= leastAnswers:
		c.late = 2*late >= answers
		c.wait, c.latency = window*time.Duration(is.InFlight)/time.Duration(answers), is.Latency
	case window > crowdMemory*full: // silence is another matter
		c.late, c.wait, c.latency = false, 0, 0
	default:
		return
	}
	c.begin(now, is)
}
