package retry_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/retry"
)

// A payment timed out: nobody knows whether it was carried out. No hook makes
// the call repeatable; a key by which the server deduplicates does.
func ExampleDecide() {
	q := retry.Question{
		Try: retry.Try{
			Method: "POST /payments", Idempotency: retry.NonIdempotent,
			Attempt: 1, Effect: retry.Possible, Again: true, Err: errors.New("timeout"),
		},
		Hook: retry.Always,
		Max:  3,
	}
	why, _ := retry.Decide(q)
	fmt.Println(why)

	q.Idempotency = retry.Keyed
	why, _ = retry.Decide(q)
	fmt.Println(why)
	// Output:
	// not repeatable
	// granted
}

// Retries are a fifth of the successes, plus two a second for those who make
// few calls.
func ExampleBudget() {
	now := time.Now()
	budget, err := retry.NewBudget(retry.BudgetConfig{}, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	tokens, _ := budget.Balance(now)
	fmt.Println(budget.Take(now), tokens) // an outage from the first call on: what the floor earns in 10 s

	for range 100 {
		budget.Success()
	}
	tokens, _ = budget.Balance(now.Add(time.Second))
	fmt.Println(tokens) // 19 + 100/5 + 2
	// Output:
	// true 20
	// 41
}

// The first level that says something wins.
func ExampleIdempotency_Or() {
	hint, header, method, protocol := retry.Unspecified, retry.Unspecified, retry.Idempotent, retry.NonIdempotent
	fmt.Println(hint.Or(header).Or(method).Or(protocol))
	// Output: idempotent
}
