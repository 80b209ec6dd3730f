package hystrix

import (
	"context"
	"errors"
	"math"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// execution is one function on its way through a command.
type execution struct {
	ctx      context.Context // the caller's
	run      func(context.Context) error
	deaf     bool // run does not look at its context
	command  *Command
	attempts int
	err      error // what came of it; set if attempts is 1
	stack    []byte
}

var (
	errFlushed  = errors.New("hystrix: the command was flushed")
	errFinished = errors.New("the function has ended")
)

var call = resilience.Unsafe("") // there is one attempt

// guarded carries the function out, if breaker and places let it.
func (c *Command) guarded(x *execution) error {
	x.command = c
	err := c.client.Do(x.ctx, call, x.attempt)
	switch {
	case err == nil || x.attempts > 0:
		return x.err
	case errors.Is(err, breaker.ErrOpen):
		return ErrCircuitOpen
	case errors.Is(err, selector.ErrClosed):
		return errFlushed
	case x.ctx != nil && x.ctx.Err() != nil:
		return x.ctx.Err()
	case errors.Is(err, context.DeadlineExceeded): // before the function was begun: it is we who are slow
		return ErrTimeout
	}
	return err
}

// attempt runs the function on a goroutine of its own, and leaves it there
// when the time is up, for the function may not know how to end. What it
// returns is for the breaker.
func (x *execution) attempt(ctx context.Context, _ *selector.Node) error {
	x.attempts = 1
	if !x.command.enter() {
		x.err = ErrMaxConcurrency
		return resilience.Mark(x.err, resilience.Rejected)
	}
	clk := x.command.clk
	finished, finish := clk.WithCancel(ctx)
	defer finish(nil)
	own, stop := x.context()
	o := &ending{}
	clk.Go(func() {
		defer finish(errFinished)
		defer x.command.leave()
		o.run(own, x.run)
	})
	_ = clk.Sleep(finished, math.MaxInt64)
	switch {
	case !errors.Is(context.Cause(finished), errFinished): // o belongs to the goroutine
	case o.returned:
		x.err = o.err
		return x.err
	case o.thrown != nil:
		x.stack = o.stack
		panic(o.thrown)
	default:
		runtime.Goexit()
	}
	if x.err = x.ctx.Err(); x.err != nil {
		stop(context.Cause(x.ctx))
		return x.err
	}
	x.err = ErrTimeout
	stop(x.err)
	return resilience.Mark(x.err, resilience.Ambiguous)
}

// ending is how a function ended. One that has been left has nobody to tell,
// not even of a panic.
type ending struct {
	returned bool
	err      error
	thrown   any
	stack    []byte
}

func (o *ending) run(ctx context.Context, run func(context.Context) error) {
	defer func() {
		if !o.returned {
			o.thrown, o.stack = recover(), debug.Stack()
		}
	}()
	o.err = run(ctx)
	o.returned = true
}

// context is the function's: it ends with the caller's, and at the timeout, as
// long as the command waits for the function. Then it lives on, since what was
// begun with it (a response's body) may outlive the function, as in hystrix,
// where it is the caller's; and it hangs on nothing, so that no caller's context
// fills up with it.
func (x *execution) context() (context.Context, context.CancelCauseFunc) {
	if x.deaf {
		return x.ctx, func(error) {}
	}
	own, stop := x.command.clk.WithCancel(context.WithoutCancel(x.ctx))
	return &lasting{own, x.ctx}, stop
}

type lasting struct {
	context.Context
	caller context.Context
}

// Deadline is the caller's.
func (c *lasting) Deadline() (deadline time.Time, ok bool) { return c.caller.Deadline() }

// Err is the caller's, once the context has ended by it.
func (c *lasting) Err() error {
	err := c.Context.Err()
	if err != nil && c.caller.Err() != nil {
		return c.caller.Err()
	}
	return err
}
