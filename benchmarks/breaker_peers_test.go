package benchmarks_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afex/hystrix-go/hystrix"
	"github.com/cep21/circuit/v4"
	resiliency "github.com/eapache/go-resiliency/breaker"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	gobreaker1 "github.com/sony/gobreaker"
	gobreaker2 "github.com/sony/gobreaker/v2"
)

var errPeer = errors.New("failure")

// rulers say how fast the machine is at the moment.
func rulers() []breakerStack {
	var n atomic.Int64
	var mu sync.Mutex
	var pairs int
	begin := time.Now()
	return []breakerStack{
		{name: "empty", ok: func() bool { return true }},
		{name: "atomic-add", ok: func() bool { return n.Add(1) > 0 }},
		{name: "mutex", ok: func() bool { mu.Lock(); pairs++; mu.Unlock(); return true }},
		{name: "clock", ok: func() bool { return time.Since(begin) > 0 }, rejected: func() bool { return time.Since(begin) > 0 }},
	}
}

// peerBreakers are the other breakers, each with what its defaults mean by a
// healthy call, and opened by the failures it needs for that.
func peerBreakers(tb testing.TB) []breakerStack {
	tb.Helper()
	return []breakerStack{
		gobreakerV1(), gobreakerV2(),
		failsafeBreaker("failsafe", circuitbreaker.NewBuilder[any]().WithFailureThresholdRatio(50, 100)),
		failsafeBreaker("failsafe-window", circuitbreaker.NewBuilder[any]().WithFailureRateThreshold(0.5, 20, 10*time.Second)),
		cep21(), goResiliency(), hystrixGo(tb),
	}
}

func gobreakerV1() breakerStack {
	closed, open := gobreaker1.NewCircuitBreaker(gobreaker1.Settings{}), gobreaker1.NewCircuitBreaker(gobreaker1.Settings{Timeout: time.Hour})
	good := func() (any, error) { return nil, nil }
	for range 10 {
		_, _ = open.Execute(func() (any, error) { return nil, errPeer })
	}
	return breakerStack{
		name:     "gobreaker-v1",
		ok:       func() bool { _, err := closed.Execute(good); return err == nil },
		rejected: func() bool { _, err := open.Execute(good); return errors.Is(err, gobreaker1.ErrOpenState) },
	}
}

func gobreakerV2() breakerStack {
	closed := gobreaker2.NewCircuitBreaker[any](gobreaker2.Settings{})
	open := gobreaker2.NewCircuitBreaker[any](gobreaker2.Settings{Timeout: time.Hour})
	good := func() (any, error) { return nil, nil }
	for range 10 {
		_, _ = open.Execute(func() (any, error) { return nil, errPeer })
	}
	return breakerStack{
		name:     "gobreaker-v2",
		ok:       func() bool { _, err := closed.Execute(good); return err == nil },
		rejected: func() bool { _, err := open.Execute(good); return errors.Is(err, gobreaker2.ErrOpenState) },
	}
}

// failsafeBreaker is called by hand, which is its fastest way.
func failsafeBreaker(name string, builder circuitbreaker.Builder[any]) breakerStack {
	builder = builder.WithDelay(time.Hour)
	closed, open := builder.Build(), builder.Build()
	open.Open()
	return breakerStack{
		name: name,
		ok: func() bool {
			ok := closed.TryAcquirePermit()
			closed.RecordSuccess()
			return ok
		},
		rejected: func() bool { return !open.TryAcquirePermit() },
	}
}

func cep21() breakerStack {
	ctx := context.Background()
	closed, open := circuit.NewCircuitFromConfig("closed", circuit.Config{}), circuit.NewCircuitFromConfig("open", circuit.Config{})
	open.OpenCircuit(ctx)
	good := func(context.Context) error { return nil }
	return breakerStack{
		name:     "circuit",
		ok:       func() bool { return closed.Execute(ctx, good, nil) == nil },
		rejected: func() bool { return open.Execute(ctx, good, nil) != nil },
	}
}

func goResiliency() breakerStack {
	closed, open := resiliency.New(5, 1, time.Hour), resiliency.New(5, 1, time.Hour)
	good := func() error { return nil }
	for range 5 {
		_ = open.Run(func() error { return errPeer })
	}
	return breakerStack{
		name:     "go-resiliency",
		ok:       func() bool { return closed.Run(good) == nil },
		rejected: func() bool { return errors.Is(open.Run(good), resiliency.ErrBreakerOpen) },
	}
}

// hystrixGo keeps its circuits in a registry and learns of failures later, by a
// channel. Its tickets come back after Do has returned, so it gets many.
func hystrixGo(tb testing.TB) breakerStack {
	tb.Helper()
	hystrix.ConfigureCommand("bench-closed", hystrix.CommandConfig{MaxConcurrentRequests: 100_000, Timeout: 60_000})
	hystrix.ConfigureCommand("bench-open", hystrix.CommandConfig{RequestVolumeThreshold: 1, SleepWindow: 3_600_000, Timeout: 60_000})
	good := func() error { return nil }
	open := false
	for deadline := time.Now().Add(5 * time.Second); !open && time.Now().Before(deadline); {
		open = errors.Is(hystrix.Do("bench-open", func() error { return errPeer }, nil), hystrix.ErrCircuitOpen)
	}
	if !open {
		tb.Fatal("the circuit of hystrix-go does not open")
	}
	return breakerStack{
		name:     "hystrix",
		ok:       func() bool { return hystrix.Do("bench-closed", good, nil) == nil },
		rejected: func() bool { return hystrix.Do("bench-open", good, nil) != nil },
	}
}
