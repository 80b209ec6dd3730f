package resilience_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// TestBulkhead: at most so many calls at once; what is turned away is told,
// is no failure of a node, and leaves its place to others.
func TestBulkhead(t *testing.T) {
	t.Parallel()
	b := newBench(forever(reply{After: time.Second}))
	client := newClient(t, b, config{Service: "s", Settings: sets{Bulkhead: 3}})
	var well, full int
	crowd := func(n int) {
		well, full = 0, 0
		b.Run(func() {
			for range n {
				b.Go(func() {
					switch err := client.Do(context.Background(), resilience.Safe("m"), b.Op); {
					case err == nil:
						well++
					case errors.Is(err, resilience.ErrBulkheadFull):
						full++
						if e := callError(t, err); e.Ambiguous() || len(e.Attempts) != 0 || e.Why != retry.Stopped || e.Service != "s" || e.Method != "m" {
							t.Errorf("%+v", e)
						}
					default:
						t.Error(err)
					}
				})
			}
		})
	}
	for range 2 { // the second crowd finds all places free again
		if crowd(10); well != 3 || full != 7 {
			t.Errorf("%d well, %d turned away; want 3 and 7", well, full)
		}
	}
	if n := len(b.Events(resilience.CallDone)); n != 20 {
		t.Errorf("the observer heard of %d calls, want 20", n)
	}
	settings := client.Settings()
	settings.Bulkhead = 5
	if err := client.Update(settings); err != nil {
		t.Fatal(err)
	}
	if crowd(10); well != 5 {
		t.Errorf("after an update: %d well, want 5", well)
	}
	settings.Bulkhead = 0
	if err := client.Update(settings); err != nil {
		t.Fatal(err)
	}
	if crowd(10); well != 10 {
		t.Errorf("without a limit: %d well, want 10", well)
	}
}

// TestGuardsThatDoNothing can be used by hand like the others.
func TestGuardsThatDoNothing(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]resilience.Wrapper{
		"Bulkhead(0)": resilience.Bulkhead(0), "Bulkhead(-1)": resilience.Bulkhead(-1), "Fallback(nil)": resilience.Fallback(nil),
	} {
		f := w(func(context.Context, *resilience.Call) error { return errOp })
		if err := f(t.Context(), new(resilience.Call)); !errors.Is(err, errOp) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBulkheadAroundAttempts: a rejection is one attempt's, which never left.
func TestBulkheadAroundAttempts(t *testing.T) {
	t.Parallel()
	b := newBench(forever(reply{After: time.Second}), nil)
	client := newClient(t, b, config{WrapAttempt: []resilience.Wrapper{resilience.Bulkhead(1)}, Settings: sets{Backoff: noPause, Attempts: 2}})
	var second error
	b.Run(func() {
		b.Go(func() { _ = client.Do(context.Background(), resilience.Unsafe("m"), b.Op) })
		b.Sleep(ms)
		second = client.Do(context.Background(), resilience.Unsafe("m"), b.Op)
	})
	e := callError(t, second)
	if len(e.Attempts) != 2 || e.Attempts[0].Outcome.Name != "rejected" || e.Ambiguous() || !errors.Is(e, resilience.ErrBulkheadFull) {
		t.Errorf("%v", e)
	}
	for _, id := range []string{"a", "b"} {
		if n := failures(client, id); n != 0 {
			t.Errorf("node %s is blamed %d times", id, n)
		}
	}
}

func TestFallback(t *testing.T) {
	t.Parallel()
	errSecond := errors.New("nothing cached")
	errMissing := errors.New("no such row")
	tests := []struct {
		name     string
		reply    reply
		classify func(context.Context, error) resilience.Outcome
		second   error
		cancel   bool
		asked    bool
		want     []error // all matched; none: success
	}{
		{"well", reply{}, nil, nil, false, false, nil},
		{"failed, replaced", fails(resilience.Ambiguous), nil, nil, false, true, nil},
		{"failed, and the fallback too", fails(resilience.Ambiguous), nil, errSecond, false, true, []error{errOp, errSecond}},
		{"an answer", fails(resilience.Failed), nil, nil, false, false, []error{errOp}},
		{"an answer, by the client's own judgement", reply{Err: errMissing}, func(context.Context, error) resilience.Outcome { return resilience.Failed }, nil, false, false, []error{errMissing}},
		{"out of time", reply{Hang: true}, nil, nil, false, true, nil},
		{"cancelled", reply{Hang: true}, nil, nil, true, false, []error{context.Canceled}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(forever(tt.reply))
			asked := false
			client := newClient(t, b, config{
				Classify: tt.classify,
				Fallback: func(_ context.Context, call *resilience.Call, err error) error {
					asked = true
					if call.Method != "m" || call.Attempt != 0 || err == nil {
						t.Errorf("asked about %+v, %v", call, err)
					}
					return tt.second
				},
				Settings: sets{Attempts: 1, Timeout: time.Second},
			})
			var err error
			b.Run(func() {
				ctx, cancel := b.Clock().WithCancel(context.Background())
				if tt.cancel {
					b.Go(func() { b.Sleep(ms); cancel(nil) })
				}
				err = client.Do(ctx, resilience.Unsafe("m"), b.Op)
			})
			if asked != tt.asked || (err == nil) != (len(tt.want) == 0) {
				t.Errorf("asked: %v, error: %v", asked, err)
			}
			for _, want := range tt.want {
				if !errors.Is(err, want) {
					t.Errorf("%v does not match %v", err, want)
				}
			}
		})
	}
}

