package microwrap

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go-micro.dev/v5/client"
	"go-micro.dev/v5/metadata"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// RetriesConfig describes [Retries]. The zero value is good.
type RetriesConfig struct {
	// Policy is how often a call is tried, and with which pauses. Zero: three
	// attempts, 25 ms doubling up to 1 s. go-micro's client.Retries is a bound
	// besides: set it to at least one less than the attempts.
	Policy retry.Policy

	// Methods says which calls may be repeated though they may have been
	// carried out, by endpoint: "Hello.Greet". A hint goes before it: see
	// [WithHint].
	Methods map[string]retry.Idempotency

	// Budget bounds retries to a share of the successes. Without a Selector
	// nobody counts those, and its Floor alone pays.
	Budget retry.BudgetConfig

	// Selector is the one that the client has, whose successes pay for
	// retries. Nil: none do.
	Selector *Selector
}

// Retries has the two functions by which go-micro's own loop decides, in place
// of the built-in ones: client.Retry(r.Retry) and client.Backoff(r.Backoff). It
// is safe for concurrent use; make one by [NewRetries].
type Retries struct {
	cfg    RetriesConfig
	budget *retry.Budget
}

// NewRetries makes Retries. It fails where cfg is wrong.
func NewRetries(cfg RetriesConfig) (*Retries, error) {
	var errs []error
	if cfg.Policy.Attempts < 0 {
		errs = append(errs, fmt.Errorf("policy.attempts %d: want 1 or more (0: default 3)", cfg.Policy.Attempts))
	}
	if cfg.Budget.Successes != nil {
		errs = append(errs, errors.New("budget.successes: want nil; name the selector"))
	}
	cfg.Policy = cfg.Policy.Or(retry.Policy{Attempts: 3, Backoff: retry.Exponential(25*time.Millisecond, time.Second, 2)})
	bc := cfg.Budget
	if bc.Successes = func() uint64 { return 0 }; cfg.Selector != nil {
		bc.Successes = cfg.Selector.successes
	}
	budget, err := retry.NewBudget(bc, time.Now())
	if errs = append(errs, err); errors.Join(errs...) != nil {
		return nil, prefixed("microwrap", errors.Join(errs...))
	}
	return &Retries{cfg: cfg, budget: budget}, nil
}

// Retry is a client.RetryFunc: another attempt is made where that is safe,
// worth it, affordable and in time. Its error is the hook's.
func (r *Retries) Retry(ctx context.Context, req client.Request, retryCount int, err error) (bool, error) {
	if err == nil || ctx.Err() != nil {
		return false, nil
	}
	o := judgeUnseen(ctx, err)
	q := retry.Question{
		Try: retry.Try{
			Method: req.Endpoint(), Idempotency: r.idempotency(ctx, req), Attempt: retryCount + 1, Effect: o.Effect, Again: o.Again, Err: err,
		},
		Hook: r.cfg.Policy.Hook, Max: r.cfg.Policy.Attempts,
	}
	now := time.Now()
	if deadline, ok := ctx.Deadline(); ok {
		q.Deadline, q.Left = true, deadline.Sub(now)
	}
	why, hookErr := retry.Decide(q)
	return why == retry.Granted && r.budget.Take(now), hookErr
}

func (r *Retries) idempotency(ctx context.Context, req client.Request) retry.Idempotency {
	h, _ := ctx.Value(hintKey{}).(resilience.Hint)
	i := h.Idempotency
	if md, _ := metadata.FromContext(ctx); h.Key != "" || md[KeyName] != "" && !inherited(md) {
		i = i.Or(retry.Keyed)
	}
	return i.Or(r.cfg.Methods[req.Endpoint()]).Or(h.Default)
}

// Backoff is a client.BackoffFunc: the policy's interval under full jitter, and
// at most half of the time that is left, for go-micro sleeps it through whatever
// happens. The first attempt does not wait.
func (r *Retries) Backoff(ctx context.Context, _ client.Request, attempts int) (time.Duration, error) {
	iv := retry.Intervals{New: r.cfg.Policy.Backoff, Verbatim: r.cfg.Policy.Verbatim}
	var d time.Duration
	for range attempts {
		if d = iv.Next(clock.System, 0); d < 0 {
			return 0, errors.New("the back-off said stop")
		}
	}
	if deadline, ok := ctx.Deadline(); ok {
		d = min(d, max(time.Until(deadline)/2, 0))
	}
	return d, nil
}
