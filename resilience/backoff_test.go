package resilience_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// A back-off that a team has is taken as it is. Each row of the table in
// MIGRATING.md that says how is a test here, of the same name, which runs
// backoff.Retry and Client.Do on the real clock in a bubble.
var backoffRows = map[string]func(*testing.T){
	"intervals":      backoffIntervals,
	"one a call":     backoffOneACall,
	"attempts":       backoffAttempts,
	"Stop":           backoffStop,
	"Permanent":      backoffPermanent,
	"MaxElapsedTime": backoffMaxElapsedTime,
	"WithContext":    backoffWithContext,
	"cancelled":      backoffCancelled,
	"deadline":       backoffDeadline,
	"which errors":   backoffWhichErrors,
	"another node":   backoffAnotherNode,
	"Retry-After":    backoffRetryAfter,
	"budget":         backoffBudget,
	"notify":         backoffNotify,
	"data":           backoffData,
}

func TestBackoff(t *testing.T) {
	for name, row := range backoffRows {
		t.Run(name, func(t *testing.T) { synctest.Test(t, row) })
	}
}

// TestBackoffRows: the table's rows are these tests.
func TestBackoffRows(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "MIGRATING.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## backoff/v4\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^\| ([^|]+) \| [^|]+ \| [^|]+ \|$`).FindAllStringSubmatch(section, -1) {
		names = append(names, strings.Trim(m[1], "`"))
	}
	names = slices.DeleteFunc(names, func(s string) bool { return s == "what" || s == "---" })
	for _, name := range names {
		if backoffRows[name] == nil {
			t.Errorf("the row %q has no test", name)
		}
	}
	if len(names) != len(backoffRows) {
		t.Errorf("the table has the rows %q, there are %d tests", names, len(backoffRows))
	}
}

// outing is when the attempts of one call began, and how it ended.
type outing struct {
	starts []time.Duration
	took   time.Duration
	err    error
}

// trip returns an outing and the op that fills it in: attempt n comes to what
// of says.
func trip(of func(n int) error) (*outing, func() error) {
	begin, o := time.Now(), new(outing)
	return o, func() error {
		o.starts = append(o.starts, time.Since(begin))
		err := of(len(o.starts))
		o.took = time.Since(begin)
		return err
	}
}

// theirs is backoff.Retry, ours a client with the same back-off and no bound
// of its own that is in reach.
func theirs(b backoff.BackOff, of func(n int) error) *outing {
	begin := time.Now()
	o, op := trip(of)
	o.err = backoff.Retry(op, b)
	o.took = time.Since(begin)
	return o
}

func ours(ctx context.Context, t *testing.T, intervals func() backoff.BackOff, of func(n int) error, change ...func(*config)) *outing {
	t.Helper()
	cfg := config{Intervals: intervals, Settings: sets{Attempts: 100, Budget: resilience.BudgetSettings{Share: -1}}}
	for _, f := range change {
		f(&cfg)
	}
	client := realClient(t, cfg)
	begin := time.Now()
	o, op := trip(of)
	o.err = client.Do(ctx, resilience.Safe("m"), func(context.Context, *selector.Node) error { return op() })
	o.took = time.Since(begin)
	return o
}

// failing always fails; failUntil fails before attempt n.
func failing(int) error { return errOp }

func failUntil(n int) func(int) error {
	return func(k int) error {
		if k < n {
			return errOp
		}
		return nil
	}
}

// same wants the attempts of both at the same instants.
func same(t *testing.T, theirs, ours *outing) {
	t.Helper()
	if !slices.Equal(theirs.starts, ours.starts) || theirs.took != ours.took {
		t.Errorf("theirs %v, end %v; ours %v, end %v", theirs.starts, theirs.took, ours.starts, ours.took)
	}
}

// endedBy wants a call that ended for a reason, after so many attempts, with
// the op's own error.
func (o *outing) endedBy(t *testing.T, why retry.Reason, attempts int) {
	t.Helper()
	if e := callError(t, o.err); e.Why != why || len(o.starts) != attempts || !errors.Is(o.err, errOp) {
		t.Errorf("%v after %d attempts; want %v after %d, with the op's error", o.err, len(o.starts), why, attempts)
	}
}

