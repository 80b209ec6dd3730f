package clock

import (
	"context"
	"io"
	"math"
	"slices"
	"testing"
	"time"
)

type ctxKey struct{}

// TestContextStates checks a context against what package context says of
// its own in the same place: error, cause, a closed Done or none.
func TestContextStates(t *testing.T) {
	cancelled, cancel := context.WithCancelCause(bg)
	cancel(io.EOF)
	rows := []struct {
		name       string
		make       maker
		do         func(v *Virtual, m made)
		err, cause error
	}{
		{name: "open", make: withCancel(bg)},
		{
			name: "cancelled", make: withCancel(bg),
			do:  func(_ *Virtual, m made) { m.stop(nil) },
			err: context.Canceled, cause: context.Canceled,
		},
		{
			name: "cancelled with a cause, twice", make: withCancel(bg),
			do: func(_ *Virtual, m made) {
				m.stop(io.EOF)
				m.stop(io.ErrClosedPipe)
			},
			err: context.Canceled, cause: io.EOF,
		},
		{
			name: "timed out, then cancelled", make: withTimeout(bg, ms),
			do: func(v *Virtual, m made) {
				_ = v.Sleep(bg, ms)
				m.stop(nil)
			},
			err: context.DeadlineExceeded, cause: context.DeadlineExceeded,
		},
		{
			name: "one nanosecond before the timeout", make: withTimeout(bg, ms),
			do: func(v *Virtual, _ made) { _ = v.Sleep(bg, ms-1) },
		},
		{name: "no time at all", make: withTimeout(bg, 0), err: context.DeadlineExceeded, cause: context.DeadlineExceeded},
		{name: "negative", make: withTimeout(bg, math.MinInt64), err: context.DeadlineExceeded, cause: context.DeadlineExceeded},
		{name: "endless", make: withTimeout(bg, math.MaxInt64), do: func(v *Virtual, _ made) { _ = v.Sleep(bg, ms) }},
		{name: "of a cancelled parent", make: withTimeout(cancelled, ms), err: context.Canceled, cause: io.EOF},
		{
			name: "of a cancelled parent, no time", make: withTimeout(cancelled, 0),
			err: context.Canceled, cause: io.EOF,
		},
		{
			name: "under values, a cause from above",
			make: func(t *testing.T, v *Virtual) made {
				top, stop := v.WithCancel(bg)
				mid, _ := v.WithTimeout(context.WithValue(top, ctxKey{}, 1), time.Hour)
				end, _ := v.WithCancel(std(t, mid))
				return made{end, stop}
			},
			do:  func(_ *Virtual, m made) { m.stop(io.EOF) },
			err: context.Canceled, cause: io.EOF,
		},
		{
			name: "a deadline above, through package context",
			make: func(t *testing.T, v *Virtual) made {
				top, _ := v.WithTimeout(bg, ms)
				end, stop := v.WithCancel(std(t, top))
				return made{end, stop}
			},
			do:  func(v *Virtual, _ made) { _ = v.Sleep(bg, ms) },
			err: context.DeadlineExceeded, cause: context.DeadlineExceeded,
		},
		{
			name: "a foreign parent with a cause",
			make: func(_ *testing.T, v *Virtual) made {
				top, stop := context.WithCancelCause(bg)
				end, _ := v.WithTimeout(top, ms)
				return made{end, stop}
			},
			do:  func(_ *Virtual, m made) { m.stop(io.EOF) },
			err: context.Canceled, cause: io.EOF,
		},
		{
			name: "a foreign deadline with a cause keeps both",
			make: func(_ *testing.T, v *Virtual) made {
				top, stop := context.WithDeadlineCause(bg, epoch, io.EOF) // long past
				end, _ := v.WithCancel(context.WithValue(top, ctxKey{}, 1))
				return made{end, func(error) { stop() }}
			},
			err: context.DeadlineExceeded, cause: io.EOF,
		},
		{
			name: "without the parent's cancellation",
			make: func(_ *testing.T, v *Virtual) made {
				top, stop := v.WithCancel(bg)
				end, _ := v.WithCancel(context.WithoutCancel(top))
				return made{end, stop}
			},
			do: func(_ *Virtual, m made) { m.stop(io.EOF) },
		},
		{
			name: "another clock's",
			make: func(_ *testing.T, v *Virtual) made {
				top, stop := NewVirtual(2).WithCancel(bg)
				end, _ := v.WithCancel(top)
				return made{end, stop}
			},
			do:  func(_ *Virtual, m made) { m.stop(io.EOF) },
			err: context.Canceled, cause: io.EOF,
		},
	}
	for _, early := range []bool{true, false} { // is Done asked for before or after?
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				v, _ := newJournal(t)
				m := row.make(t, v)
				child, stop := v.WithCancel(context.WithValue(m.ctx, ctxKey{}, "below"))
				defer stop(nil)
				stdChild := std(t, m.ctx)
				var done <-chan struct{}
				if early {
					done = m.ctx.Done()
				}
				if row.do != nil {
					row.do(v, m)
				}
				v.RunUntil(v.Now()) // the look at foreign contexts after an event
				for name, ctx := range map[string]context.Context{"itself": m.ctx, "virtual child": child, "child": stdChild} {
					if err := ctx.Err(); err != row.err { //nolint:errorlint // identity is promised
						t.Errorf("%s: error %v, want %v", name, err, row.err)
					}
					if cause := context.Cause(ctx); cause != row.cause { //nolint:errorlint // identity is promised
						t.Errorf("%s: cause %v, want %v", name, cause, row.cause)
					}
					if got := isClosed(ctx.Done()); got != (row.err != nil) {
						t.Errorf("%s: done %v", name, got)
					}
				}
				if early && done != m.ctx.Done() {
					t.Error("Done changed")
				}
			})
		}
	}
}

