package retry_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/retry"
)

var start = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

func newBudget(t *testing.T, cfg retry.BudgetConfig) *retry.Budget {
	t.Helper()
	b, err := retry.NewBudget(cfg, start)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// takeAll spends what there is at once.
func takeAll(b *retry.Budget, now time.Time) (n int) {
	for b.Take(now) {
		n++
	}
	return n
}

func TestBudgetDefaults(t *testing.T) {
	t.Parallel()
	b := newBudget(t, retry.BudgetConfig{})
	if got := takeAll(b, start); got != 20 {
		t.Errorf("a new budget grants %d, want the floor of 10 s, 20", got)
	}
	if got := takeAll(b, start.Add(time.Second)); got != 2 {
		t.Errorf("after a second: %d, want the floor, 2", got)
	}
	for range 100 {
		b.Success()
	}
	if got := takeAll(b, start.Add(2*time.Second)); got != 22 {
		t.Errorf("after 100 successes and a second: %d, want 20 + 2", got)
	}
}

// TestBudgetFollowsTheRate: at 10 000 rps a crash's burst is paid for; at
// 10 rps an outage is not hammered.
func TestBudgetFollowsTheRate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rps      uint64
		from, to int
	}{{10_000, 19_000, 20_020}, {10, 39, 40}} {
		var successes uint64
		b := newBudget(t, retry.BudgetConfig{Successes: func() uint64 { return successes }})
		now := start
		for range 60 {
			successes += tt.rps
			now = now.Add(time.Second)
			b.Balance(now)
		}
		if got := takeAll(b, now); got < tt.from || got > tt.to {
			t.Errorf("%d rps: a burst of %d is granted, want %d to %d", tt.rps, got, tt.from, tt.to)
		}
		if got := takeAll(b, now.Add(10*time.Second)); got != 20 { // all that is left is the floor
			t.Errorf("%d rps, then an outage of 10 s: %d, want 20", tt.rps, got)
		}
	}
}

func TestBudgetSwitches(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		cfg       retry.BudgetConfig
		successes int
		at        time.Duration
		want      int // of 1000 tries
	}{
		{"no budget", retry.BudgetConfig{Share: -1}, 0, 0, 1000},
		{"no budget, no floor", retry.BudgetConfig{Share: -1, Floor: -1}, 0, time.Hour, 1000},
		{"no floor, nothing earned", retry.BudgetConfig{Floor: -1}, 0, time.Hour, 0},
		{"no floor", retry.BudgetConfig{Floor: -1}, 50, time.Second, 10},
		{"a floor of one in 100 s, too soon", retry.BudgetConfig{Floor: 0.01}, 0, 89 * time.Second, 0},
		{"a floor of one in 100 s", retry.BudgetConfig{Floor: 0.01}, 0, 90*time.Second + 1, 1},
		{"a floor of one in 100 s, saved up", retry.BudgetConfig{Floor: 0.01}, 0, time.Hour, 1},
		{"a short window saves one", retry.BudgetConfig{Window: time.Millisecond}, 0, time.Second, 1},
		{"a share of 1", retry.BudgetConfig{Share: 1, Floor: -1}, 50, time.Second, 50},
		{"a clock that goes backwards", retry.BudgetConfig{}, 1000, -time.Hour, 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBudget(t, tt.cfg)
			for range tt.successes {
				b.Success()
			}
			got := 0
			for range 1000 {
				if b.Take(start.Add(tt.at)) {
					got++
				}
			}
			if got != tt.want {
				t.Errorf("granted %d, want %d", got, tt.want)
			}
		})
	}
}

func TestBudgetReturn(t *testing.T) {
	t.Parallel()
	b := newBudget(t, retry.BudgetConfig{})
	b.Take(start)
	b.Return()
	b.Return() // one too many
	if tokens, most := b.Balance(start); tokens != 20 || most != 20 {
		t.Errorf("%v of %v, want 20 of 20", tokens, most)
	}
	off := newBudget(t, retry.BudgetConfig{Share: -1})
	off.Return()
	if tokens, most := off.Balance(start); !math.IsInf(tokens, 1) || !math.IsInf(most, 1) {
		t.Errorf("no budget: %v of %v, want +Inf of both", tokens, most)
	}
}

