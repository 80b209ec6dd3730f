package hystrix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/afex/hystrix-go/hystrix"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// Each test here is named after a defect of hystrix-go, shows that the library
// has it, and that the functions of the same names here do not.

// doFunc is Do, the library's or ours.
type doFunc func(name string, run func() error, fallback func(error) error) error

// ours is Do in a registry of its own.
func ours() (*registry, doFunc) {
	r := newRegistry(clock.System)
	return r, func(name string, run func() error, fallback func(error) error) error {
		x, second := plain(run, fallback)
		return r.do(x, name, second)
	}
}

// theirs is the library's.
func theirs(name string, run func() error, fallback func(error) error) error {
	return hystrix.Do(name, run, fallback)
}

var errRun = errors.New("the service is down")

func fail() error    { return errRun }
func succeed() error { return nil }

// bubble runs f in virtual time, in this process.
func bubble[T any](t *testing.T, f func() T) (saw T) {
	t.Helper()
	synctest.Test(t, func(*testing.T) { saw = f() })
	return saw
}

// A name costs two goroutines and some 25 kB, and Flush gives nothing back.
func TestHystrixDefect_GoroutinesSurviveFlush(t *testing.T) {
	const names = 200
	type cost struct{ Goroutines, Bytes int }
	measure := func(do doFunc, flush func()) cost {
		before := runtime.NumGoroutine()
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		heap := m.HeapAlloc + m.StackInuse
		for i := range names {
			for range 3 {
				if err := do(fmt.Sprint("command-", i), succeed, nil); err != nil {
					panic(err)
				}
			}
		}
		flush()
		settled(func() bool { return runtime.NumGoroutine() <= before })
		runtime.GC()
		runtime.ReadMemStats(&m)
		return cost{runtime.NumGoroutine() - before, (int(m.HeapAlloc+m.StackInuse) - int(heap)) / names}
	}
	library := inChild(t, func() cost { return measure(theirs, hystrix.Flush) })
	t.Logf("of %d names the library keeps %d goroutines and %d bytes a name after Flush", names, library.Goroutines, library.Bytes)
	if library.Goroutines != 2*names || library.Bytes < 16_000 {
		t.Errorf("the library keeps %+v; want two goroutines and some 25 kB a name", library)
	}
	r, do := ours()
	got := measure(do, r.flush)
	if got.Goroutines > 0 || got.Bytes > 500 {
		t.Errorf("ours keeps %+v after Flush, want nothing", got)
	}
	if len(r.entries) != 0 {
		t.Errorf("%d entries are left", len(r.entries))
	}
}

// settled yields until ok, or long enough.
func settled(ok func() bool) {
	for i := 0; i < 1000 && !ok(); i++ {
		runtime.Gosched()
		<-time.After(time.Millisecond)
	}
}

// A function that timed out goes on running, and its place is given to
// others: with a limit of 2, 20 run.
func TestHystrixDefect_TimedOutFunctionsPileUp(t *testing.T) {
	pile := func(do doFunc) (running []int) {
		release := make(chan struct{})
		var n atomic.Int64
		saw := make([]int, 4)
		for range 20 {
			err := do("x", func() error {
				n.Add(1)
				<-release
				return nil
			}, nil)
			switch {
			case errors.Is(err, ErrTimeout):
				saw[0]++
			case errors.Is(err, ErrMaxConcurrency):
				saw[1]++
			default:
				saw[2]++
			}
		}
		saw[3] = int(n.Load())
		close(release)
		synctest.Wait()
		return saw
	}
	cfg := CommandConfig{MaxConcurrentRequests: 2, Timeout: 100, RequestVolumeThreshold: 1000}
	library := inBubble(t, func() []int {
		hystrix.ConfigureCommand("x", cfg)
		return pile(theirs)
	})
	if want := []int{20, 0, 0, 20}; !slices.Equal(library, want) {
		t.Errorf("the library: %v timed out, turned away, otherwise, running; want %v", library, want)
	}
	got := bubble(t, func() []int {
		r, do := ours()
		if err := r.configure("x", cfg); err != nil {
			t.Fatal(err)
		}
		saw := pile(do)
		if c, _, _ := r.get("x"); c.Running() != 0 {
			t.Errorf("%d places are taken after all functions have ended", c.Running())
		}
		if err := do("x", succeed, nil); err != nil {
			t.Error("after they have ended:", err)
		}
		return saw
	})
	if want := []int{2, 18, 0, 2}; !slices.Equal(got, want) {
		t.Errorf("ours: %v, want %v", got, want)
	}
}