// made is a context under test and what ends it.
type made struct {
	ctx  context.Context
	stop func(error)
}

type maker func(t *testing.T, v *Virtual) made

func withCancel(parent context.Context) maker {
	return func(_ *testing.T, v *Virtual) made {
		ctx, stop := v.WithCancel(parent)
		return made{ctx, stop}
	}
}

func withTimeout(parent context.Context, d time.Duration) maker {
	return func(_ *testing.T, v *Virtual) made {
		ctx, stop := v.WithTimeout(parent, d)
		return made{ctx, func(error) { stop() }}
	}
}

// std is a cancellable child from package context, under a value.
func std(t *testing.T, parent context.Context) context.Context {
	ctx, cancel := context.WithCancel(context.WithValue(parent, ctxKey{}, "below"))
	t.Cleanup(cancel)
	return ctx
}

func isClosed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func TestContextDeadline(t *testing.T) {
	v := NewVirtual(1)
	v.RunUntil(epoch.Add(time.Second))
	at := func(d time.Duration) time.Time { return epoch.Add(time.Second + d) }
	two, stop := v.WithTimeout(bg, 2*ms)
	defer stop()
	foreign, stopForeign := context.WithDeadline(two, at(time.Hour))
	defer stopForeign()
	open, stopOpen := v.WithCancel(bg)
	defer stopOpen(nil)
	rows := []struct {
		name   string
		parent context.Context
		d      time.Duration
		want   time.Time
		timers int // armed by this one
	}{
		{"own", bg, ms, at(ms), 1},
		{"own, under one without", open, ms, at(ms), 1},
		{"earlier than the parent's", two, ms, at(ms), 1},
		{"later than the parent's", two, 3 * ms, at(2 * ms), 0},
		{"the same as the parent's", two, 2 * ms, at(2 * ms), 0},
		{"later than the one above a foreign parent", foreign, 3 * ms, at(2 * ms), 1},
		{"earlier than the one above a foreign parent", foreign, ms, at(ms), 1},
		{"already over", two, -ms, at(-ms), 0},
		{"endless, under a deadline", two, math.MaxInt64, at(2 * ms), 0},
		{"endless", bg, math.MaxInt64, time.Time{}, 0},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			before := len(v.timers.heap)
			ctx, stop := v.WithTimeout(row.parent, row.d)
			got, ok := ctx.Deadline()
			if !got.Equal(row.want) || ok == row.want.IsZero() {
				t.Errorf("deadline %v %v, want %v", got, ok, row.want)
			}
			inherited, inner := v.WithCancel(ctx)
			if again, ok2 := inherited.Deadline(); !again.Equal(got) || ok2 != ok {
				t.Errorf("the child says %v %v", again, ok2)
			}
			if n := len(v.timers.heap) - before; n != row.timers {
				t.Errorf("%d timers armed, want %d", n, row.timers)
			}
			inner(nil)
			stop()
			if n := len(v.timers.heap); n != before {
				t.Errorf("%d timers after the cancellation, %d before", n, before)
			}
		})
	}
}

func TestContextValue(t *testing.T) {
	v := NewVirtual(1)
	ctx, stop := v.WithCancel(context.WithValue(bg, ctxKey{}, 7))
	for range 2 { // open, then ended
		if got := ctx.Value(ctxKey{}); got != 7 {
			t.Errorf("got %v", got)
		}
		if got := ctx.Value("no such key"); got != nil {
			t.Errorf("got %v", got)
		}
		stop(io.EOF)
	}
}

// TestContextTreeOrder: an end reaches children and sleepers in the order in
// which they came, at one instant, and each once.
func TestContextTreeOrder(t *testing.T) {
	v, j := newJournal(t)
	top, stop := v.WithCancel(bg)
	sleep := func(name string, ctx context.Context) {
		v.Go(func() { j.add("%s: %v, %v", name, v.Sleep(ctx, time.Hour), context.Cause(ctx)) })
	}
	a, _ := v.WithTimeout(top, 10*ms)
	sleep("a", a)
	b, stopB := v.WithCancel(a)
	sleep("b", b)
	sleep("top", top)
	sleep("b, under a value", context.WithValue(b, ctxKey{}, 1))
	v.Go(func() {
		_ = v.Sleep(bg, ms)
		stopB(io.EOF)
		j.add("b is cancelled")
		_ = v.Sleep(bg, ms)
		stop(io.ErrClosedPipe)
		if a.Err() == nil || !isClosed(a.Done()) {
			t.Error("a child outlived its parent's cancel function")
		}
	})
	v.Wait()
	j.want(t,
		"1ms b is cancelled",
		"1ms b: context canceled, EOF",
		"1ms b, under a value: context canceled, EOF",
		"2ms a: context canceled, io: read/write on closed pipe",
		"2ms top: context canceled, io: read/write on closed pipe",
	)
	if n := len(v.timers.heap); n != 0 || !v.Now().Equal(epoch.Add(2*ms)) {
		t.Errorf("%d timers remain, and it is %v", n, v.Now())
	}
}

