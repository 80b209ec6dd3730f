package benchmarks_test

import (
	"testing"
	"time"

	sony "github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/breaker/gobreaker"
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

func engineStacks(tb testing.TB) []breakerStack {
	tb.Helper()
	return []breakerStack{gobreakerV1(), gobreakerV2(), gobreakerAdapter(tb)}
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