// scripted is a back-off of a team's own.
type scripted struct {
	list   []time.Duration
	next   int
	resets int
}

func (s *scripted) NextBackOff() time.Duration {
	d := s.list[s.next%len(s.list)]
	s.next++
	return d
}

func (s *scripted) Reset() { s.next, s.resets = 0, s.resets+1 }

func backoffIntervals(t *testing.T) {
	list := []time.Duration{70 * ms, 0, time.Hour, 1, -5 * ms, 3 * time.Second}
	team := func() backoff.BackOff { return &scripted{list: list} }
	their, our := theirs(team(), failUntil(7)), ours(t.Context(), t, team, failUntil(7))
	same(t, their, our)
	if want := []time.Duration{0, 70 * ms, 70 * ms, 70*ms + time.Hour, 70*ms + time.Hour + 1, 70*ms + time.Hour + 1, 3070*ms + time.Hour + 1}; !slices.Equal(our.starts, want) || our.err != nil {
		t.Errorf("attempts at %v, %v; want %v", our.starts, our.err, want)
	}
}

func backoffOneACall(t *testing.T) {
	var made []*scripted
	team := func() backoff.BackOff {
		made = append(made, &scripted{list: []time.Duration{ms}})
		return made[len(made)-1]
	}
	ours(t.Context(), t, team, failUntil(1))
	if len(made) != 0 {
		t.Errorf("%d made for a call that succeeds at once", len(made))
	}
	ours(t.Context(), t, team, failUntil(4))
	ours(t.Context(), t, team, failUntil(4))
	if len(made) != 2 || made[0].resets != 1 || made[1].resets != 1 || made[0].next != 3 {
		t.Errorf("made %+v; want one for each call, reset once", made)
	}
}

func backoffAttempts(t *testing.T) {
	limited := func() backoff.BackOff { return backoff.WithMaxRetries(backoff.NewConstantBackOff(time.Second), 4) }
	their, our := theirs(limited(), failing), ours(t.Context(), t, limited, failing)
	same(t, their, our)
	our.endedBy(t, retry.Stopped, 5)
	ours(t.Context(), t, limited, failing, func(c *config) { c.Attempts = 0 }).endedBy(t, retry.Exhausted, 3)
	ours(t.Context(), t, limited, failing, func(c *config) { c.Attempts = 5 }).endedBy(t, retry.Exhausted, 5)
}

func backoffStop(t *testing.T) {
	team := func() backoff.BackOff { return &scripted{list: []time.Duration{ms, backoff.Stop}} }
	their, our := theirs(team(), failing), ours(t.Context(), t, team, failing)
	same(t, their, our)
	if their.err != errOp { //nolint:errorlint // the very same
		t.Errorf("theirs ends with %v", their.err)
	}
	our.endedBy(t, retry.Stopped, 2)
}

func backoffPermanent(t *testing.T) {
	team := func() backoff.BackOff { return backoff.NewConstantBackOff(ms) }
	permanent := func(int) error { return backoff.Permanent(errOp) }
	their, our := theirs(team(), permanent), ours(t.Context(), t, team, permanent)
	same(t, their, our)
	if their.err != errOp { //nolint:errorlint // the very same
		t.Errorf("theirs ends with %v", their.err)
	}
	our.endedBy(t, retry.Final, 1)
	if !resilience.IsAmbiguous(our.err) {
		t.Error("Permanent says nothing about what the attempt did")
	}
	answered := func(int) error { return resilience.Mark(backoff.Permanent(errOp), resilience.Failed) }
	var e *resilience.Error
	if our := ours(t.Context(), t, team, answered); errors.As(our.err, &e) || !errors.Is(our.err, errOp) {
		t.Errorf("%v, want an answer of the service as the op returned it", our.err)
	}
}

