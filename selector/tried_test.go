package selector

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// moody is an engine whose breakers open by themselves, at random.
type moody struct{ rng *rand.Rand }

func (m moody) New(string) breaker.Breaker { return &moodyBreaker{rng: m.rng} }

type moodyBreaker struct {
	rng   *rand.Rand
	until time.Time
}

func (b *moodyBreaker) TryAcquire(now time.Time) (breaker.Permit, time.Duration, bool) {
	if b.rng.IntN(50) == 0 {
		b.until = now.Add(time.Duration(b.rng.Int64N(int64(5 * time.Second))))
	}
	return breaker.Permit{}, b.until.Sub(now), !now.Before(b.until)
}

func (b *moodyBreaker) State() breaker.State { return breaker.Closed }

// Whatever happens to the set: a retry does not go to a node that was tried
// while an untried, admitted one remains.
func TestTriedNodesAreNotTriedAgain(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { property(t, seed) })
	}
}

func property(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	strategies := []Strategy{nil, Random{}, Weighted{}, &RoundRobin{}, user(func(v View) int { return rng.IntN(2*v.Len()) - v.Len()/2 })}
	cfg := Config{Strategy: strategies[seed%5], Zone: []string{"", "x", "y"}[seed%3]}
	if seed%4 == 3 {
		cfg.Engine = moody{rng}
	}
	fleet := make([]Node, 12)
	for i := range fleet {
		fleet[i] = Node{ID: fmt.Sprint(i), Addr: "10.0.0.1", Weight: rng.IntN(5), Zone: []string{"x", "y", ""}[i%3]}
	}
	r := newRig(t, cfg, fleet[:6]...)

	type flight struct {
		p     Picked
		tried []*Node
		start time.Time
	}
	var flights []flight
	retries := 0
	for range 4000 {
		r.pass(time.Duration(rng.IntN(20)) * time.Millisecond)
		id := fleet[rng.IntN(len(fleet))].ID
		switch k := rng.IntN(100); {
		case k < 60: // a call, or the retry of one
			f := flight{start: r.clk.Now()}
			if len(flights) > 0 && rng.IntN(2) == 0 {
				i := rng.IntN(len(flights))
				last := &flights[i].p
				f.tried = append(slices.Clone(flights[i].tried), last.Node())
				last.Done(Report{Result: breaker.Failure, Start: flights[i].start})
				flights = slices.Delete(flights, i, i+1)
			}
			f.p = r.pick(Call{Method: id, Tried: f.tried, Retriable: rng.IntN(2) == 0})
			checkPick(t, r, cfg.Zone, &f.p, f.tried)
			if len(f.tried) > 0 {
				retries++
			}
			flights = append(flights, f)
		case k < 90: // the end of one
			if len(flights) > 0 {
				i := rng.IntN(len(flights))
				f := &flights[i]
				if rng.IntN(10) == 0 {
					f.p.Late()
				}
				f.p.Done(Report{Result: breaker.Result(rng.IntN(3)), Start: f.start, Elapsed: r.clk.Now().Sub(f.start), NotSent: rng.IntN(2) == 0})
				flights = slices.Delete(flights, i, i+1)
			}
		case k < 93:
			_ = r.sel.SetReady(id, rng.IntN(3) > 0)
		case k < 95:
			_ = r.sel.Eject(id, "property")
		case k < 97:
			_ = r.sel.Readmit(id, "property")
		default:
			rng.Shuffle(len(fleet), func(i, j int) { fleet[i], fleet[j] = fleet[j], fleet[i] })
			r.source.report(fleet[:1+rng.IntN(len(fleet))], nil)
		}
		if t.Failed() {
			return
		}
	}
	if retries < 300 {
		t.Errorf("only %d retries: the test tests little", retries)
	}
	for i := range flights {
		flights[i].p.Done(Report{})
	}
	for _, s := range r.sel.Nodes() {
		if s.InFlight != 0 {
			t.Errorf("%s: %d in flight at the end", s.Node, s.InFlight)
		}
	}
}

// checkPick compares a pick with what the statuses allow. A pick may take
// nodes out whose breakers refuse, so the statuses are those after it.
func checkPick(t *testing.T, r *rig, zone string, p *Picked, tried []*Node) {
	t.Helper()
	all := r.sel.Nodes()
	wasTried := func(n *Node) bool {
		return slices.ContainsFunc(tried, func(o *Node) bool { return o.ID == n.ID && o.Addr == n.Addr })
	}
	var got *Status
	admitted, fresh, freshAll := 0, 0, 0
	locals, localsAdmitted, localsFresh := 0, 0, 0
	for i := range all {
		s := &all[i]
		if s.Node.ID == p.Node().ID {
			got = s
		}
		in, untried, local := !s.Ejected && !s.NotReady, !wasTried(s.Node), zone != "" && s.Node.Zone == zone
		count := func(n *int, yes bool) {
			if yes {
				*n++
			}
		}
		count(&admitted, in)
		count(&fresh, in && untried)
		count(&freshAll, untried)
		count(&locals, local)
		count(&localsAdmitted, local && in)
		count(&localsFresh, local && in && untried)
	}
	if got == nil {
		t.Fatalf("picked %v, which is not in the set", p.Node())
	}
	fail := func(what string) {
		t.Helper()
		t.Errorf("picked %+v after %v: %s; the set is %+v", got, tried, what, all)
	}
	switch {
	case len(tried) == 0 && p.Probe():
		if !got.Ejected {
			fail("a probe of a node that is not ejected")
		}
	case fresh > 0 && wasTried(got.Node):
		fail("tried already, and an untried, admitted one remains")
	case admitted > 0 && (got.Ejected || got.NotReady):
		fail("not admitted, and another is")
	case admitted == 0 && freshAll > 0 && wasTried(got.Node):
		fail("tried already, and an untried one remains, if not a well one")
	case localsFresh > 0 && 2*localsAdmitted >= locals && got.Node.Zone != zone:
		fail("of another zone, and an untried one of ours remains")
	}
}