// TestFallbackKeepsTheDoubt: a fallback that fails does not hide that the call
// may have been carried out; nor does one that passes its own call's error on.
func TestFallbackKeepsTheDoubt(t *testing.T) {
	t.Parallel()
	b := newBench(forever(fails(resilience.Ambiguous)))
	other := newClient(t, newBench(forever(fails(resilience.NotSent))), config{Service: "cache", Settings: sets{Attempts: 1, Backoff: noPause}})
	client := newClient(t, b, config{Settings: sets{Attempts: 1}, Fallback: func(ctx context.Context, _ *resilience.Call, err error) error {
		return other.Do(ctx, resilience.Safe("get"), func(context.Context, *selector.Node) error {
			return resilience.Mark(errors.New("down"), resilience.NotSent)
		})
	}})
	err := do(t, b, client, resilience.Unsafe("pay"), b.Op)
	if !resilience.IsAmbiguous(err) || !errors.Is(err, errOp) {
		t.Errorf("%v: the doubt is lost", err)
	}
	same := newClient(t, b, config{Settings: sets{Attempts: 1}, Fallback: func(_ context.Context, _ *resilience.Call, err error) error { return err }})
	if err := do(t, b, same, resilience.Unsafe("pay"), b.Op); !resilience.IsAmbiguous(err) || err.Error() != callError(t, err).Error() {
		t.Errorf("%v: want the call's own error, once", err)
	}
}

// TestFallbackForRejections: where the service breaker is open, the fallback
// answers; and where the last word was an answer that came after a doubt.
func TestFallbackForRejections(t *testing.T) {
	t.Parallel()
	b := newBench(steps(fails(resilience.Ambiguous), fails(resilience.Failed), fails(resilience.Ambiguous)))
	var asked []error
	client := newClient(t, b, config{
		Fallback: func(_ context.Context, _ *resilience.Call, err error) error { asked = append(asked, err); return nil },
		Settings: sets{Attempts: 2, Backoff: noPause, ServiceBreaker: &resilience.RuleSettings{Rule: "consecutive", N: 1}},
	})
	for range 3 {
		if err := do(t, b, client, resilience.Keyed("pay", "k"), b.Op); err != nil {
			t.Error(err)
		}
	}
	if len(asked) != 3 || !resilience.IsAmbiguous(asked[0]) || !resilience.IsAmbiguous(asked[1]) || !errors.Is(asked[2], breaker.ErrOpen) {
		t.Errorf("asked about %v", asked)
	}
}

