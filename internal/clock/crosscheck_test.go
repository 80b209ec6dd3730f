package clock

import (
	"context"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// program runs on any clock and writes down what it sees; no two steps of
// different goroutines fall on one instant, where the real order is open.
type program func(c Clock, say func(format string, args ...any))

// programs are run on both clocks and must say the same at the same instants.
var programs = map[string]program{
	"sleeps": func(c Clock, say func(string, ...any)) {
		for _, d := range []time.Duration{ms, 0, -ms, math.MinInt64, time.Hour} {
			say("%v", c.Sleep(bg, d))
		}
	},
	"timeout cuts a sleep": func(c Clock, say func(string, ...any)) {
		ctx, stop := c.WithTimeout(bg, 5*ms)
		defer stop()
		say("%v", c.Sleep(ctx, 3*ms))
		say("%v", c.Sleep(ctx, 3*ms))
		say("%v, %v", c.Sleep(ctx, 3*ms), context.Cause(ctx))
		say("%v", c.Sleep(ctx, 0))
	},
	"timeout cuts an endless sleep": func(c Clock, say func(string, ...any)) {
		ctx, stop := c.WithTimeout(bg, 5*ms)
		defer stop()
		say("%v", c.Sleep(ctx, math.MaxInt64))
	},
	"no time": func(c Clock, say func(string, ...any)) {
		for _, d := range []time.Duration{0, -1, math.MinInt64} {
			ctx, stop := c.WithTimeout(bg, d)
			say("%v, %v, %v", ctx.Err(), context.Cause(ctx), isClosed(ctx.Done()))
			stop()
			say("%v, %v", ctx.Err(), c.Sleep(ctx, ms))
		}
	},
	"cancelled before its timeout": func(c Clock, say func(string, ...any)) {
		ctx, stop := c.WithTimeout(bg, 5*ms)
		_ = c.Sleep(ctx, ms)
		stop()
		say("%v", c.Sleep(ctx, ms))
		_ = c.Sleep(bg, 10*ms)
		say("%v, %v", ctx.Err(), context.Cause(ctx))
	},
	"a parent's earlier deadline": func(c Clock, say func(string, ...any)) {
		start := c.Now()
		parent, stop := c.WithTimeout(bg, 2*ms)
		defer stop()
		ctx, stop2 := c.WithTimeout(context.WithValue(parent, ctxKey{}, 1), 5*ms)
		defer stop2()
		deadline, ok := ctx.Deadline()
		say("%v %v", deadline.Sub(start), ok)
		say("%v, %v", c.Sleep(ctx, time.Hour), context.Cause(ctx))
	},
	"a parent's later deadline": func(c Clock, say func(string, ...any)) {
		start := c.Now()
		parent, stop := c.WithTimeout(bg, 5*ms)
		defer stop()
		ctx, stop2 := c.WithTimeout(parent, 2*ms)
		defer stop2()
		deadline, ok := ctx.Deadline()
		say("%v %v", deadline.Sub(start), ok)
		say("%v, then %v", c.Sleep(ctx, time.Hour), parent.Err())
		say("%v", c.Sleep(parent, time.Hour))
	},
	"a parent already cancelled": func(c Clock, say func(string, ...any)) {
		parent, stop := c.WithCancel(bg)
		stop(io.EOF)
		ctx, stop2 := c.WithTimeout(parent, ms)
		defer stop2()
		child, stop3 := c.WithCancel(ctx)
		stop3(io.ErrClosedPipe)
		say("%v, %v, %v", ctx.Err(), context.Cause(ctx), c.Sleep(child, ms))
		say("%v", context.Cause(child))
	},
	"cancelled by another, with a cause": func(c Clock, say func(string, ...any)) {
		ctx, stop := c.WithCancel(bg)
		c.Go(func() {
			_ = c.Sleep(bg, 3*ms)
			stop(io.EOF)
			stop(io.ErrClosedPipe)
		})
		say("%v, %v", c.Sleep(ctx, time.Hour), context.Cause(ctx))
	},
	"cancelled through package context": func(c Clock, say func(string, ...any)) {
		top, stop := c.WithCancel(bg)
		mid, stopMid := context.WithCancel(context.WithValue(top, ctxKey{}, 1))
		defer stopMid()
		low, stopLow := c.WithTimeout(mid, time.Hour)
		defer stopLow()
		c.Go(func() {
			_ = c.Sleep(bg, 2*ms)
			stop(io.EOF)
		})
		say("%v, %v, %v", c.Sleep(low, 2*time.Hour), context.Cause(low), mid.Err())
	},
	"cancelled in package context": func(c Clock, say func(string, ...any)) {
		top, stopTop := c.WithTimeout(bg, time.Hour)
		defer stopTop()
		mid, stop := context.WithCancelCause(top)
		low, stopLow := c.WithTimeout(mid, time.Hour)
		defer stopLow()
		c.Go(func() {
			_ = c.Sleep(bg, 2*ms)
			stop(io.EOF)
		})
		say("%v, %v, %v", c.Sleep(low, 2*time.Hour), context.Cause(low), top.Err())
		say("%v", c.Sleep(mid, ms))
	},
	"without the parent's end": func(c Clock, say func(string, ...any)) {
		parent, stop := c.WithTimeout(bg, 2*ms)
		defer stop()
		ctx, stop2 := c.WithTimeout(context.WithoutCancel(parent), 4*ms)
		defer stop2()
		say("%v", c.Sleep(ctx, 3*ms))
		say("%v, %v", parent.Err(), c.Sleep(ctx, 3*ms))
	},
	"a callback": func(c Clock, say func(string, ...any)) {
		stop := c.AfterFunc(2*ms, func() { say("called") })
		never := c.AfterFunc(2*ms, func() { say("never") })
		say("%v %v", never(), never())
		_ = c.Sleep(bg, 5*ms)
		say("%v", stop())
		c.AfterFunc(0, func() { say("at once") })
		_ = c.Sleep(bg, ms)
		c.AfterFunc(-ms, func() { say("at once, too") })
		_ = c.Sleep(bg, ms)
	},
	"a callback cancels": func(c Clock, say func(string, ...any)) {
		ctx, stop := c.WithCancel(bg)
		c.AfterFunc(2*ms, func() { stop(io.EOF) })
		say("%v, %v", c.Sleep(ctx, 5*ms), context.Cause(ctx))
	},
	"a hedge": func(c Clock, say func(string, ...any)) {
		ctx, stop := c.WithCancel(bg)
		for i := range 3 {
			c.Go(func() {
				if err := c.Sleep(ctx, time.Duration(10-2*i)*ms); err == nil {
					say("%d won", i)
					stop(fmt.Errorf("%d won", i))
				}
			})
			_ = c.Sleep(bg, ms)
		}
		_ = c.Sleep(ctx, time.Hour)
		_ = c.Sleep(bg, ms)
		say("%v", context.Cause(ctx))
	},
	"Goexit": func(c Clock, say func(string, ...any)) {
		c.Go(func() {
			defer say("deferred")
			_ = c.Sleep(bg, 2*ms)
			runtime.Goexit()
		})
		_ = c.Sleep(bg, 3*ms)
		say("here")
	},
	"a context stays closed, and open": func(c Clock, say func(string, ...any)) {
		a, stopA := c.WithTimeout(bg, ms)
		b, stopB := c.WithCancel(bg)
		defer stopA()
		defer stopB(nil)
		early := a.Done()
		_ = c.Sleep(bg, 2*ms)
		say("%v %v %v", isClosed(early), isClosed(a.Done()), isClosed(b.Done()))
	},
}

// play runs p on c and returns what it said.
func play(c Clock, p program) []string {
	var mu sync.Mutex
	var said []string
	start := c.Now()
	c.Go(func() {
		p(c, func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, fmt.Sprintf("%v "+format, append([]any{c.Now().Sub(start)}, args...)...))
		})
	})
	c.Wait()
	mu.Lock() // callbacks are nobody's goroutines to Wait
	defer mu.Unlock()
	return append(said, fmt.Sprint("Wait returned after ", c.Now().Sub(start)))
}

func TestVirtualAgreesWithTheStandardLibrary(t *testing.T) {
	for name, p := range programs {
		t.Run(name, func(t *testing.T) {
			var want []string
			synctest.Test(t, func(*testing.T) { want = play(new(Real), p) })
			v := NewVirtual(1)
			defer v.Close()
			// A timer that nobody stopped keeps the virtual Wait busy, so the
			// programs stop theirs.
			got := play(v, p)
			if !slices.Equal(got, want) {
				t.Errorf("virtual:\n%s\nreal:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if len(want) < 2 {
				t.Error("the program says nothing")
			}
		})
	}
}
