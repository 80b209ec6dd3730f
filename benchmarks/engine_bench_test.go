package benchmarks_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	sony "github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/breaker/gobreaker"
	"github.com/holdfast-go/holdfast/breaker/hystrix"
)

// BenchmarkEngine is a healthy call through the engines that are not ours,
// bare and behind breaker.Breaker, in one run.
func BenchmarkEngine(b *testing.B) {
	for _, s := range engineStacks(b) {
		runBreaker(b, s.name, s.ok)
	}
}

// BenchmarkEngineReject is the same where they are open.
func BenchmarkEngineReject(b *testing.B) {
	for _, s := range engineStacks(b) {
		runBreaker(b, s.name, s.rejected)
	}
}

// BenchmarkEngineRatio is the adapter's healthy call as a multiple of the bare
// library's. Batches of the two alternate and the middle of their ratios
// counts, so that it holds on a machine that does other things as well.
func BenchmarkEngineRatio(b *testing.B) {
	adapter := gobreakerAdapter(b)
	for _, bare := range []breakerStack{gobreakerV1(), gobreakerV2()} {
		b.Run("bare="+bare.name, func(b *testing.B) {
			b.ReportAllocs()
			var ratios []float64
			for b.Loop() {
				ratios = append(ratios, batch(b, adapter.ok)/batch(b, bare.ok))
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "×bare")
			b.ReportMetric(0, "ns/op") // of a pair of batches: of no use
		})
	}
}

// batch is how long a batch of calls takes, in seconds.
func batch(b *testing.B, ok func() bool) float64 {
	start := time.Now()
	for range 200 {
		if !ok() {
			b.Fatal("not as expected")
		}
	}
	return time.Since(start).Seconds()
}

func engineStacks(tb testing.TB) []breakerStack {
	tb.Helper()
	return []breakerStack{gobreakerV1(), gobreakerV2(), gobreakerAdapter(tb), hystrixGo(tb), hystrixAdapter(tb), hystrixCommand(tb)}
}

// hystrixAdapter is a circuit of hystrix-go behind breaker.Breaker: what Do
// does besides (tickets, the timeout, two goroutines) is not in it.
func hystrixAdapter(tb testing.TB) breakerStack {
	tb.Helper()
	engine, err := hystrix.NewEngine(hystrix.EngineConfig{Command: hystrix.CommandConfig{RequestVolumeThreshold: 1, SleepWindow: 3_600_000}})
	if err != nil {
		tb.Fatal(err)
	}
	closed, open := engine.New("adapter-closed"), engine.New("adapter-open")
	start := time.Now()
	for deadline := start.Add(5 * time.Second); open.State() != breaker.Open; {
		p, _, _ := open.TryAcquire(start)
		p.Done(breaker.Report{Result: breaker.Failure})
		if time.Now().After(deadline) {
			tb.Fatal("the circuit of hystrix-go does not open")
		}
	}
	return breakerStack{
		name: "holdfast-hystrix-engine",
		ok: func() bool {
			p, _, ok := closed.TryAcquire(start)
			p.Done(breaker.Report{Result: breaker.Success, Start: start})
			return ok
		},
		rejected: func() bool { _, _, ok := open.TryAcquire(start); return !ok },
	}
}

// hystrixCommand is Do of breaker/hystrix, on holdfast's own pieces.
func hystrixCommand(tb testing.TB) breakerStack {
	tb.Helper()
	for name, cfg := range map[string]hystrix.CommandConfig{
		"bench-closed": {MaxConcurrentRequests: 100_000, Timeout: 60_000},
		"bench-open":   {RequestVolumeThreshold: 1, SleepWindow: 3_600_000, Timeout: 60_000},
	} {
		if err := hystrix.ConfigureCommand(name, cfg); err != nil {
			tb.Fatal(err)
		}
	}
	_ = hystrix.Do("bench-open", func() error { return errPeer }, nil)
	good := func() error { return nil }
	return breakerStack{
		name:     "holdfast-hystrix",
		ok:       func() bool { return hystrix.Do("bench-closed", good, nil) == nil },
		rejected: func() bool { return errors.Is(hystrix.Do("bench-open", good, nil), hystrix.ErrCircuitOpen) },
	}
}

func gobreakerAdapter(tb testing.TB) breakerStack {
	tb.Helper()
	engine, err := gobreaker.NewEngine(gobreaker.Config{Settings: sony.Settings{Timeout: time.Hour}})
	if err != nil {
		tb.Fatal(err)
	}
	closed, open := engine.New("closed"), engine.New("open")
	open.(breaker.Tripper).Trip(breaker.Reason{})
	start := time.Now()
	return breakerStack{
		name: "holdfast-gobreaker",
		ok: func() bool {
			p, _, ok := closed.TryAcquire(start)
			p.Done(breaker.Report{Result: breaker.Success})
			return ok
		},
		rejected: func() bool { _, _, ok := open.TryAcquire(start); return !ok },
	}
}
