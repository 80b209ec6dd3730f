package resilience

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// Selects configures [Select].
type Selects struct {
	Selector *selector.Selector // required

	// Classify judges the attempt; nil: [Classify].
	Classify func(ctx context.Context, err error) Outcome

	// Shadow, if not nil, is told of the same attempts: a mirror of Selector
	// that judges them by other settings. See [selector.Selector.Mirror].
	Shadow *selector.Selector

	Clock clock.Clock // nil: the real one
}

// Select chooses a node for the attempt, one that the call has not tried, and
// tells the selector and the node's breaker what came of it. The breaker is
// asked as part of the choice: a node that it refuses is not chosen.
func Select(cfg Selects) Wrapper {
	if cfg.Classify == nil {
		cfg.Classify = Classify
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System
	}
	return func(next Func) Func {
		if cfg.Selector == nil {
			return failing("select: selector: want one, got nil")
		}
		return func(ctx context.Context, call *Call) error { return cfg.attempt(ctx, call, next) }
	}
}

func (s *Selects) attempt(ctx context.Context, call *Call, next Func) (err error) {
	if call.clk == nil {
		call.begins(s.Clock, s.Clock.Mono())
	}
	t := call.try
	if t == nil { // stacked by hand, without Retry
		t = new(try)
		call.try = t
	}
	t.sel = s.Selector
	err = s.Selector.PickAt(&t.picked, &selector.Call{Method: call.Method, Tried: t.tried, Retriable: call.again()}, call.start)
	if err != nil {
		t.outcome, t.elapsed, t.judged = Rejected, 0, true
		if errors.Is(err, selector.ErrClosed) {
			t.outcome.Again = false
		}
		return err
	}
	call.Node = t.picked.Node()
	defer t.picked.Done(selector.Report{}) // after a panic or runtime.Goexit, which say nothing about the node; otherwise it is done already
	if s.Shadow != nil {
		s.Shadow.PlaceAt(&t.shadow, call.Node.ID, &selector.Call{Method: call.Method, Retriable: call.again()}, call.start)
		defer t.shadow.Done(selector.Report{})
	}
	err = next(ctx, call)
	t.elapsed, t.judged = 0, true
	if err != nil || t.observed || t.picked.Timed() || s.Shadow != nil {
		t.elapsed = time.Duration(s.Clock.Mono() - call.start)
	}
	report := selector.Report{Result: breaker.Success, Elapsed: t.elapsed}
	if err != nil {
		t.outcome = s.Classify(ctx, err)
		s.old(ctx, call)
		report.Result, report.NotSent = t.outcome.Node, t.outcome.Effect == retry.None
		report.Refused = t.outcome.Name == Refused.Name // the node's load, not ours
		report.Silent, report.Early = silent(ctx, err), t.early
	}
	t.picked.Done(report)
	t.shadow.Done(report)
	return err
}

// silent reports whether the attempt ended without a word from the node.
func silent(ctx context.Context, err error) bool {
	var t interface{ Timeout() bool }
	return ctx.Err() != nil || errors.Is(err, ErrAttemptTimeout) || errors.As(err, &t) && t.Timeout()
}

// old makes a Failure of an attempt that was still waiting when the caller's
// deadline ran out, if by then it was old for what an attempt usually takes.
func (s *Selects) old(ctx context.Context, call *Call) {
	o := &call.try.outcome
	if o.Name != Abandoned.Name || o.Node != breaker.Ignored || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return
	}
	if usual := s.Selector.Typical(call.Method); usual > 0 && call.try.elapsed > oldAge*usual {
		o.Node = breaker.Failure
	}
}

const oldAge = 4
