package hystrix

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/afex/hystrix-go/hystrix"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

func mustEngine(cfg EngineConfig) *Engine {
	e, err := NewEngine(cfg)
	if err != nil {
		panic(err)
	}
	return e
}

// However many names come, there are Max circuits with two goroutines each.
func TestEngineIsBounded(t *testing.T) {
	type saw struct {
		Goroutines, Bytes, Native, Circuits int
		Refused, Same, Long, Works          bool
	}
	const most = 20
	got := inChild(t, func() saw {
		e := mustEngine(EngineConfig{Max: most})
		g, err := breaker.NewGroup(breaker.GroupConfig{Engine: e, Max: 64})
		if err != nil {
			panic(err)
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		goroutines, heap := runtime.NumGoroutine(), int(m.HeapAlloc+m.StackInuse)
		s := saw{Works: true}
		for i := range 5000 {
			b := g.Get(fmt.Sprint("tenant-", i))
			if _, ok := b.(*breaker.Circuit); ok {
				s.Native++
			}
			p, _, ok := b.TryAcquire(time.Now())
			p.Done(breaker.Report{Result: breaker.Success})
			s.Works = s.Works && ok
		}
		settled(func() bool { return runtime.NumGoroutine() == goroutines+2*most })
		runtime.GC()
		runtime.ReadMemStats(&m)
		s.Goroutines, s.Bytes, s.Circuits = runtime.NumGoroutine()-goroutines, int(m.HeapAlloc+m.StackInuse)-heap, len(e.circuits)
		_, err = e.Circuit("one more")
		s.Refused = errors.Is(err, ErrNameRefused)
		_, err = mustEngine(EngineConfig{}).Circuit(strings.Repeat("x", 300))
		s.Long = errors.Is(err, ErrNameRefused)
		a, err := e.Circuit("tenant-0")
		s.Same = err == nil && a == e.New("tenant-0")
		return s
	})
	t.Logf("%d circuits keep %d goroutines; they and a group of 64 keep %d bytes", got.Circuits, got.Goroutines, got.Bytes)
	if got.Goroutines != 2*most || got.Circuits != most || got.Bytes > most*40_000+64*1000 {
		t.Errorf("%d goroutines, %d circuits, %d bytes; want %d, %d, and some 25 kB a circuit", got.Goroutines, got.Circuits, got.Bytes, 2*most, most)
	}
	if got.Native != 5000-most || !got.Refused || !got.Same || !got.Long || !got.Works {
		t.Errorf("%+v", got)
	}
}

// The library's circuit as a client's service breaker, with what a dashboard
// reads of it.
func TestServiceEngine(t *testing.T) {
	type saw struct {
		Calls    int
		Open     bool
		After    time.Duration
		Snapshot breaker.Snapshot
		Events   []string
		Closed   bool
	}
	cfg := CommandConfig{RequestVolumeThreshold: 3, SleepWindow: 1000}
	got := inBubble(t, func() (s saw) {
		client, err := resilience.New(resilience.Config{
			Service: "users",
			ServiceEngine: mustEngine(EngineConfig{Command: cfg, OnEvent: func(e breaker.Event) {
				s.Events = append(s.Events, fmt.Sprintf("%v→%v %v %v", e.From, e.To, e.OpenFor, e.Reason.Cause))
			}}),
			Settings: resilience.Settings{Attempts: 1},
		})
		if err != nil {
			panic(err)
		}
		result := errRun
		call := func() error {
			defer synctest.Wait()
			return client.Do(context.Background(), resilience.Safe("get"), func(context.Context, *selector.Node) error { s.Calls++; return result })
		}
		for range 3 {
			_ = call()
		}
		var open *breaker.OpenError
		s.Open = errors.As(call(), &open)
		s.After = open.RetryAfter
		s.Snapshot = client.ServiceBreaker().(breaker.Inspector).Snapshot()
		wait(open.RetryAfter)
		result = nil
		probe := call()
		s.Closed = probe == nil && call() == nil
		return s
	})
	if got.Calls != 5 || !got.Open || got.After != time.Second+1 || !got.Closed {
		t.Errorf("%+v", got)
	}
	want := breaker.Snapshot{
		Key: "users", State: breaker.Open, Rule: "hystrix(50% in 10s, at least 3 calls)", MinCalls: 3, ErrorRate: 0.5,
		OpenFor: time.Second, RetryAt: got.Snapshot.RetryAt,
	}
	if !reflect.DeepEqual(got.Snapshot, want) || got.Snapshot.RetryAt.IsZero() {
		t.Errorf("%+v, want %+v", got.Snapshot, want)
	}
	if want := []string{"closed→open 1s engine", "open→half-open 0s engine", "half-open→closed 0s engine"}; !slices.Equal(got.Events, want) {
		t.Errorf("heard %v, want %v", got.Events, want)
	}
}

// Others may use the name by the library's own functions: the adapter follows.
func TestSharedWithTheLibrary(t *testing.T) {
	states := inBubble(t, func() (states []string) {
		e := mustEngine(EngineConfig{Command: CommandConfig{RequestVolumeThreshold: 3, SleepWindow: 1000}})
		b := e.New("shared")
		see := func() { states = append(states, b.State().String()) }
		other := func(run func() error) {
			_ = hystrix.Do("shared", run, nil)
			synctest.Wait()
		}
		stale, _, _ := b.TryAcquire(time.Now())
		for range 4 {
			other(fail)
		}
		see()
		wait(time.Second + 1)
		other(fail) // takes the probe
		_, after, ok := b.TryAcquire(time.Now())
		states = append(states, fmt.Sprint(after, ok))
		wait(time.Second + 1)
		other(succeed)
		see()
		stale.Done(breaker.Report{Result: breaker.Success})
		p, _, ok := b.TryAcquire(time.Now())
		states = append(states, fmt.Sprint(ok))
		p.Done(breaker.Report{Result: breaker.Success})
		return states
	})
	if want := []string{"open", "0s false", "closed", "true"}; !slices.Equal(states, want) {
		t.Errorf("%v, want %v", states, want)
	}
}