// TestFallbackHeedsMarks: a wrapper between it and the retries may know that
// the call was answered.
func TestFallbackHeedsMarks(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[resilience.Outcome]bool{resilience.Failed: false, resilience.Ambiguous: true} {
		asked := false
		b := oneNode("", forever(fails(resilience.NotSent)))
		stack := resilience.Stack(
			resilience.Fallback(func(context.Context, *resilience.Call, error) error { asked = true; return nil }),
			func(next resilience.Func) resilience.Func {
				return func(ctx context.Context, call *resilience.Call) error {
					return resilience.Mark(next(ctx, call), outcome)
				}
			},
			resilience.Retry(resilience.Retries{Clock: b.Clock()}),
		)
		if _ = byHand(b, stack, new(resilience.Call)); asked != want {
			t.Errorf("%v: asked %v, want %v", outcome, asked, want)
		}
	}
}

// TestServiceBreaker: it opens when calls fail in spite of their retries, not
// for what the service answers, and it rejects whole calls.
func TestServiceBreaker(t *testing.T) {
	t.Parallel()
	errMissing := errors.New("no such row")
	rule := &resilience.RuleSettings{Rule: "consecutive", N: 3}
	rule.OpenFor = time.Second
	answers := func(_ context.Context, err error) resilience.Outcome {
		if errors.Is(err, errMissing) {
			return resilience.Failed
		}
		return resilience.Classify(context.Background(), err)
	}
	b := newBench(forever(reply{Err: errMissing}))
	client := newClient(t, b, config{Service: "s", Classify: answers, Settings: sets{ServiceBreaker: rule, Attempts: 2, Backoff: noPause}})
	call := func() error { return do(t, b, client, resilience.Safe("m"), b.Op) }
	for range 10 {
		if err := call(); !errors.Is(err, errMissing) {
			t.Fatal("an answer:", err)
		}
	}
	b.Node("a", forever(fails(resilience.Ambiguous)))
	for range 3 {
		if err := call(); !errors.Is(err, errOp) {
			t.Fatal("a failure:", err)
		}
	}
	n := b.Attempts("a")
	err := call()
	var open *breaker.OpenError
	if !errors.Is(err, breaker.ErrOpen) || !errors.As(err, &open) || open.Key != "s" || open.RetryAfter <= 0 || b.Attempts("a") != n {
		t.Errorf("%v: want a rejection, and no attempt", err)
	}
	if e := callError(t, err); e.Ambiguous() || len(e.Attempts) != 0 {
		t.Errorf("%+v", e)
	}

	b.Node("a", nil)
	b.Run(func() { b.Sleep(2 * time.Second) })
	if err := call(); err != nil {
		t.Errorf("after the open time: %v", err)
	}
	changes := ""
	for _, e := range b.Events(resilience.ServiceBreakerEvent) {
		changes += e.Breaker.From.String() + ">" + e.Breaker.To.String() + " "
		if e.Service != "s" || e.At.IsZero() {
			t.Errorf("%+v", e)
		}
	}
	if changes != "closed>open open>half-open half-open>closed " {
		t.Errorf("events: %s", changes)
	}
}

