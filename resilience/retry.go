package resilience

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/retry"
)

// Retries configures [Retry]. The zero value retries nothing.
type Retries struct {
	Policy   retry.Policy
	Methods  map[string]retry.Policy // by Call.Method; a zero field is Policy's
	Budget   *retry.Budget           // nil: unbounded
	Observer Observer                // nil: nobody listens
	Clock    clock.Clock             // nil: the real one
}

// Retry tries again as long as another attempt is safe, worth it, affordable
// and in time ([retry.Decide]). It is the scheduler of attempts: without
// hedging they follow each other on the caller's goroutine.
func Retry(cfg Retries) Wrapper { return cfg.at(new(door)) }

// at is Retry with a door that others may have, too.
func (cfg Retries) at(d *door) Wrapper {
	r := &retrier{Retries: cfg, methods: make(map[string]*retry.Policy, len(cfg.Methods)), door: d}
	for name, p := range cfg.Methods {
		p = p.Or(cfg.Policy)
		r.methods[name] = &p
	}
	if r.Clock == nil {
		r.Clock = clock.System
	}
	return func(next Func) Func {
		return func(ctx context.Context, call *Call) error { return r.call(ctx, call, next) }
	}
}

type retrier struct {
	Retries
	methods map[string]*retry.Policy
	door    *door
}

// policy is the one of the call's method.
func (r *retrier) policy(call *Call) *retry.Policy {
	if len(r.methods) > 0 {
		if p := r.methods[call.Method]; p != nil {
			return p
		}
	}
	return &r.Policy
}

func (r *retrier) call(ctx context.Context, call *Call, next Func) error {
	f := call.frame
	if f == nil || call.try != nil { // stacked by hand, or within an attempt of another Retry
		f = new(frame)
	}
	call.begins(r.Clock, r.Clock.Mono())
	if err := ctx.Err(); err != nil {
		return r.end(ctx, call, f, call.Start(), retry.Cancelled, ended(ctx))
	}
	policy := r.policy(call)
	allowed := max(policy.Attempts, 1)
	a, t := &f.attempt, &f.try
	for number, start := 1, call.start; ; number++ {
		t.begin(f.tried, allowed, &r.Retries)
		*a = *call
		a.Attempt, a.start, a.try = number, start, t
		err := next(ctx, a)
		if !t.judged { // stacked by hand, without Select
			t.elapsed, t.outcome = time.Duration(r.Clock.Mono()-a.start), Classify(ctx, err)
		}
		if r.Observer != nil {
			r.Observer.Observe(attemptEvent(ctx, a, err))
		}
		if err == nil {
			if t.reserved {
				t.refund(ctx)
			}
			if r.Budget != nil {
				r.Budget.Success()
			}
			r.door.answered()
			if r.Observer != nil {
				r.Observer.Observe(callEvent(ctx, call, a.ended(), number, Succeeded, retry.Granted, nil))
			}
			return nil
		}
		if t.outcome.Pending {
			allowed++
			t.allowed = allowed
		}
		f.record(a, err)
		if t.outcome.Node == breaker.Success {
			r.door.answered()
		}
		wait, why, hookErr := r.next(ctx, policy, a, f, err)
		if r.waits(policy, f, why) {
			if why, hookErr = r.await(ctx, policy, call, f, why); why != retry.Granted {
				return r.end(ctx, call, f, r.Clock.Now(), why, err, hookErr)
			}
			allowed, start = max(allowed, number+1), r.Clock.Mono()
			continue
		}
		if why != retry.Granted {
			if t.reserved {
				t.refund(ctx)
			}
			return r.end(ctx, call, f, a.ended(), why, err, hookErr)
		}
		start = a.start + int64(t.elapsed)
		if wait > 0 {
			if r.Observer != nil {
				r.Observer.Observe(retryEvent(ctx, a, wait))
			}
			if err := r.Clock.Sleep(ctx, wait); err != nil {
				if t.reserved || !t.outcome.Pending {
					t.refund(ctx)
				}
				return r.end(ctx, call, f, r.Clock.Now(), retry.Cancelled, f.attempts[len(f.attempts)-1].Err, ended(ctx))
			}
			start = r.Clock.Mono()
		}
	}
}

