package retry_test

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/retry"
)

// TestBudgetCredit: what a server may spend is unlimited while half is left,
// without a look at the clock; then it is what is left. What it has spent may
// leave a debt, which is no larger than what can be saved up.
func TestBudgetCredit(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	b, err := retry.NewBudget(retry.BudgetConfig{Share: 0.1, Floor: 1, Window: 10 * time.Second}, now) // ten
	if err != nil {
		t.Fatal(err)
	}
	want := func(n int, limited bool) {
		t.Helper()
		if got, l := b.Credit(func() time.Time { return now }); got != n || l != limited {
			t.Errorf("credit %d, limited %v; want %d, %v", got, l, n, limited)
		}
	}
	b.Charge(5, now)
	if n, limited := b.Credit(func() time.Time { t.Error("the clock was read"); return now }); n != 0 || limited {
		t.Errorf("half full: credit %d, limited %v; want unlimited", n, limited)
	}
	b.Charge(2, now)
	want(3, true)
	b.Charge(1e9, now)
	want(0, true)
	if tokens, most := b.Balance(now); tokens != 0 || most != 10 {
		t.Errorf("balance %v of %v in debt, want 0 of 10", tokens, most)
	}
	now = now.Add(10 * time.Second) // pays the debt, which was ten
	want(0, true)
	if b.Take(now) {
		t.Error("a retry was granted with nothing left")
	}
	now = now.Add(4 * time.Second)
	want(4, true)
	b.Charge(-1, now)
	want(4, true)
	now = now.Add(time.Second)
	want(5, false)
	want(0, false)
}

// TestNoBudgetNoCredit: without a budget nothing is limited.
func TestNoBudgetNoCredit(t *testing.T) {
	t.Parallel()
	var none *retry.Budget
	unbounded, err := retry.NewBudget(retry.BudgetConfig{Share: -1}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	unbounded.Charge(1e6, time.Unix(0, 0))
	for _, b := range []*retry.Budget{none, unbounded} {
		if n, limited := b.Credit(time.Now); n != 0 || limited {
			t.Errorf("credit %d, limited %v; want unlimited", n, limited)
		}
	}
}