func backoffMaxElapsedTime(t *testing.T) {
	team := func() backoff.BackOff {
		return backoff.NewExponentialBackOff(backoff.WithInitialInterval(time.Second), backoff.WithMultiplier(1), backoff.WithRandomizationFactor(0), backoff.WithMaxElapsedTime(10*time.Second))
	}
	slow := func(int) error { time.Sleep(2 * time.Second); return errOp } //nolint:forbidigo // synctest bubble
	// Attempts end at 2, 5, 8, 11 … seconds. Theirs counts from the call's start,
	// ours from the end of the first attempt, two seconds later.
	their, our := theirs(team(), slow), ours(t.Context(), t, team, slow)
	if len(their.starts) != 4 || their.took != 11*time.Second {
		t.Errorf("theirs made %d attempts in %v", len(their.starts), their.took)
	}
	our.endedBy(t, retry.Stopped, 5)
	if our.took != 14*time.Second {
		t.Errorf("ours took %v", our.took)
	}
	bounded := ours(t.Context(), t, team, slow, func(c *config) { c.Timeout = 10 * time.Second })
	if !slices.Equal(bounded.starts, their.starts) {
		t.Errorf("with a Timeout of 10s attempts began at %v, theirs at %v", bounded.starts, their.starts)
	}
}

func backoffWithContext(t *testing.T) {
	ended, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	team := func() backoff.BackOff {
		return backoff.WithContext(backoff.NewConstantBackOff(time.Minute), ended)
	}
	their := theirs(team(), failing)
	if len(their.starts) != 2 || their.took != 90*time.Second || !errors.Is(their.err, context.DeadlineExceeded) || errors.Is(their.err, errOp) {
		t.Errorf("theirs ends with %v after %v, want its context's error in the second pause", their.err, their.took)
	}
	// Its context is over by now, and is asked for the first interval already.
	ours(t.Context(), t, team, failing).endedBy(t, retry.Stopped, 1)

	later, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	our := ours(t.Context(), t, func() backoff.BackOff {
		return backoff.WithContext(backoff.NewConstantBackOff(time.Minute), later)
	}, failing)
	our.endedBy(t, retry.Stopped, 3) // not in the pause, but at the next
	if our.took != 2*time.Minute {
		t.Errorf("took %v", our.took)
	}
}

