package hystrix

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
)

// world is a registry in a test's bubble.
type world struct {
	t *testing.T
	*registry
}

// in runs f in virtual time, with the command "x" configured.
func in(t *testing.T, cfg CommandConfig, f func(t *testing.T, w world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := world{t, newRegistry(clock.System)}
		if err := w.configure("x", cfg); err != nil {
			t.Fatal(err)
		}
		f(t, w)
	})
}

func (w world) doC(ctx context.Context, run func(context.Context) error) error {
	return w.do(&execution{ctx: ctx, run: run}, "x", nil)
}

func (w world) plain(run func() error) error {
	x, _ := plain(run, nil)
	return w.do(x, "x", nil)
}

func (w world) command() *Command {
	w.t.Helper()
	c, _, err := w.get("x")
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// want is the error itself, as code that compares knows it.
func (w world) want(got, want error) {
	w.t.Helper()
	if got != want { //nolint:errorlint // that they are equal is the point
		w.t.Errorf("got %v, want %v", got, want)
	}
}

func TestErrorsAreTheLibrarysOwn(t *testing.T) {
	in(t, CommandConfig{Timeout: 100, MaxConcurrentRequests: 1, RequestVolumeThreshold: 2}, func(t *testing.T, w world) {
		w.want(w.plain(succeed), nil)
		w.want(w.plain(fail), errRun)
		w.want(w.plain(succeed), ErrCircuitOpen) // 50 %
		w.command().Circuit().Reset(breaker.Reason{})
		release := make(chan struct{})
		w.want(w.plain(func() error { <-release; return nil }), ErrTimeout)
		w.want(w.plain(succeed), ErrMaxConcurrency)
		close(release)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		ran := false
		w.want(w.doC(ctx, func(context.Context) error { ran = true; return nil }), context.Canceled)
		if ran {
			t.Error("a function ran under a context that had ended")
		}
	})
}

// Each of them goes to the fallback, with the caller's context.
func TestFallback(t *testing.T) {
	type key struct{}
	errSecond := errors.New("nothing cached")
	in(t, CommandConfig{Timeout: 100, MaxConcurrentRequests: 1, RequestVolumeThreshold: 100}, func(t *testing.T, w world) {
		ctx := context.WithValue(t.Context(), key{}, "the caller's")
		ended, cancel := context.WithCancel(ctx)
		cancel()
		release := make(chan struct{})
		for _, tt := range []struct {
			name string
			ctx  context.Context
			run  func(context.Context) error
			want error
		}{
			{"failed", ctx, func(context.Context) error { return errRun }, errRun},
			{"cancelled", ended, func(context.Context) error { return nil }, context.Canceled},
			{"timed out", ctx, func(context.Context) error { <-release; return nil }, ErrTimeout},
			{"full", ctx, func(context.Context) error { return nil }, ErrMaxConcurrency},
			{"open", ctx, func(context.Context) error { return nil }, ErrCircuitOpen},
		} {
			if tt.want == ErrCircuitOpen { //nolint:errorlint // the row's own
				w.command().Circuit().Trip(breaker.Reason{})
			}
			for _, second := range []error{nil, errSecond} {
				if tt.want == ErrTimeout && second != nil { //nolint:errorlint // the row's own
					continue // the place is taken
				}
				err := w.do(&execution{ctx: tt.ctx, run: tt.run}, "x", func(ctx context.Context, err error) error {
					w.want(err, tt.want)
					if ctx.Value(key{}) != "the caller's" {
						t.Errorf("%s: not the caller's context", tt.name)
					}
					return second
				})
				if second == nil {
					w.want(err, nil)
				} else if !errors.Is(err, tt.want) || !errors.Is(err, errSecond) {
					t.Errorf("%s: %v matches not both", tt.name, err)
				}
			}
		}
		close(release)
	})
}

// The function's context ends at the timeout and with the caller's, and is
// told why; it does not end because the command has.
func TestContextOfTheFunction(t *testing.T) {
	in(t, CommandConfig{Timeout: 100}, func(t *testing.T, w world) {
		type ending struct{ err, cause error }
		ended := make(chan ending, 1)
		hang := func(ctx context.Context) error {
			<-ctx.Done()
			ended <- ending{ctx.Err(), context.Cause(ctx)}
			return ctx.Err()
		}
		w.want(w.doC(t.Context(), hang), ErrTimeout)
		if e := <-ended; e.err != context.Canceled || e.cause != ErrTimeout { //nolint:errorlint // the very ones
			t.Errorf("at the timeout: %v, because of %v", e.err, e.cause)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		w.want(w.doC(ctx, hang), context.DeadlineExceeded)
		if e := <-ended; e.err != context.DeadlineExceeded { //nolint:errorlint // the very one
			t.Errorf("at the caller's deadline: %v", e.err)
		}
		why := errors.New("changed my mind")
		cancelled, cancelCause := context.WithCancelCause(t.Context())
		time.AfterFunc(50*time.Millisecond, func() { cancelCause(why) })
		w.want(w.doC(cancelled, hang), context.Canceled)
		if e := <-ended; e.cause != why { //nolint:errorlint // the very one
			t.Errorf("cancelled: because of %v", e.cause)
		}
		synctest.Wait()
		if n := w.command().Running(); n != 0 {
			t.Errorf("%d places are taken", n)
		}

		for _, result := range []error{nil, errRun} {
			caller, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			var kept, derived context.Context
			w.want(w.doC(caller, func(ctx context.Context) error {
				kept = ctx
				derived = context.WithValue(ctx, ending{}, 1)
				return result
			}), result)
			wait(time.Second)
			if kept.Err() != nil || derived.Err() != nil {
				t.Errorf("after %v the context of what the function began has ended: %v", result, kept.Err())
			}
			if d, ok := kept.Deadline(); !ok || time.Until(d) <= 0 {
				t.Errorf("its deadline is %v, %v, want the caller's", d, ok)
			}
		}
	})
}

// A context that lives long does not fill up with what ran under it.
func TestNothingHangsOnTheCallersContext(t *testing.T) {
	r, _ := ours()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var live atomic.Int64
	const n = 1000
	for range n {
		_ = r.do(&execution{ctx: ctx, run: func(ctx context.Context) error {
			done, cancel := context.WithCancel(ctx) // derived from it, and ended as it should be
			cancel()
			<-done.Done()
			live.Add(1)
			runtime.AddCleanup(ctx.(*lasting), func(int) { live.Add(-1) }, 0)
			return nil
		}}, "x", nil)
	}
	for i := 0; i < 100 && live.Load() > 5; i++ {
		runtime.GC()
		runtime.Gosched()
		<-time.After(time.Millisecond)
	}
	if left := live.Load(); left > 5 {
		t.Errorf("%d of %d contexts are still referred to", left, n)
	}
}

// What a function does to its goroutine it does to its caller's.
func TestPanicAndGoexit(t *testing.T) {
	in(t, CommandConfig{MaxConcurrentRequests: 1, Timeout: 100}, func(t *testing.T, w world) {
		errPanic := errors.New("thrown")
		func() {
			defer func() { w.want(recover().(error), errPanic) }()
			w.want(w.plain(func() error { panic(errPanic) }), nil)
		}()
		returned := true
		var wg sync.WaitGroup
		wg.Go(func() {
			returned = false
			_ = w.plain(func() error { runtime.Goexit(); return nil })
			returned = true
		})
		wg.Wait()
		if returned {
			t.Error("runtime.Goexit of the function did not end the caller's goroutine")
		}

		// Go has no caller to throw at.
		asked := false
		fallback := func(context.Context, error) error { asked = true; return nil }
		throw := func(context.Context) error { panic(errPanic) }
		err := <-w.start(&execution{ctx: t.Context(), run: throw}, "x", fallback)
		var p *PanicError
		if !errors.As(err, &p) || !errors.Is(err, errPanic) || !strings.Contains(string(p.Stack), "TestPanicAndGoexit") || asked {
			t.Errorf("Go: %v, fallback asked: %v; stack:\n%s", err, asked, p.Stack)
		}
		err = <-w.start(&execution{ctx: t.Context(), run: func(context.Context) error { runtime.Goexit(); return nil }}, "x", nil)
		if !errors.As(err, &p) || p.Value != nil || p.Error() == "" {
			t.Errorf("Go, after Goexit: %v", err)
		}
		err = <-w.start(&execution{ctx: t.Context(), run: func(context.Context) error { return errRun }}, "x",
			func(context.Context, error) error { panic("in the fallback") })
		if !errors.As(err, &p) || p.Value != "in the fallback" || !strings.Contains(string(p.Stack), "TestPanicAndGoexit") {
			t.Errorf("Go, after a panic in the fallback: %v", err)
		}

		// A function that was left has nobody to throw at.
		release := make(chan struct{})
		w.want(w.plain(func() error { <-release; panic("late") }), ErrTimeout)
		w.want(w.plain(succeed), ErrMaxConcurrency)
		close(release)
		synctest.Wait()
		w.want(w.plain(succeed), nil)
	})
}

// Panics say nothing about the service, and leave neither a place nor a probe
// behind.
func TestPanicsOpenNothing(t *testing.T) {
	in(t, CommandConfig{RequestVolumeThreshold: 5}, func(t *testing.T, w world) {
		throw := func() {
			defer func() { _ = recover() }()
			_ = w.plain(func() error { panic("op") })
		}
		for range 100 {
			throw()
		}
		w.want(w.plain(succeed), nil)
		w.command().Circuit().Trip(breaker.Reason{})
		wait(5*time.Second + 1)
		throw()
		w.want(w.plain(succeed), nil)
		if w.command().IsOpen() || w.command().Running() != 0 {
			t.Errorf("open: %v, running: %d", w.command().IsOpen(), w.command().Running())
		}
	})
}

func TestGo(t *testing.T) {
	in(t, CommandConfig{Timeout: 100}, func(t *testing.T, w world) {
		errs := w.start(&execution{ctx: t.Context(), run: func(context.Context) error { return nil }}, "x", nil)
		synctest.Wait()
		select {
		case err := <-errs:
			t.Error("of a success the channel got", err)
		default:
		}
		w.want(<-w.start(&execution{ctx: t.Context(), run: func(context.Context) error { return errRun }}, "x", nil), errRun)
		// Nobody has to listen.
		for range 100 {
			w.start(&execution{ctx: t.Context(), run: func(context.Context) error { return errRun }}, "x", nil)
		}
	})
}

// What times out has failed, also the first of its kind; what the caller gave
// up, at once or by a deadline that was too short, has not.
func TestWhatOpensACommand(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for _, tt := range []struct {
		name  string
		limit time.Duration // the caller's
		want  error
		opens bool
	}{
		{"timeouts", time.Hour, ErrTimeout, true},
		{"short deadlines", 50 * time.Millisecond, context.DeadlineExceeded, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in(t, CommandConfig{RequestVolumeThreshold: 5, Timeout: 100}, func(t *testing.T, w world) {
				for range 5 {
					ctx, cancel := context.WithTimeout(t.Context(), tt.limit)
					w.want(w.doC(ctx, hang), tt.want)
					cancel()
				}
				if got := w.command().IsOpen(); got != tt.opens {
					t.Errorf("open: %v, want %v", got, tt.opens)
				}
			})
		})
	}
}
