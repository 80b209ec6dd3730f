package selector

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
)

func realSelector(tb testing.TB, nodes int, strategy Strategy) *Selector {
	tb.Helper()
	list := make([]Node, nodes)
	for i := range list {
		list[i].Addr = strconv.Itoa(i)
	}
	s, err := New(Config{Source: Static(list...), Strategy: strategy})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

func TestAPickAllocatesNothing(t *testing.T) {
	strategies := []Strategy{nil, Random{}, &RoundRobin{}, Weighted{}, user(func(v View) int { return v.Uniform() })}
	for _, strategy := range strategies {
		for _, nodes := range []int{1, 3, 1000} {
			s := realSelector(t, nodes, strategy)
			now := clock.System.Now()
			for _, r := range []Report{
				{Result: breaker.Success, Start: now, Elapsed: time.Millisecond},
				{Result: breaker.Ignored},
			} {
				for range 100 { // the first calls make records
					once(s, now, r)
				}
				if got := testing.AllocsPerRun(1000, func() { once(s, now, r) }); got != 0 {
					t.Errorf("%T, %d nodes, %v: %v allocations, want none", strategy, nodes, r.Result, got)
				}
			}
		}
	}
}

func once(s *Selector, now time.Time, r Report) {
	var p Picked
	if err := s.PickTo(&p, &Call{Method: "GET /", Now: now}); err != nil {
		panic(err)
	}
	p.Done(r)
}

// BenchmarkPick is a pick and a success, with the caller's time; the clock is
// not read. It must cost the same whatever the number of nodes.
func BenchmarkPick(b *testing.B) {
	for _, nodes := range []int{3, 100, 10_000} {
		for _, mode := range []string{"serial", "parallel"} {
			b.Run(fmt.Sprintf("nodes=%d/mode=%s", nodes, mode), func(b *testing.B) {
				s := realSelector(b, nodes, nil)
				now := clock.System.Now()
				r := Report{Result: breaker.Success, Start: now, Elapsed: time.Millisecond}
				b.ReportAllocs()
				if mode == "serial" {
					for b.Loop() {
						once(s, now, r)
					}
					return
				}
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						once(s, now, r)
					}
				})
			})
		}
	}
}

// BenchmarkFailure is a pick and a failure in a total outage, the worst case
// for the ejector.
func BenchmarkFailure(b *testing.B) {
	for _, nodes := range []int{3, 100, 10_000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			s := realSelector(b, nodes, nil)
			b.ReportAllocs()
			for b.Loop() {
				var p Picked
				if err := s.PickTo(&p, &Call{Method: "GET /"}); err != nil {
					b.Fatal(err)
				}
				p.Done(Report{Result: breaker.Failure})
			}
		})
	}
}
