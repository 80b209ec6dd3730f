package harness

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestPlanValidate(t *testing.T) {
	if err := (Plan{}).Validate(); err != nil {
		t.Error("the defaults:", err)
	}
	bad := Plan{
		Nodes: -1, Processes: 51, Clients: -1, Rate: math.NaN(), Mix: make([]float64, 9), Warm: -1, Timeout: 1,
		Service: Service{Mean: -1},
		Steps: []Step{
			{At: time.Hour, Do: DoKill, Nodes: []int{0}},
			{At: 1, Do: DoCut},
			{At: 2, Do: DoSicken, Nodes: []int{99}, Illness: Illness{Errors: 2, Lose: -1, Slow: 0.5, Capacity: math.NaN()}},
		},
	}
	err := bad.Validate()
	for _, field := range []string{
		"nodes -1", "processes 51", "clients -1", "rate NaN", "mix", "warm", "timeout", "service",
		"steps[0].at", "steps[1].at", "steps[1].nodes: none", "steps[1]: cut", "steps[2].nodes 99",
		"errors 2", "lose -1", "slow 0.5", "capacity NaN",
	} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
	if _, err := Bench(t.Context(), BenchConfig{Plan: bad, Stack: naive{}}); err == nil {
		t.Error("a bad plan is carried out")
	}
}

func TestStepString(t *testing.T) {
	s := Step{Do: DoSicken, Nodes: []int{0, 4}, Illness: Illness{Errors: 0.3}}
	if got, want := s.String(), `hello-1, hello-5: sicken {"errors":0.3}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A mix and surges change what comes and when, and it is still Poisson.
func TestWorkload(t *testing.T) {
	w := Workload{
		Seed: 1, Rate: 100, Duration: 300 * time.Second, Mix: []float64{4, 4, 2}, Prefix: "c1-", Clients: 10,
		Surges: []Surge{{From: 100 * time.Second, To: 200 * time.Second, Times: 3}},
	}
	var perRoute [3]int
	var perThird [3]int
	var perClient [10]int
	list := w.Arrivals()
	for _, a := range list {
		perRoute[a.Route]++
		perThird[a.Due/(100*time.Second)]++
		perClient[a.Client]++
		if !strings.HasPrefix(a.ID, "c1-") || !word(a.ID) {
			t.Fatalf("id %q", a.ID)
		}
	}
	near := func(what string, got int, want float64) {
		t.Helper()
		if math.Abs(float64(got)-want) > 5*math.Sqrt(want) {
			t.Errorf("%s: %d, want about %v", what, got, want)
		}
	}
	near("first third", perThird[0], 10_000)
	near("surge", perThird[1], 30_000)
	near("last third", perThird[2], 10_000)
	n := float64(len(list))
	near("GETs", perRoute[Get], 0.4*n)
	near("POSTs", perRoute[Post], 0.4*n)
	near("of the third method", perRoute[List], 0.2*n)
	for i, got := range perClient {
		near("client "+string(rune('0'+i)), got, n/10)
	}
}