// TestServiceBreakerSurvivesUpdate: new settings do not close it.
func TestServiceBreakerSurvivesUpdate(t *testing.T) {
	t.Parallel()
	b := newBench(forever(fails(resilience.Ambiguous)))
	settings := sets{Attempts: 1, ServiceBreaker: &resilience.RuleSettings{Rule: "consecutive", N: 1}}
	client := newClient(t, b, config{Settings: settings})
	_ = do(t, b, client, resilience.Safe("m"), b.Op)
	for _, attempts := range []int{2, 3} {
		settings.Attempts = attempts
		if err := client.Update(settings); err != nil {
			t.Fatal(err)
		}
		if err := do(t, b, client, resilience.Safe("m"), b.Op); !errors.Is(err, breaker.ErrOpen) {
			t.Errorf("%v, want it open still", err)
		}
	}
	settings.ServiceBreaker = nil
	if err := client.Update(settings); err != nil {
		t.Fatal(err)
	}
	if err := do(t, b, client, resilience.Safe("m"), b.Op); errors.Is(err, breaker.ErrOpen) {
		t.Error("taken away, and it still rejects")
	}
}

// TestServiceEngine: a breaker of the user's own in the place of the native
// one: inside the bulkhead and the fallback, kept over updates.
func TestServiceEngine(t *testing.T) {
	t.Parallel()
	b := newBench(nil)
	engine := newCountingEngine(t, b)
	cfg := config{Service: "s", ServiceEngine: engine, Fallback: func(_ context.Context, _ *resilience.Call, err error) error {
		if errors.Is(err, breaker.ErrOpen) {
			return nil
		}
		return err
	}}
	client := newClient(t, b, cfg)
	own, ok := client.ServiceBreaker().(*countingBreaker)
	if !ok || own.Snapshot().Key != "s" {
		t.Fatalf("the service breaker is %v", client.ServiceBreaker())
	}
	call := func() error { return do(t, b, client, resilience.Safe("m"), b.Op) }
	if err := call(); err != nil || own.last != 1 || engine.out != 0 {
		t.Errorf("%v, %d permits, %d out", err, own.last, engine.out)
	}
	own.Trip(breaker.Reason{Cause: breaker.ByHand})
	n := b.Attempts("a")
	if err := call(); err != nil || b.Attempts("a") != n {
		t.Errorf("%v, %d attempts more: want the fallback's answer, and none", err, b.Attempts("a")-n)
	}
	if err := client.Update(sets{Attempts: 2}); err != nil || client.ServiceBreaker() != breaker.Breaker(own) {
		t.Errorf("%v: another one after the update", err)
	}
	both := sets{Attempts: 9, ServiceBreaker: &resilience.RuleSettings{}}
	cfg.Settings = both
	if _, err := resilience.New(cfg); err == nil || !strings.Contains(err.Error(), "serviceBreaker") {
		t.Errorf("two service breakers: %v", err)
	}
	if err := client.Update(both); err == nil || client.Settings().Attempts != 2 {
		t.Errorf("two service breakers after an update: %v, %d attempts", err, client.Settings().Attempts)
	}
	if err := client.Update(sets{}); err != nil {
		t.Error("the refused update has left something behind:", err)
	}
}

// TestClientTellsItsGuards, for those who look from outside.
func TestClientTellsItsGuards(t *testing.T) {
	t.Parallel()
	b := newBench(nil)
	client := newClient(t, b, config{Settings: sets{Bulkhead: 2}})
	if client.ServiceBreaker() != nil {
		t.Error("a service breaker that nobody asked for")
	}
	b.Run(func() {
		b.Go(func() {
			_ = client.Do(context.Background(), resilience.Safe("m"), func(context.Context, *selector.Node) error { b.Sleep(ms); return nil })
		})
		b.Sleep(ms / 2)
		if n := client.InFlight(); n != 1 {
			t.Errorf("%d in flight, want 1", n)
		}
	})
	if n := client.InFlight(); n != 0 {
		t.Errorf("%d in flight, want none", n)
	}
	if err := client.Update(sets{ServiceBreaker: &resilience.RuleSettings{Rule: "count"}}); err != nil {
		t.Fatal(err)
	}
	if in, ok := client.ServiceBreaker().(breaker.Inspector); !ok || in.Snapshot().MinCalls != 20 {
		t.Errorf("the service breaker is %v", client.ServiceBreaker())
	}
}