func backoffCancelled(t *testing.T) {
	team := func() backoff.BackOff { return backoff.NewConstantBackOff(time.Minute) }
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(90*time.Second, cancel)
	their := theirs(backoff.WithContext(team(), ctx), failing)
	if their.took != 90*time.Second || !errors.Is(their.err, context.Canceled) || errors.Is(their.err, errOp) {
		t.Errorf("theirs ends with %v after %v, want the context's error alone", their.err, their.took)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(90*time.Second, cancel)
	our := ours(ctx, t, team, failing)
	our.endedBy(t, retry.Cancelled, 2)
	if our.took != 90*time.Second || !errors.Is(our.err, context.Canceled) {
		t.Errorf("ours ends with %v after %v, want both errors", our.err, our.took)
	}
}

func backoffDeadline(t *testing.T) {
	team := func() backoff.BackOff { return backoff.NewConstantBackOff(time.Minute) }
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	their := theirs(backoff.WithContext(team(), ctx), failing)
	if their.took != 90*time.Second || errors.Is(their.err, errOp) {
		t.Errorf("theirs ends with %v after %v, want it to sleep towards its deadline", their.err, their.took)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	our := ours(ctx, t, team, failing, func(c *config) { c.AttemptTimeout = -1 })
	our.endedBy(t, retry.OutOfTime, 2)
	if our.took != time.Minute {
		t.Errorf("ours ends after %v, want at once after the second attempt", our.took)
	}
}

func backoffWhichErrors(t *testing.T) {
	team := func() backoff.BackOff { return backoff.NewConstantBackOff(ms) }
	if their := theirs(team(), failUntil(3)); len(their.starts) != 3 {
		t.Errorf("theirs made %d attempts", len(their.starts))
	}
	client := realClient(t, config{Intervals: team})
	for _, tt := range []struct {
		hint resilience.Hint
		err  error
		want int
	}{
		{resilience.Safe("m"), errOp, 3},
		{resilience.Keyed("m", "k"), errOp, 3},
		{resilience.Unsafe("m"), errOp, 1},
		{resilience.Hint{}, errOp, 1},
		{resilience.Unsafe("m"), resilience.Mark(errOp, resilience.NotSent), 3},
		{resilience.Safe("m"), resilience.Mark(errOp, resilience.Failed), 1},
	} {
		n := 0
		_ = client.Do(t.Context(), tt.hint, func(context.Context, *selector.Node) error { n++; return tt.err })
		if n != tt.want {
			t.Errorf("%+v, %v: %d attempts, want %d", tt.hint, tt.err, n, tt.want)
		}
	}
}

func backoffAnotherNode(t *testing.T) {
	team := &scripted{list: []time.Duration{time.Minute}}
	our := ours(t.Context(), t, func() backoff.BackOff { return team }, func(n int) error {
		if n < 4 {
			return resilience.Mark(errOp, resilience.NotSent)
		}
		return nil
	}, func(c *config) { c.Nodes = selector.Addrs("a", "b") })
	if want := []time.Duration{0, 0, time.Minute, 2 * time.Minute}; !slices.Equal(our.starts, want) || team.next != 2 {
		t.Errorf("attempts at %v, %d intervals asked for; want %v", our.starts, team.next, want)
	}
}

func backoffRetryAfter(t *testing.T) {
	hinted := resilience.Refused
	hinted.After = 3 * time.Second
	team := func() backoff.BackOff { return backoff.NewConstantBackOff(time.Minute) }
	our := ours(t.Context(), t, team, func(n int) error {
		if n < 2 {
			return resilience.Mark(errOp, hinted)
		}
		return nil
	})
	if our.err != nil || our.took != 63*time.Second {
		t.Errorf("%v after %v, want the hint and the interval", our.err, our.took)
	}
}

func backoffBudget(t *testing.T) {
	team := func() backoff.BackOff { return &backoff.ZeroBackOff{} }
	our := ours(t.Context(), t, team, failing, func(c *config) { c.Budget = resilience.BudgetSettings{} })
	if e := callError(t, our.err); e.Why != retry.OverBudget || len(our.starts) > 30 {
		t.Errorf("%v after %d attempts, want the budget to end it", our.err, len(our.starts))
	}
	ours(t.Context(), t, team, failing).endedBy(t, retry.Exhausted, 100) // Share: -1
}

// waits notes what backoff.Notify would have heard.
type waits struct {
	heard []time.Duration
	errs  []error
}

func (w *waits) Observe(e resilience.Event) {
	switch e.Kind {
	case resilience.RetryWaiting:
		w.heard = append(w.heard, e.Wait)
	case resilience.AttemptDone:
		w.errs = append(w.errs, e.Err)
	}
}

func backoffNotify(t *testing.T) {
	team := func() backoff.BackOff { return &scripted{list: []time.Duration{ms, time.Second}} }
	var their []time.Duration
	_, op := trip(failUntil(3))
	if err := backoff.RetryNotify(op, team(), func(err error, d time.Duration) {
		if !errors.Is(err, errOp) {
			t.Error(err)
		}
		their = append(their, d)
	}); err != nil {
		t.Error(err)
	}
	w := new(waits)
	ours(t.Context(), t, team, failUntil(3), func(c *config) { c.Observer = w })
	if !slices.Equal(w.heard, their) || len(w.errs) != 3 || !errors.Is(w.errs[0], errOp) || w.errs[2] != nil {
		t.Errorf("the Observer heard %v and %v, Notify %v", w.heard, w.errs, their)
	}
}

func backoffData(t *testing.T) {
	team := func() backoff.BackOff { return backoff.NewConstantBackOff(ms) }
	_, op := trip(failUntil(2))
	get := func() (string, error) { return "hello", op() }
	their, err := backoff.RetryWithData(get, team())
	if err != nil {
		t.Error(err)
	}
	_, op = trip(failUntil(2))
	our, err := resilience.Do(t.Context(), realClient(t, config{Intervals: team}), resilience.Safe("m"),
		func(context.Context, *selector.Node) (string, error) { return get() })
	if err != nil || our != their {
		t.Errorf("%q, %v; want %q", our, err, their)
	}
}
