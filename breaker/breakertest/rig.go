package breakertest

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
)

// rig is a breaker of the subject, and what a case found wrong with it.
type rig struct {
	Subject
	breaker.Breaker

	mu     sync.Mutex
	faults []string
	heard  []turn
	react  func(turn) // what the listener does, besides writing down
}

// turn is a transition as the listener was told.
type turn struct{ from, to breaker.State }

func newRig(s Subject) *rig { return &rig{Subject: s} }

// try runs the case on a new breaker and returns what did not hold.
func (r *rig) try(c item) []string {
	done := make(chan struct{})
	go func() { // the case may end itself, by fatalf
		defer close(done)
		defer func() {
			if p := recover(); p != nil && p != (abort{}) {
				r.errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		if r.Breaker = r.New(r.listen); r.Breaker == nil {
			r.fatalf("New returned nil")
		}
		c.run(r)
	}()
	<-done
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.faults
}

func (r *rig) listen(from, to breaker.State) {
	r.mu.Lock()
	r.heard = append(r.heard, turn{from, to})
	react := r.react
	r.mu.Unlock()
	if react != nil {
		react(turn{from, to})
	}
}

func (r *rig) turns() []turn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]turn(nil), r.heard...)
}

func (r *rig) errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

// abort is what fatalf panics with.
type abort struct{}

// fatalf ends the case. It is for the case's own goroutine.
func (r *rig) fatalf(format string, args ...any) {
	r.errorf(format, args...)
	panic(abort{})
}

// ask asks for a permit at the present instant.
func (r *rig) ask() (ticket, time.Duration, bool) {
	now := clock.System.Now()
	p, wait, ok := r.TryAcquire(now)
	return ticket{p, now}, wait, ok
}

// ticket is a permit and when it was granted.
type ticket struct {
	breaker.Permit
	at time.Time
}

// admit acquires a permit that must be granted.
func (r *rig) admit() *ticket {
	p, wait, ok := r.ask()
	if !ok {
		r.fatalf("rejected for %v while %v, want admitted", wait, r.State())
	}
	return &p
}

// rejected wants the next call turned away, and returns for how long.
func (r *rig) rejected() time.Duration {
	p, wait, ok := r.ask()
	if ok {
		r.fatalf("admitted while %v, want rejected", r.State())
	}
	if p.Permit != (breaker.Permit{}) {
		r.errorf("a rejection came with a permit: %+v", p.Permit)
	}
	return wait
}

// done reports, and waits until an engine that works in the background has
// heard.
func (r *rig) done(p *ticket, result breaker.Result) {
	p.Done(breaker.Report{Result: result, Start: p.at, Elapsed: clock.System.Now().Sub(p.at)})
	synctest.Wait()
}

// call makes n calls that end so.
func (r *rig) call(n int, result breaker.Result) {
	for range n {
		r.done(r.admit(), result)
	}
}

func (r *rig) want(state breaker.State) {
	if got := r.State(); got != state {
		r.fatalf("state is %v, want %v", got, state)
	}
}

// pass lets time pass.
func (r *rig) pass(d time.Duration) {
	_ = clock.System.Sleep(context.Background(), d) // it cannot fail: the context never ends
	synctest.Wait()
}

// open makes the breaker open, by failures: as many as a new one needs, or
// fewer.
func (r *rig) open() {
	for n := 0; n < r.Failures && r.State() != breaker.Open; n++ {
		r.done(r.admit(), breaker.Failure)
	}
	r.want(breaker.Open)
}

// halfOpen opens the breaker, lets its open time pass, and returns the first
// probe.
func (r *rig) halfOpen() *ticket {
	r.open()
	r.pass(r.longEnough())
	p := r.admit()
	r.want(breaker.HalfOpen)
	return p
}

// longEnough is after OpenFor, whichever side of the instant counts as after.
func (r *rig) longEnough() time.Duration { return r.OpenFor + 1 }

// recover closes a half-open breaker whose first probe is p.
func (r *rig) recover(p *ticket) {
	r.done(p, breaker.Success)
	for range r.Probes - 1 {
		r.call(1, breaker.Success)
	}
	r.want(breaker.Closed)
}
