package resilience

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/retry"
)

// Upstream is what the caller of a request says about its own retries. The
// adapters' server halves read it from the request, if they trust its sender.
// The zero value says nothing.
type Upstream struct {
	Attempt int  // which attempt the request is, 1 for the first; 0: not said
	Limited bool // Credit is said
	Credit  int  // how many retries may be made on the caller's behalf, all layers below it together
}

// Account is what one request that is being served may spend on retries, and
// has spent. It is safe for concurrent use.
type Account struct {
	again   bool         // the request is a retry of somebody who does not limit us
	charged atomic.Bool  // … which has been paid for
	limited bool         // there is a credit
	credit  atomic.Int64 // what is left of it
	spent   atomic.Int64
}

type accountKey struct{}

// WithUpstream returns the context for serving a request: calls that are made
// under it, by whatever client, retry on the account of the request's caller,
// so that layers of retries do not multiply. Within the caller's credit they
// may retry as their own budgets allow; without any they do not
// ([retry.NoCredit]). What they spend is to be reported with the answer, for
// the caller to take from its budget ([Call.Charge]): so all layers together
// stay within the budget of the first. Where the caller sets no limit and the
// request is a retry already, that one is taken from the budget of the first
// client underneath that would retry as well.
//
// A request's caller is not to be believed unless it is one's own: by a low
// credit anybody could take the retries from the calls underneath.
func WithUpstream(ctx context.Context, up Upstream) (context.Context, *Account) {
	a := &Account{again: up.Attempt > 1 && !up.Limited, limited: up.Limited}
	a.credit.Store(int64(max(up.Credit, 0)))
	return context.WithValue(ctx, accountKey{}, a), a
}

// Retries is how many retries have been made so far, in all layers underneath.
func (a *Account) Retries() int { return int(a.spent.Load()) }

// take spends one retry of the credit, if there is one.
func (a *Account) take() bool {
	if a.limited && a.credit.Add(-1) < 0 {
		a.credit.Add(1)
		return false
	}
	a.spent.Add(1)
	return true
}

// charge notes n retries that were made already; below zero they give a debt.
func (a *Account) charge(n int) {
	a.credit.Add(int64(-n))
	a.spent.Add(int64(n))
}

func account(ctx context.Context) *Account {
	a, _ := ctx.Value(accountKey{}).(*Account)
	return a
}

// pay takes a retry from the credit of the caller that is being served and
// from the client's own budget.
func (t *try) pay(ctx context.Context, now time.Time) retry.Reason {
	a := account(ctx)
	if a != nil {
		if a.again && t.budget != nil && !a.charged.Swap(true) {
			t.budget.Charge(1, now)
		}
		if !a.take() {
			return retry.NoCredit
		}
	}
	if t.budget != nil && !t.budget.Take(now) {
		if a != nil {
			a.charge(-1)
		}
		return retry.OverBudget
	}
	return retry.Granted
}

// refund gives back a retry that was paid for and not made.
func (t *try) refund(ctx context.Context) {
	if a := account(ctx); a != nil {
		a.charge(-1)
	}
	t.budget.Return()
}

// Credit is how many retries the attempt's server may make on the call's
// behalf, in all layers below it: what is left in the client's budget and, if
// the call is made while a request is being served, of its caller's credit; at
// most as many as the call itself may make, for attempts in flight know
// nothing of each other. An adapter sends it with the attempt where it is
// limited, which it is not while the budget is half full or better. ctx is the
// attempt's.
func (c *Call) Credit(ctx context.Context) (n int, limited bool) {
	if c.try == nil {
		return 0, false
	}
	if b := c.try.budget; b != nil {
		n, limited = b.Credit(c.clk.Now)
	}
	if a := account(ctx); a != nil && a.limited {
		left := int(max(a.credit.Load(), 0))
		if !limited || left < n {
			n = left
		}
		limited = true
	}
	return min(n, max(c.try.allowed-1, 1)), limited
}

// mostCharged bounds what is believed of one answer.
const mostCharged = 32

// Charge takes n retries from the client's budget, and from the credit of the
// caller that is being served, if any: the attempt's server has reported that
// they were made below it. More than 32 are not believed.
func (c *Call) Charge(ctx context.Context, n int) {
	if n = min(n, mostCharged); n <= 0 || c.try == nil {
		return
	}
	if b := c.try.budget; b != nil {
		b.Charge(n, c.clk.Now())
	}
	if a := account(ctx); a != nil {
		a.charge(n)
	}
}