// TestForeignContexts: what package context cancels is noticed at the instant
// at which a coroutine did it.
func TestForeignContexts(t *testing.T) {
	v, j := newJournal(t)
	top, _ := v.WithTimeout(bg, time.Hour)
	plain, stopPlain := context.WithCancel(bg)
	below, stopBelow := context.WithCancel(std(t, top)) // two levels below a virtual one
	sleep := func(name string, ctx context.Context) {
		v.Go(func() { j.add("%s: %v", name, v.Sleep(ctx, 3*time.Hour)) })
	}
	for range 2 {
		sleep("plain", plain)
		sleep("below", below)
	}
	sleep("beside", std(t, top))
	under, _ := v.WithCancel(plain)
	sleep("virtual, under plain", under)
	aside, _ := v.WithCancel(plain)
	elsewhere, _ := NewVirtual(2).WithCancel(plain)
	sleep("another clock's, under plain", elsewhere)
	v.Go(func() {
		_ = v.Sleep(bg, ms)
		stopPlain()
		if !isClosed(under.Done()) || aside.Err() == nil {
			t.Error("a virtual child of a foreign context does not know that it ended")
		}
		j.add("plain is cancelled")
		_ = v.Sleep(bg, ms)
		stopBelow()
	})
	v.Wait()
	j.want(t,
		"1ms plain is cancelled",
		"1ms virtual, under plain: context canceled", // it was there first
		"1ms plain: context canceled",
		"1ms plain: context canceled",
		"1ms another clock's, under plain: context canceled",
		"2ms below: context canceled",
		"2ms below: context canceled",
		"1h0m0s beside: context deadline exceeded",
	)
	if n := len(v.foreign.list) + len(v.foreign.byDone); n != 0 {
		t.Errorf("%d foreign contexts are still watched", n)
	}
}

// lookBack is a foreign context whose Err asks its virtual parent.
type lookBack struct {
	context.Context
	done chan struct{}
}

func (l lookBack) Done() <-chan struct{} { return l.done }

func TestForeignContextThatAsksItsParent(t *testing.T) {
	v, j := newJournal(t)
	top, _ := v.WithTimeout(bg, ms)
	v.Run(func() { j.add("%v", v.Sleep(lookBack{top, make(chan struct{})}, time.Hour)) })
	j.want(t, "1ms context deadline exceeded")
}

func TestContextsLeaveTheirParent(t *testing.T) {
	v, _ := newJournal(t)
	foreign, stopForeign := context.WithCancel(bg)
	defer stopForeign()
	top, stop := v.WithCancel(bg)
	defer stop(nil)
	for _, parent := range []context.Context{top, foreign, std(t, top)} {
		v.Run(func() {
			for range 100 {
				child, cancel := v.WithTimeout(parent, time.Hour)
				v.Go(func() { _ = v.Sleep(child, time.Hour) })
				_ = v.Sleep(parent, ms)
				cancel()
				short, cancelShort := v.WithTimeout(parent, ms)
				_ = v.Sleep(short, time.Hour)
				cancelShort()
			}
		})
		if c := top.(*virtualCtx); c.subs.first != nil || c.subs.last != nil {
			t.Error("children stayed with the virtual parent")
		}
		if n := len(v.foreign.list) + len(v.foreign.byDone); n != 0 {
			t.Errorf("%d foreign contexts are still watched", n)
		}
	}
}

// A term is like WithTimeout's context, each time anew, in the same memory.
func TestTerm(t *testing.T) {
	v := NewVirtual(1)
	defer v.Close()
	var term Term
	var ends []error
	v.Run(func() {
		for _, d := range []time.Duration{time.Second, 3 * time.Second, 0, time.Second} {
			ctx := term.Begin(context.Background(), v, d)
			if at, ok := ctx.Deadline(); !ok || at.Sub(v.Now()) != d {
				t.Errorf("%v: the deadline is in %v, %t", d, at.Sub(v.Now()), ok)
			}
			ends = append(ends, v.Sleep(ctx, 2*time.Second))
			term.End()
			if ctx.Err() == nil {
				t.Errorf("%v: it has ended without an error", d)
			}
		}
	})
	want := []error{context.DeadlineExceeded, nil, context.DeadlineExceeded, context.DeadlineExceeded}
	if !slices.Equal(ends, want) {
		t.Errorf("got %v, want %v", ends, want)
	}
	if n := testing.AllocsPerRun(100, func() {
		term.Begin(context.Background(), v, time.Second)
		term.End()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