// A success that comes late closes the circuit within the sleep window.
func TestHystrixDefect_LateSuccessClosesTheCircuit(t *testing.T) {
	late := func(do doFunc) (next bool) {
		slow := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = do("x", func() error { <-slow; return nil }, nil)
		}()
		synctest.Wait()
		for range 5 {
			_ = do("x", fail, nil)
			synctest.Wait()
		}
		if err := do("x", succeed, nil); !errors.Is(err, ErrCircuitOpen) {
			panic(fmt.Sprint("after five failures: ", err))
		}
		close(slow)
		<-done
		synctest.Wait()
		return do("x", succeed, nil) == nil
	}
	cfg := CommandConfig{RequestVolumeThreshold: 5, Timeout: 60_000}
	if !inBubble(t, func() bool {
		hystrix.ConfigureCommand("x", cfg)
		return late(theirs)
	}) {
		t.Error("the library rejects after the late success")
	}
	if bubble(t, func() bool {
		r, do := ours()
		return r.configure("x", cfg) != nil || late(do)
	}) {
		t.Error("ours admits after the late success")
	}
}

// MaxConcurrentRequests is what it was when the command was first used.
func TestHystrixDefect_MaxConcurrentIsFrozen(t *testing.T) {
	parallel := func(do doFunc, configure func(CommandConfig)) []int {
		crowd := func() int {
			var ran atomic.Int64
			release := make(chan struct{})
			for range 10 {
				go func() { _ = do("x", func() error { ran.Add(1); <-release; return nil }, nil) }()
				synctest.Wait()
			}
			close(release)
			synctest.Wait()
			return int(ran.Load())
		}
		var saw []int
		for _, limit := range []int{2, 5, 1} {
			configure(CommandConfig{MaxConcurrentRequests: limit, RequestVolumeThreshold: 1000})
			saw = append(saw, crowd())
		}
		return saw
	}
	library := inBubble(t, func() []int {
		return parallel(theirs, func(cfg CommandConfig) { hystrix.ConfigureCommand("x", cfg) })
	})
	if want := []int{2, 2, 2}; !slices.Equal(library, want) {
		t.Errorf("the library ran %v at once, want %v", library, want)
	}
	got := bubble(t, func() []int {
		r, do := ours()
		return parallel(do, func(cfg CommandConfig) {
			if err := r.configure("x", cfg); err != nil {
				t.Error(err)
			}
		})
	})
	if want := []int{2, 5, 1}; !slices.Equal(got, want) {
		t.Errorf("ours ran %v at once, want %v", got, want)
	}
}

// A panic in a function ends the process.
func TestHystrixDefect_PanicKillsTheProcess(t *testing.T) {
	_, out, err := child(t, func() (saw bool) {
		defer func() { saw = recover() != nil }()
		return hystrix.Do("x", func() error { panic("boom") }, nil) == nil
	})
	if err == nil || !strings.Contains(out, "panic: boom") {
		t.Errorf("the library's process: %v\n%s", err, out)
	}
	_, do := ours()
	thrown := func() (thrown any) {
		defer func() { thrown = recover() }()
		return do("x", func() error { panic("boom") }, nil)
	}()
	if thrown != "boom" {
		t.Errorf("Do: %v, want the panic", thrown)
	}
}

