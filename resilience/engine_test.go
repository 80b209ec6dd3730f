package resilience_test

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// countingEngine makes native breakers and counts the permits that are out.
type countingEngine struct {
	family *breaker.Family
	out    int
}

type countingBreaker struct {
	*breaker.Circuit
	engine  *countingEngine
	permits map[uint64]breaker.Permit
	last    uint64
}

func newCountingEngine(t testing.TB, b *bench) *countingEngine {
	t.Helper()
	family, err := breaker.NewFamily(breaker.Config{Rule: breaker.Never{}, Ramp: -1, Clock: b.Clock()})
	if err != nil {
		t.Fatal(err)
	}
	return &countingEngine{family: family}
}

func (e *countingEngine) New(key string) breaker.Breaker {
	return &countingBreaker{Circuit: e.family.New(key).(*breaker.Circuit), engine: e, permits: map[uint64]breaker.Permit{}}
}

func (c *countingBreaker) TryAcquire(now time.Time) (breaker.Permit, time.Duration, bool) {
	p, after, ok := c.Circuit.TryAcquire(now)
	if !ok {
		return p, after, ok
	}
	c.engine.out++
	c.last++
	c.permits[c.last] = p
	return breaker.NewPermit(c, c.last), after, ok
}

func (c *countingBreaker) Settle(token uint64, r breaker.Report) {
	p := c.permits[token]
	delete(c.permits, token)
	c.engine.out--
	p.Done(r)
}
