package benchmarks_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/board"
	"github.com/holdfast-go/holdfast/selector"
)

// BenchmarkCall is a whole healthy call: holdfast picks one of the nodes, asks
// its breaker, counts latency and budget, and does the same whatever the
// number of nodes (many no longer fit into the caches); the peers have one
// breaker under a retry and choose nothing, which is nodes=1.
func BenchmarkCall(b *testing.B) {
	for _, s := range callStacks() {
		name := fmt.Sprintf("stack=%s/nodes=%d", s.name, s.nodes)
		b.Run(name+"/mode=serial", func(b *testing.B) {
			call := s.make(b)
			b.ReportAllocs()
			for b.Loop() {
				if err := call(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/mode=parallel", func(b *testing.B) {
			call := s.make(b)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := call(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkTimeout is the price of an attempt timeout: holdfast with one less
// holdfast without should be near bare, which is what context.WithTimeout and
// its cancel cost by themselves.
func BenchmarkTimeout(b *testing.B) {
	bare := func() error {
		_, cancel := context.WithTimeout(context.Background(), time.Second)
		cancel()
		return nil
	}
	for _, s := range []struct {
		name string
		call func() error
	}{
		{"bare/nodes=1", bare},
		{"holdfast/nodes=3", holdfastCall(b, 3, time.Second, nil)},
		{"holdfast-without/nodes=3", holdfastCall(b, 3, 0, nil)},
	} {
		b.Run("stack="+s.name+"/mode=serial", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := s.call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type callStack struct {
	name  string
	nodes int
	make  func(testing.TB) func() error
}

func callStacks() []callStack {
	var stacks []callStack
	for _, n := range []int{1, 3, 100, 10_000} {
		stacks = append(stacks, callStack{"holdfast", n, func(tb testing.TB) func() error { return holdfastCall(tb, n, 0, nil) }})
	}
	for _, n := range []int{3, 100} { // what it costs to be watched: by an observer that does nothing, and by a board
		stacks = append(stacks,
			callStack{"holdfast-observed", n, func(tb testing.TB) func() error {
				return holdfastCall(tb, n, 0, resilience.ObserverFunc(func(resilience.Event) {}))
			}},
			callStack{"holdfast-board", n, func(tb testing.TB) func() error { return holdfastCall(tb, n, 0, newBoard(tb)) }})
	}
	return append(stacks, []callStack{
		{"failsafe", 1, func(testing.TB) func() error {
			executor := failsafe.With(retrypolicy.NewWithDefaults[any](), circuitbreaker.NewWithDefaults[any]())
			op := func() (any, error) { return nil, nil }
			return func() error { _, err := executor.Get(op); return err }
		}},
		{"failsafe-with", 1, func(testing.TB) func() error {
			retry, breaker := retrypolicy.NewWithDefaults[any](), circuitbreaker.NewWithDefaults[any]()
			op := func() (any, error) { return nil, nil }
			return func() error { _, err := failsafe.With(retry, breaker).Get(op); return err }
		}},
		// Three attempts and the caller's context, as holdfast has them.
		{"gobreaker-backoff", 1, func(testing.TB) func() error {
			breaker := gobreaker.NewCircuitBreaker[any](gobreaker.Settings{})
			op := func() (any, error) { return nil, nil }
			attempt := func() error { _, err := breaker.Execute(op); return err }
			ctx := context.Background()
			return func() error {
				return backoff.Retry(attempt, backoff.WithContext(backoff.WithMaxRetries(backoff.NewExponentialBackOff(), 2), ctx))
			}
		}},
		// Fifteen minutes of attempts, deaf to the context: the least that can be written.
		{"gobreaker-backoff-least", 1, func(testing.TB) func() error {
			breaker := gobreaker.NewCircuitBreaker[any](gobreaker.Settings{})
			op := func() (any, error) { return nil, nil }
			attempt := func() error { _, err := breaker.Execute(op); return err }
			return func() error { return backoff.Retry(attempt, backoff.NewExponentialBackOff()) }
		}},
	}...)
}

func holdfastCall(tb testing.TB, nodes int, attemptTimeout time.Duration, observer resilience.Observer) func() error {
	list := make([]selector.Node, nodes)
	for i := range list {
		list[i].ID = fmt.Sprint("node-", i)
	}
	c, err := resilience.New(resilience.Config{
		Nodes: selector.Static(list...), Settings: resilience.Settings{AttemptTimeout: attemptTimeout}, Observer: observer,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	hint := resilience.Safe("get")
	op := func(context.Context, *selector.Node) error { return nil }
	ctx := context.Background()
	return func() error { return c.Do(ctx, hint, op) }
}

// newBoard is a board that nobody looks at.
func newBoard(tb testing.TB) *board.Board {
	b, err := board.New(board.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = b.Close() })
	return b
}
