package board

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// TestWindows holds what is summed up against a list of all that was counted:
// the counts of the ten whole seconds before now, the latencies of the ten
// seconds under way and the fifty before, with pauses of all lengths.
func TestWindows(t *testing.T) {
	t.Parallel()
	type ended struct {
		at int64
		c  count
	}
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		var r row
		var all []ended
		now := int64(0)
		for range 3000 {
			switch rnd.IntN(30) {
			case 0:
				now += rnd.Int64N(3)
			case 1:
				if rnd.IntN(20) == 0 {
					now += rnd.Int64N(200)
				}
			}
			e := ended{now, count(rnd.IntN(int(abandoned) + 1))}
			if rnd.IntN(50) == 0 && now > 3 {
				e.at -= rnd.Int64N(3) // told late
			}
			r.add(e.at, e.c, tick)
			all = append(all, e)

			var got sums
			got.add(&r, now)
			var want sums
			for _, e := range all {
				if e.at >= now-10 && e.at < now {
					want.n[e.c]++
				}
				if e.at/10 > now/10-6 && e.c.ran() {
					want.count++
				}
			}
			if got.n != want.n || got.count != want.count {
				t.Fatalf("seed %d, second %d: got %v and %d latencies, want %v and %d", seed, now, got.n, got.count, want.n, want.count)
			}
		}
	}
}

// TestManyCountAtOnce: nothing is lost while nobody turns the page, and what a
// new second begins with is nothing.
func TestManyCountAtOnce(t *testing.T) {
	t.Parallel()
	const workers, each = 8, 5000
	var r row
	for round := range int64(3) {
		at := 1000 * round
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for i := range each {
					r.add(at+int64(i*5/each), succeeded, time.Duration(i+1))
				}
			})
		}
		wg.Wait()
		var got sums
		got.add(&r, at+5)
		if got.n[succeeded] != workers*each || got.count != workers*each || got.least != 1 || got.most != each {
			t.Errorf("round %d: %d and %d of %d, from %v to %v", round, got.n[succeeded], got.count, workers*each, got.least, got.most)
		}
	}
}

// TestRowIsSmall: what a busy row takes, and what an idle one does.
func TestRowIsSmall(t *testing.T) {
	t.Parallel()
	if n := unsafe.Sizeof(tally{}); n > 10_000 {
		t.Errorf("a busy row takes %d bytes", n)
	}
	if n := unsafe.Sizeof(row{}); n > 8 {
		t.Errorf("an idle row takes %d bytes", n)
	}
	if n := unsafe.Sizeof(second{}); n != 64 {
		t.Errorf("a second takes %d bytes, want a cache line", n)
	}
}

// TestCountOf: how each way to end is counted.
func TestCountOf(t *testing.T) {
	t.Parallel()
	open := &breaker.OpenError{Key: "x"}
	full := fmt.Errorf("call: %w", resilience.ErrBulkheadFull)
	cut := &resilience.TimeoutError{After: time.Second, Err: context.Canceled}
	for _, row := range []struct {
		name string
		e    resilience.Event
		want count
	}{
		{"success", resilience.Event{Outcome: resilience.Succeeded}, succeeded},
		{"a 404", resilience.Event{Outcome: resilience.Failed, Err: errOp}, answered},
		{"a reset", resilience.Event{Outcome: resilience.Ambiguous, Err: errOp}, failed},
		{"refused connection", resilience.Event{Outcome: resilience.NotSent, Err: errOp}, failed},
		{"no outcome", resilience.Event{Err: errOp}, failed},
		{"attempt timeout", resilience.Event{Outcome: resilience.Ambiguous, Err: cut}, timedOut},
		{"deadline", resilience.Event{Outcome: resilience.Abandoned, Why: retry.Cancelled, Err: context.DeadlineExceeded}, timedOut},
		{"a socket's timeout", resilience.Event{Outcome: resilience.Ambiguous, Err: fmt.Errorf("read: %w", os.ErrDeadlineExceeded)}, timedOut},
		{"bulkhead", resilience.Event{Outcome: resilience.Rejected, Err: full}, rejected},
		{"429", resilience.Event{Outcome: resilience.Refused, Err: errOp}, rejected},
		{"open breaker", resilience.Event{Outcome: resilience.Rejected, Err: fmt.Errorf("call: %w", open)}, shorted},
		{"caller left", resilience.Event{Outcome: resilience.Abandoned, Err: context.Canceled}, abandoned},
		{"caller left in a pause", resilience.Event{Outcome: resilience.NotSent, Why: retry.Cancelled, Err: errors.Join(errOp, context.Canceled)}, abandoned},
		{"caller left before", resilience.Event{Why: retry.Cancelled, Err: context.Canceled}, abandoned},
		{"an op that cancelled something", resilience.Event{Outcome: resilience.Ambiguous, Err: context.Canceled}, failed},
	} {
		if got := countOf(&row.e); got != row.want {
			t.Errorf("%s: counted as %d, want %d", row.name, got, row.want)
		}
	}
}
