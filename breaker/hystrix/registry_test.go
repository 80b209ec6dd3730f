package hystrix

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/resilience"
)

func TestConfigure(t *testing.T) {
	in(t, CommandConfig{RequestVolumeThreshold: 3}, func(t *testing.T, w world) {
		for range 2 {
			_ = w.plain(fail)
		}
		if err := w.configure("x", CommandConfig{RequestVolumeThreshold: 4, SleepWindow: 1000, Timeout: 50}); err != nil {
			t.Fatal(err)
		}
		_ = w.plain(fail)
		if w.command().IsOpen() {
			t.Error("it goes by the old volume")
		}
		_ = w.plain(fail)
		if !w.command().IsOpen() {
			t.Error("what was on record is lost, or the new volume is not in force")
		}
		if sn := w.command().Circuit().Snapshot(); sn.OpenFor != time.Second+1 || sn.MinCalls != 4 || sn.Key != "x" {
			t.Errorf("%+v", sn)
		}
		wait(time.Second + 1)
		start := time.Now()
		w.want(w.doC(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return nil }), ErrTimeout)
		if d := time.Since(start); d != 50*time.Millisecond {
			t.Errorf("timed out after %v, want 50ms", d)
		}

		before := w.command().client.Settings()
		err := w.configure("x", CommandConfig{Timeout: -1, SleepWindow: -2, MaxConcurrentRequests: -3, RequestVolumeThreshold: -4, ErrorPercentThreshold: -5})
		if n := strings.Count(fmt.Sprint(err), "CommandConfig."); n != 5 {
			t.Errorf("%d fields are wrong, want all 5:\n%v", n, err)
		}
		var f *breaker.FieldError
		if !errors.As(err, &f) || f.Field != "CommandConfig.Timeout" || f.Value != -1 {
			t.Errorf("%+v", f)
		}
		if after := w.command().client.Settings(); !reflect.DeepEqual(after, before) {
			t.Errorf("a wrong configuration changed\n%+v to\n%+v", before, after)
		}
	})
}

func TestFlush(t *testing.T) {
	in(t, CommandConfig{RequestVolumeThreshold: 2, MaxConcurrentRequests: 1}, func(t *testing.T, w world) {
		for range 2 {
			_ = w.plain(fail)
		}
		w.want(w.plain(succeed), ErrCircuitOpen)
		old := w.command()
		w.flush()
		w.want(w.plain(succeed), nil)
		if c, made, err := w.get("x"); c == old || made || err != nil {
			t.Errorf("after Flush: %p (was %p), made %v, %v", c, old, made, err)
		}
		if n := w.command().Circuit().Snapshot().MinCalls; n != 2 {
			t.Errorf("the configuration is gone: it takes %d calls to open", n)
		}
		release := make(chan struct{})
		ended := make(chan error, 1)
		go func() { ended <- w.plain(func() error { <-release; return errRun }) }()
		synctest.Wait()
		w.flush()
		w.want(w.plain(succeed), nil) // a new command, with its place free
		close(release)
		w.want(<-ended, errRun)

		if _, made, err := w.get("unknown"); !made || err != nil {
			t.Error("GetCircuit:", made, err)
		}
		w.flush()
		if names := slices.Collect(keysOf(w.entries)); !slices.Equal(names, []string{"x"}) {
			t.Errorf("after Flush there are %v, want what was configured", names)
		}
	})
}

func keysOf[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// An observer hears of commands as of clients.
func TestObserve(t *testing.T) {
	in(t, CommandConfig{RequestVolumeThreshold: 2}, func(t *testing.T, w world) {
		var heard []string
		w.observer = resilience.ObserverFunc(func(e resilience.Event) {
			if e.Service != "x" {
				t.Errorf("of service %q: %v", e.Service, e.Kind)
			}
			heard = append(heard, fmt.Sprintf("%v %v", e.Kind, e.Err != nil))
			if e.Kind != resilience.ClientClosed {
				_, _, _ = w.get("x") // an observer may
			}
		})
		w.want(w.plain(succeed), nil)
		x, second := plain(fail, func(error) error { return nil })
		w.want(w.do(x, "x", second), nil)
		w.flush()
		want := []string{
			"node false", "client opened false", "attempt done false", "call done false",
			"attempt done true", "call done true", "service breaker false", "fallback done false", "client closed false",
		}
		if !slices.Equal(heard, want) {
			t.Errorf("heard %q, want %q", heard, want)
		}
	})
}

// Many callers, timeouts, flushes and configurations at once.
func TestStress(t *testing.T) {
	r := newRegistry(clock.System)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 300 {
				name := fmt.Sprint("x", k%3)
				switch {
				case i == 0 && k%50 == 0:
					r.flush()
				case i == 1:
					if err := r.configure(name, CommandConfig{Timeout: 1 + k%5, MaxConcurrentRequests: 1 + k%4}); err != nil {
						t.Error(err)
					}
				default:
					err := r.do(&execution{ctx: t.Context(), run: func(ctx context.Context) error {
						if k%10 == 0 {
							<-ctx.Done()
							return ctx.Err()
						}
						if k%7 == 0 {
							return errRun
						}
						return nil
					}}, name, nil)
					known := []error{nil, errRun, ErrTimeout, ErrCircuitOpen, ErrMaxConcurrency}
					if !slices.Contains(known, err) {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for name, e := range r.entries {
		if e.command == nil {
			continue
		}
		settled(func() bool { return e.command.Running() == 0 })
		if n := e.command.Running(); n != 0 {
			t.Errorf("%s: %d places are taken", name, n)
		}
	}
}