func TestBudgetUpdate(t *testing.T) {
	t.Parallel()
	b := newBudget(t, retry.BudgetConfig{})
	if err := b.Update(retry.BudgetConfig{Floor: 0.5}); err != nil {
		t.Fatal(err)
	}
	if got := takeAll(b, start); got != 5 {
		t.Errorf("a smaller cap: %d, want 5", got)
	}
	if err := b.Update(retry.BudgetConfig{Window: -1}); err == nil {
		t.Error("an update with a negative window: want an error")
	}
	if got := takeAll(b, start.Add(2*time.Second)); got != 1 {
		t.Errorf("after an update that failed: %d, want 1 from the floor of 0.5", got)
	}
	if err := b.Update(retry.BudgetConfig{Share: -1}); err != nil {
		t.Fatal(err)
	}
	if !b.Take(start) {
		t.Error("switched off: denied")
	}
	if err := b.Update(retry.BudgetConfig{}); err != nil {
		t.Fatal(err)
	}
	if got := takeAll(b, start.Add(2*time.Second)); got != 0 {
		t.Errorf("switched on again: %d, want what was there, 0", got)
	}
}

// TestBudgetCounterSteps: a step back earns nothing, and neither does the way
// back up; a reset starts afresh.
func TestBudgetCounterSteps(t *testing.T) {
	t.Parallel()
	var counter uint64
	b := newBudget(t, retry.BudgetConfig{Share: 1, Floor: -1, Window: time.Hour, Successes: func() uint64 { return counter }})
	now := start
	for _, step := range []struct {
		counter uint64
		want    int
	}{{10, 10}, {8, 0}, {10, 0}, {12, 2}, {2, 0}, {5, 3}, {5, 0}} {
		counter = step.counter
		now = now.Add(time.Second)
		if got := takeAll(b, now); got != step.want {
			t.Fatalf("at %d: %d, want %d", step.counter, got, step.want)
		}
	}
}

func TestBudgetValidate(t *testing.T) {
	t.Parallel()
	_, err := retry.NewBudget(retry.BudgetConfig{Share: math.NaN(), Floor: math.Inf(1), Window: -1}, start)
	if err == nil {
		t.Fatal("three wrong fields: no error")
	}
	for _, want := range []string{"share NaN", "floor +Inf", "window -1ns"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %q", err, want)
		}
	}
	for _, ok := range []retry.BudgetConfig{{}, {Share: -5, Floor: -5}, {Share: 10}, {Floor: 1e9, Window: time.Hour}} {
		if err := ok.Validate(); err != nil {
			t.Errorf("%+v: %v", ok, err)
		}
	}
}

// TestBudgetConcurrently: under the race detector; what was granted in all is
// within what was there and earned.
func TestBudgetConcurrently(t *testing.T) {
	t.Parallel()
	const workers, rounds = 8, 2000
	b := newBudget(t, retry.BudgetConfig{})
	var granted, returned, successes atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		rng := rand.New(rand.NewPCG(uint64(w), 3))
		wg.Go(func() {
			for i := range rounds {
				now := start.Add(time.Duration(i) * ms)
				switch rng.IntN(8) {
				case 0:
					b.Balance(now)
				case 1:
					if err := b.Update(retry.BudgetConfig{}); err != nil {
						t.Error(err)
					}
				case 2, 3:
					successes.Add(1)
					b.Success()
				default:
					if b.Take(now) {
						granted.Add(1)
						if rng.IntN(4) == 0 {
							returned.Add(1)
							b.Return()
						}
					}
				}
			}
		})
	}
	wg.Wait()
	bound := 20 + 0.2*float64(successes.Load()) + 2*float64(rounds)/1000
	if net := granted.Load() - returned.Load(); float64(net) > bound || net < 20 {
		t.Errorf("%d granted for good, want 20 to %.0f", net, bound)
	}
}
