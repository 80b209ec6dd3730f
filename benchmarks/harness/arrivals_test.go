package harness

import (
	"math"
	"reflect"
	"testing"
	"time"
)

func TestArrivals(t *testing.T) {
	const rate, seconds = 200.0, 100
	list := Workload{Seed: 7, Rate: rate, Duration: seconds * time.Second}.Arrivals()
	if again := (Workload{Seed: 7, Rate: rate, Duration: seconds * time.Second}).Arrivals(); !reflect.DeepEqual(list, again) {
		t.Error("equal seeds give different arrivals")
	}
	if other := (Workload{Seed: 8, Rate: rate, Duration: seconds * time.Second}).Arrivals(); reflect.DeepEqual(list[:10], other[:10]) {
		t.Error("different seeds give equal arrivals")
	}
	// Poisson: the count's standard deviation is its root, an exponential
	// gap's is its mean.
	if n := float64(len(list)); math.Abs(n-rate*seconds) > 5*math.Sqrt(rate*seconds) {
		t.Errorf("%v arrivals, want about %v", n, rate*seconds)
	}
	var last time.Duration
	var gets int
	var squares float64
	seen := map[string]bool{}
	for _, a := range list {
		gap := (a.Due - last).Seconds()
		if gap < 0 || a.Due >= seconds*time.Second {
			t.Fatalf("%v after %v", a.Due, last)
		}
		squares += gap * gap * rate * rate
		last = a.Due
		if a.Route == Get {
			gets++
		}
		if seen[a.ID] || !word(a.ID) || !counts(a.ID) {
			t.Fatalf("id %q: twice, or not fit for the ledger", a.ID)
		}
		seen[a.ID] = true
	}
	if second := squares / float64(len(list)); math.Abs(second-2) > 0.3 {
		t.Errorf("gaps have the second moment %v means², want 2: not exponential", second)
	}
	if share := float64(gets) / float64(len(list)); math.Abs(share-0.5) > 0.03 {
		t.Errorf("%v of the requests are GETs, want half", share)
	}
}
