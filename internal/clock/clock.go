// Package clock is the seam between holdfast and the world. Everything in the
// call path that reads time, blocks, spawns or draws a random number goes
// through a [Clock], so that the production code itself, unchanged, runs in
// simulated time: [Real] is the standard library, [Virtual] is a
// deterministic discrete-event scheduler.
package clock

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Clock is what the call path needs of the world. Implementations are safe
// for concurrent use by whatever they run themselves.
type Clock interface {
	// Now returns the present instant. Only differences between two results
	// of the same clock mean something; the calendar date may drift.
	Now() time.Time

	// Mono returns the present as nanoseconds since an instant of the clock's
	// own, for half of what Now costs; At(Mono()) is Now().
	Mono() int64
	At(mono int64) time.Time

	// Sleep blocks for d, or until ctx ends; then it returns ctx.Err(). With
	// d <= 0 it does not block.
	Sleep(ctx context.Context, d time.Duration) error

	// WithTimeout is context.WithTimeout on this clock.
	WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc)

	// WithCancel is context.WithCancelCause on this clock.
	WithCancel(ctx context.Context) (context.Context, context.CancelCauseFunc)

	// AfterFunc calls f once, d from now, unless stop is called first; stop
	// reports whether it prevented the call. f must not block.
	AfterFunc(d time.Duration, f func()) (stop func() bool)

	// Go runs f concurrently. Wait returns when every f has returned.
	Go(f func())
	Wait()

	// Rand returns 64 uniform random bits.
	Rand() uint64
}

// Float64 draws from [0, 1).
func Float64(c Clock) float64 { return float64(c.Rand()>>11) / (1 << 53) }

// Jitter draws a duration from [0, d). It is 0 for d <= 0.
func Jitter(c Clock, d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(Float64(c) * float64(d))
}

// base anchors Real.Now: adding a monotonic difference to it costs one clock
// read, where time.Now costs two (wall and monotonic).
var base = time.Now()

// Real is the standard library's time, goroutines and math/rand/v2. The zero
// value is ready to use; it must not be copied after the first Go. It is safe
// for concurrent use, Go while others are in Wait included, which is what a
// sync.WaitGroup would not allow.
type Real struct {
	mu   sync.Mutex
	n    int           // goroutines running
	zero chan struct{} // closed when n is 0 again; nil if nobody waits
}

var _ Clock = (*Real)(nil)

// System is a shared Real for those who only read time and randomness.
var System = &Real{}

// Now reads the monotonic clock once.
func (*Real) Now() time.Time { return base.Add(time.Since(base)) }

// Sleep implements [Clock].
func (*Real) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// WithTimeout implements [Clock].
func (*Real) WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d)
}

// WithCancel implements [Clock].
func (*Real) WithCancel(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	return context.WithCancelCause(ctx)
}

// AfterFunc implements [Clock].
func (*Real) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	return time.AfterFunc(d, f).Stop
}

// Go implements [Clock]. A panic in f ends the process; runtime.Goexit in f
// ends only f.
func (r *Real) Go(f func()) {
	r.mu.Lock()
	r.n++
	r.mu.Unlock()
	go func() {
		defer func() {
			// As in sync.WaitGroup.Go: waking a waiter now could end the
			// process before the panic is printed.
			if p := recover(); p != nil {
				panic(p)
			}
			r.done()
		}()
		f()
	}()
}

func (r *Real) done() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n--
	if r.n == 0 && r.zero != nil {
		close(r.zero)
		r.zero = nil
	}
}

// Wait implements [Clock].
func (r *Real) Wait() {
	r.mu.Lock()
	if r.n == 0 {
		r.mu.Unlock()
		return
	}
	if r.zero == nil {
		r.zero = make(chan struct{})
	}
	zero := r.zero
	r.mu.Unlock()
	<-zero
}

// Rand implements [Clock].
func (*Real) Rand() uint64 { return rand.Uint64() }