// pendingPause is the least time between two questions whether an attempt has
// ended.
const pendingPause = 10 * time.Millisecond

// next decides about another attempt after a, which failed with err.
func (r *retrier) next(ctx context.Context, p *retry.Policy, a *Call, f *frame, err error) (time.Duration, retry.Reason, error) {
	if ctx.Err() != nil {
		return 0, retry.Cancelled, ended(ctx)
	}
	t := a.try
	o := t.outcome
	q := retry.Question{
		Try:  retry.Try{Method: a.Method, Idempotency: a.Idempotency, Attempt: a.Attempt, Effect: o.Effect, Again: o.Again, Err: err},
		Hook: p.Hook, Max: t.allowed,
	}
	if deadline, ok := ctx.Deadline(); ok {
		q.Deadline, q.Left = true, deadline.Sub(a.ended())
		if t.sel != nil {
			q.Need = t.sel.Typical(a.Method)
		}
	}
	why, hookErr := retry.Decide(q)
	// Nothing reached the node, or nothing comes from it, and there is another: no reason to wait.
	elsewhere := (o.Effect == retry.None || t.early) && o.After == 0 && t.sel != nil && t.sel.HasUntried(f.tried)
	if why == retry.Granted && !elsewhere {
		f.pauses.New, f.pauses.Verbatim = p.Backoff, p.Verbatim
		q.Wait = f.pauses.Next(r.Clock, o.After)
		if o.Pending && q.Wait >= 0 {
			q.Wait = max(q.Wait, pendingPause)
		}
		if t.reserved && q.Deadline { // it was cut for the sake of the next, which must have its chance
			q.Wait = min(q.Wait, max(q.Left-q.Need-1, 0))
		}
		q.Hook, q.Again = nil, true // the hook has answered
		why, _ = retry.Decide(q)
	}
	if why == retry.Granted && !o.Pending && !t.reserved {
		why = t.pay(ctx, a.ended())
	}
	return q.Wait, why, hookErr
}

// ended is why ctx ended, matching both its error and its cause.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return errors.Join(err, cause)
}

// end makes the call's error and tells the observer.
func (r *retrier) end(ctx context.Context, call *Call, f *frame, at time.Time, why retry.Reason, errs ...error) error {
	err := callError(call, f, why, errs...)
	if r.Observer != nil {
		var last Outcome
		if n := len(f.attempts); n > 0 {
			last = f.attempts[n-1].Outcome
		}
		r.Observer.Observe(callEvent(ctx, call, at, len(f.attempts), last, why, err))
	}
	return err
}

func callError(call *Call, f *frame, why retry.Reason, errs ...error) error {
	if len(f.attempts) == 1 && f.attempts[0].Outcome.Effect == retry.Answered && why == retry.Final {
		return f.attempts[0].Err // the service's own answer
	}
	e := &Error{Service: call.Service, Method: call.Method, Key: call.Key, Why: why}
	e.Attempts = append(e.Attempts, f.attempts...)
	if e.Err = errs[0]; len(errs) > 1 && errs[1] != nil && !errors.Is(errs[0], errs[1]) {
		e.Err = errors.Join(errs...)
	}
	return e
}

// record keeps what became of an attempt, and where it went. Of questions
// whether an earlier one has ended, which may be many, it keeps the last.
func (f *frame) record(a *Call, err error) {
	if f.attempts == nil {
		f.attempts, f.tried = f.inline.attempts[:0], f.inline.tried[:0]
	}
	it := Attempt{Node: a.Node, Outcome: a.try.outcome, Err: err, Start: a.Start(), Elapsed: a.try.elapsed}
	if n := len(f.attempts); it.Outcome.Pending && n > 0 && f.attempts[n-1].Outcome.Pending {
		f.attempts[n-1] = it
	} else {
		f.attempts = append(f.attempts, it)
	}
	if a.Node != nil && !it.Outcome.Pending { // whoever answers so is well, and may be asked again
		f.tried = append(f.tried, a.Node)
	}
}
