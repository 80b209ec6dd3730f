package selector

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// Picks, results, reports, readiness, hands and updates at once, for the race
// detector; at the end the books balance.
func TestStress(t *testing.T) {
	family, err := breaker.NewFamily(breaker.Config{Rule: breaker.Never{}, Ramp: -1, OpenFor: time.Millisecond, OpenMax: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	fleet := named(12)
	for i := range fleet {
		fleet[i].Weight, fleet[i].Zone = 1+i%3, []string{"x", "y"}[i%2]
	}
	source := &pushed{first: fleet}
	var kinds [Spared + 1]atomic.Int64
	var listening atomic.Bool
	s, err := New(Config{Source: source, Engine: family, Zone: "x", SlowStart: time.Millisecond, OnEvent: func(e Event) {
		if !listening.CompareAndSwap(false, true) {
			t.Error("two events at once")
		}
		kinds[e.Kind].Add(1)
		listening.Store(false)
	}})
	if err != nil {
		t.Fatal(err)
	}
	const workers, calls = 8, 3000
	var well, failed, ignored atomic.Int64
	var wg, churn sync.WaitGroup
	stop := make(chan struct{})
	for i := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 0))
			for n := range calls {
				var tried []*Node
				for range 1 + rng.IntN(3) {
					p, err := s.Pick(Call{Method: fmt.Sprint("m", n%70), Tried: tried, Retriable: n%2 == 0})
					if err != nil {
						t.Error(err)
						return
					}
					tried = append(tried, p.Node())
					result := breaker.Success
					switch k := rng.IntN(20); {
					case p.Node().ID <= "b" && k > 2, k == 19:
						result = breaker.Failure
					case k == 18:
						result = breaker.Ignored
					}
					late := rng.IntN(50) == 0
					if late {
						p.Late()
					}
					if rng.IntN(10) == 0 {
						defer p.Hold()()
					}
					switch {
					case late || result == breaker.Failure:
						failed.Add(1)
					case result == breaker.Success:
						well.Add(1)
					default:
						ignored.Add(1)
					}
					p.Done(Report{Result: result, Start: s.clk.Now(), Elapsed: time.Millisecond, NotSent: rng.IntN(2) == 0})
				}
			}
		})
	}
	churn.Go(func() {
		rng := rand.New(rand.NewPCG(99, 0))
		strategies := []Strategy{nil, Random{}, Weighted{}, &RoundRobin{}}
		for {
			select {
			case <-stop:
				return
			default:
			}
			id := fleet[rng.IntN(len(fleet))].ID
			switch rng.IntN(8) {
			case 0, 1:
				part := slices.Clone(fleet)
				rng.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
				source.report(part[:1+rng.IntN(len(part))], nil)
			case 2:
				source.report(nil, errSource)
			case 3:
				_ = s.SetReady(id, rng.IntN(3) > 0)
			case 4:
				_ = errors.Join(s.Eject(id, "stress"), s.Readmit(id, "stress")) // it may be away
			case 5:
				if err := s.Update(Config{Strategy: strategies[rng.IntN(4)], Zone: "y", SlowStart: time.Millisecond, Ejection: Ejection{Burst: -1}}); err != nil {
					t.Error(err)
				}
			case 6:
				s.Nodes()
			case 7:
				s.Successes()
				s.HasUntried(nil)
				s.Typical("m1")
			}
		}
	})
	wg.Wait()
	close(stop)
	churn.Wait()

	source.report(fleet, nil) // all are back, from the set or the graveyard
	picks, failures := uint64(0), uint64(0)
	for _, n := range s.Nodes() {
		if n.InFlight != 0 {
			t.Errorf("%s: %d in flight at the end", n.Node, n.InFlight)
		}
		picks, failures = picks+n.Picks, failures+n.Failures
	}
	if got := s.Successes(); got != uint64(well.Load()) {
		t.Errorf("%d successes, want %d", got, well.Load())
	}
	if failures != uint64(failed.Load()) || picks != failures+uint64(well.Load()) {
		t.Errorf("%d picks and %d failures, want %d and %d", picks, failures, well.Load()+failed.Load(), failed.Load())
	}
	if kinds[NodesChanged].Load() == 0 || kinds[SourceFailed].Load() == 0 || kinds[Ejected].Load() == 0 || kinds[Readmitted].Load() == 0 || ignored.Load() == 0 {
		t.Errorf("too little has happened: %v", &kinds)
	}
}

// Close comes while everything is under way.
func TestCloseUnderWay(t *testing.T) {
	for range 20 {
		source := &pushed{first: named(5)}
		s, err := New(Config{Source: source})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					p, err := s.Pick(errand)
					if errors.Is(err, ErrClosed) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					p.Done(Report{Result: breaker.Failure})
				}
			})
		}
		wg.Go(func() {
			for i := range 50 {
				source.report(named(1+i%5), nil)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if n := len(s.Nodes()); n != 0 {
			t.Errorf("%d nodes after Close", n)
		}
	}
}
