package breaker

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// handClock is moved by hand. What it does not implement panics.
type handClock struct {
	clock.Clock
	mu   sync.Mutex
	now  time.Time
	rand func() uint64
}

var epoch = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// newHandClock draws one half for ever: open times are not spread, and the
// ramp admits from a share of one half on.
func newHandClock() *handClock {
	return &handClock{now: epoch, rand: func() uint64 { return 1 << 63 }}
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) Rand() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rand()
}

func (c *handClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *handClock) seed(seed uint64) { c.rand = rand.New(rand.NewPCG(seed, seed)).Uint64 }

// deadClock panics whatever it is asked.
type deadClock struct{ clock.Clock }

// rig is a circuit, its clock, and what it said.
type rig struct {
	*Circuit
	t      *testing.T
	clock  *handClock
	events []Event
}

func newRig(t *testing.T, cfg Config) *rig {
	t.Helper()
	r := &rig{t: t, clock: newHandClock()}
	if cfg.Clock == nil {
		cfg.Clock = r.clock
	}
	if cfg.OnEvent == nil {
		cfg.OnEvent = func(e Event) { r.events = append(r.events, e) }
	}
	c, err := New("node-1", cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.Circuit = c
	return r
}

// admit acquires a permit that must be granted.
func (r *rig) admit() *Permit {
	r.t.Helper()
	p, wait, ok := r.TryAcquire(r.clock.Now())
	if !ok {
		r.t.Fatalf("rejected for %v while %v, want admitted", wait, r.State())
	}
	return &p
}

// rejected wants the next call turned away for so long.
func (r *rig) rejected(wait time.Duration) {
	r.t.Helper()
	p, got, ok := r.TryAcquire(r.clock.Now())
	if ok {
		r.t.Fatalf("admitted while %v, want rejected", r.State())
	}
	if got != wait {
		r.t.Fatalf("retry after %v, want %v", got, wait)
	}
	if p != (Permit{}) {
		r.t.Fatalf("a rejection came with a permit: %+v", p)
	}
}

// call makes n calls that end so.
func (r *rig) call(n int, result Result) {
	r.t.Helper()
	for range n {
		r.admit().Done(Report{Result: result})
	}
}

func (r *rig) want(state State) {
	r.t.Helper()
	if got := r.State(); got != state {
		r.t.Fatalf("state is %v, want %v", got, state)
	}
}

func (r *rig) advance(d time.Duration) { r.clock.advance(d) }

func (r *rig) last() Event {
	r.t.Helper()
	if len(r.events) == 0 {
		r.t.Fatal("no event")
	}
	return r.events[len(r.events)-1]
}
