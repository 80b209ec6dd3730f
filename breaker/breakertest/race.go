package breakertest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
)

// raceCases are about many callers at once; the race detector sees more.
var raceCases = []item{
	{"probes-at-once", "of many callers at once, half-open admits Probes", func(r *rig) {
		for range 20 {
			r.Breaker = r.New(r.listen)
			r.open()
			r.pass(r.longEnough())
			var admitted atomic.Int64
			var wg sync.WaitGroup
			for range 20 * r.Probes {
				wg.Go(func() {
					if _, _, ok := r.ask(); ok {
						admitted.Add(1)
					}
				})
			}
			wg.Wait()
			if n := int(admitted.Load()); n != r.Probes {
				r.errorf("%d calls admitted at once, want %d", n, r.Probes)
			}
		}
	}},
	{"storm", "after many callers at once, of whom some fail and some never report, it recovers", func(r *rig) {
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				for k := 500 * i; k < 500*(i+1); k++ {
					if p, _, ok := r.ask(); ok && k%20 > 0 {
						p.Done(breaker.Report{Result: breaker.Result(k % 3)})
					}
					if t, ok := r.Breaker.(breaker.Tripper); ok && k%199 == 0 {
						t.Trip(breaker.Reason{})
						t.Reset(breaker.Reason{})
					}
					r.State()
					if k%4 == 0 {
						_ = clock.System.Sleep(context.Background(), r.OpenFor*time.Duration(k%97)/97)
					}
				}
			})
		}
		wg.Wait()
		from := breaker.Closed
		for _, t := range r.turns() {
			if t.from != from || t.to == from {
				r.fatalf("heard %v to %v after it went to %v", t.from, t.to, from)
			}
			from = t.to
		}
		for range 10_000 {
			if r.State() == breaker.Closed {
				break
			}
			if p, _, ok := r.ask(); ok {
				r.done(&p, breaker.Success)
			}
			r.pass(r.ProbeTimeout + r.OpenFor)
		}
		r.want(breaker.Closed)
		r.admit()
	}},
}