// The error of a fallback is a string: neither it nor what it stands in for
// can be matched.
func TestHystrixDefect_FallbackErrorsLoseIs(t *testing.T) {
	type saw struct {
		Text                string
		Second, First, Type bool
	}
	first := &net.OpError{Op: "read", Err: errRun}
	second := func(error) error { return fmt.Errorf("nothing cached: %w", io.EOF) }
	look := func(do doFunc) saw {
		err := do("x", func() error { return first }, second)
		var op *net.OpError
		return saw{err.Error(), errors.Is(err, io.EOF), errors.Is(err, errRun), errors.As(err, &op)}
	}
	library := inChild(t, func() saw { return look(theirs) })
	_, do := ours()
	got := look(do)
	if library.Second || library.First || library.Type {
		t.Errorf("the library's error matches: %+v", library)
	}
	if !got.Second || !got.First || !got.Type {
		t.Errorf("ours does not match: %+v", got)
	}
	if got.Text != library.Text {
		t.Errorf("ours reads %q, the library's %q", got.Text, library.Text)
	}
}

// Names are never forgotten: who makes them out of what comes from outside
// runs out of memory.
func TestHystrixDefect_UnboundedNames(t *testing.T) {
	const names = 2000
	library := inChild(t, func() int {
		before := runtime.NumGoroutine()
		for i := range names {
			_ = hystrix.Do(fmt.Sprint("tenant-", i), succeed, nil)
		}
		settled(func() bool { return runtime.NumGoroutine() == before+2*names })
		return runtime.NumGoroutine() - before
	})
	if library != 2*names {
		t.Errorf("the library keeps %d goroutines for %d names, want two each", library, names)
	}
	r, do := ours()
	hostile := 200_000
	if testing.Short() {
		hostile = 20_000
	}
	long := strings.Repeat("x", 1<<16)
	ran, refused := 0, 0
	for i := range hostile {
		if err := do(fmt.Sprint("tenant-", i), succeed, nil); err == nil {
			ran++
		} else if errors.Is(err, ErrNameRefused) {
			refused++
		}
	}
	if ran != MaxCommands || refused != hostile-MaxCommands || len(r.entries) != MaxCommands {
		t.Errorf("%d ran and %d were refused, with %d names; want %d names", ran, refused, len(r.entries), MaxCommands)
	}
	if err := do("tenant-0", succeed, nil); err != nil {
		t.Error("a name from before:", err)
	}
	if err := r.configure("one more", CommandConfig{}); !errors.Is(err, ErrNameRefused) {
		t.Error("configuring one more:", err)
	}
	r.flush()
	if err := do(long, succeed, nil); !errors.Is(err, ErrNameRefused) {
		t.Error("a long name:", err)
	}
	asked := false
	if err := do(long, succeed, func(err error) error { asked = errors.Is(err, ErrNameRefused); return nil }); err != nil || !asked {
		t.Error("with a fallback:", err)
	}
	if err := do("after Flush", succeed, nil); err != nil {
		t.Error(err)
	}
}

// A function that gives up by a time of its own looks healthy: it returns
// context.DeadlineExceeded, which the library takes for the caller's.
func TestHystrixDefect_OwnTimeoutsLookHealthy(t *testing.T) {
	run := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	opens := func(do doFunc) bool {
		for range 50 {
			_ = do("x", run, nil)
			synctest.Wait()
		}
		return errors.Is(do("x", succeed, nil), ErrCircuitOpen)
	}
	cfg := CommandConfig{RequestVolumeThreshold: 5}
	if inBubble(t, func() bool {
		hystrix.ConfigureCommand("x", cfg)
		return opens(theirs)
	}) {
		t.Error("the library's circuit opens")
	}
	if !bubble(t, func() bool {
		r, do := ours()
		return r.configure("x", cfg) == nil && opens(do)
	}) {
		t.Error("ours does not open")
	}
}
