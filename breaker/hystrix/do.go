package hystrix

import (
	"context"
	"fmt"
	"runtime/debug"
)

// Do runs the function in the command of that name, and returns nil, or what
// the function returned, or [ErrTimeout], [ErrCircuitOpen], [ErrMaxConcurrency]
// or [ErrNameRefused]. A fallback that is not nil is given that error, and Do
// returns nil if it does, or else an error that matches both.
//
// A function that does not end in time is left to run on its goroutine, and
// keeps its place. A panic in it comes out of Do, without the function's
// stack; after it was left, out of nowhere. Do does not wait in line: who finds
// no place is turned away.
func Do(name string, run func() error, fallback func(error) error) error {
	x, second := plain(run, fallback)
	return commands.do(x, name, second)
}

// DoC is Do with a context. When that ends, DoC returns its error, or gives it
// to the fallback. The function's context ends with it, and at the timeout,
// for as long as DoC waits for the function.
func DoC(ctx context.Context, name string, run func(context.Context) error, fallback func(context.Context, error) error) error {
	return commands.do(&execution{ctx: ctx, run: run}, name, fallback)
}

// Go is Do on a goroutine of its own. The channel gets the error, if there is
// one, and is never closed. A panic is a [*PanicError], which no fallback is
// given.
func Go(name string, run func() error, fallback func(error) error) chan error {
	x, second := plain(run, fallback)
	return commands.start(x, name, second)
}

// GoC is DoC on a goroutine of its own: see [Go].
func GoC(ctx context.Context, name string, run func(context.Context) error, fallback func(context.Context, error) error) chan error {
	return commands.start(&execution{ctx: ctx, run: run}, name, fallback)
}

// plain is an execution without a context.
func plain(run func() error, fallback func(error) error) (x *execution, second func(context.Context, error) error) {
	x = &execution{ctx: context.Background(), run: func(context.Context) error { return run() }, deaf: true}
	if fallback != nil {
		second = func(_ context.Context, err error) error { return fallback(err) }
	}
	return x, second
}

func (r *registry) do(x *execution, name string, fallback func(context.Context, error) error) error {
	c, _, err := r.get(name)
	for err == nil {
		if err = c.guarded(x); err == nil {
			return nil
		}
		if err == errFlushed { //nolint:errorlint // it is ours and not wrapped
			c, _, err = r.get(name)
			continue
		}
		break
	}
	if fallback == nil {
		return err
	}
	second := fallback(x.ctx, err)
	if c != nil {
		c.answered(x, second)
	}
	if second == nil {
		return nil
	}
	return fmt.Errorf("fallback failed with '%w'. run error was '%w'", second, err)
}

func (r *registry) start(x *execution, name string, fallback func(context.Context, error) error) chan error {
	out := make(chan error, 1)
	r.clk.Go(func() {
		returned := false
		defer func() {
			if returned {
				return
			}
			e := &PanicError{Value: recover(), Stack: x.stack}
			if e.Stack == nil { // not the function's
				e.Stack = debug.Stack()
			}
			out <- e
		}()
		if err := r.do(x, name, fallback); err != nil {
			out <- err
		}
		returned = true
	})
	return out
}
