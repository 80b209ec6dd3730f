package selector

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// With no node admitted, the load must not fall on one.
func TestNoneIsReady(t *testing.T) {
	r := newRig(t, Config{}, named(5)...)
	for _, n := range named(5) {
		if err := r.sel.SetReady(n.ID, false); err != nil {
			t.Fatal(err)
		}
	}
	picks := r.run(1000, payment, well)
	for _, n := range named(5) {
		if picks[n.ID] < 120 {
			t.Errorf("1000 calls to five healthy nodes: %v", picks)
		}
	}
}

type openEngine struct{}

type openBreaker struct{}

func (openEngine) New(string) breaker.Breaker { return openBreaker{} }
func (openBreaker) State() breaker.State      { return breaker.Open }
func (openBreaker) TryAcquire(time.Time) (breaker.Permit, time.Duration, bool) {
	return breaker.Permit{}, time.Minute, false
}

func TestAllAreOpen(t *testing.T) {
	r := newRig(t, Config{Engine: openEngine{}}, named(5)...)
	seen := map[string]int{}
	var picked [1000]Picked
	for i := range picked { // in flight together
		picked[i] = r.pick(payment)
		seen[picked[i].Node().ID]++
	}
	for i := range picked {
		picked[i].Done(Report{Result: breaker.Success, Elapsed: time.Millisecond})
	}
	for _, n := range named(5) {
		if seen[n.ID] < 150 {
			t.Errorf("1000 calls at once to five alike: %v", seen)
		}
	}
}

// Of many, each is looked at.
func TestManyIll(t *testing.T) {
	r := newRig(t, Config{}, named(100)...)
	for _, n := range named(100) {
		if err := r.sel.SetReady(n.ID, false); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]int{}
	for range 20_000 {
		p := r.pick(Call{})
		seen[p.Node().ID]++
		p.Done(Report{Result: breaker.Failure})
	}
	for _, n := range named(100) {
		if seen[n.ID] < 100 {
			t.Errorf("%d of 20000 calls to %s, want about 200", seen[n.ID], n.ID)
		}
	}
}
