package resilience_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/resiliencetest"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// trace is what happened in a run, as a hash every so many lines.
type trace struct {
	sum    hash.Hash
	lines  int
	marks  []string
	counts map[string]int
}

const markEvery = 1000

func (tr *trace) line(format string, args ...any) {
	fmt.Fprintf(tr.sum, format, args...)
	if tr.lines++; tr.lines%markEvery == 0 {
		tr.marks = append(tr.marks, fmt.Sprintf("%x", tr.sum.Sum(nil)))
	}
}

// Observe writes down every field that is no pointer.
func (tr *trace) Observe(e resilience.Event) {
	tr.counts[e.Kind.String()]++
	switch e.Kind {
	case resilience.CallDone:
		tr.counts[e.Why.String()]++
	case resilience.AttemptDone:
		tr.counts[e.Outcome.Name]++
	case resilience.NodeEvent:
		tr.counts[e.Change.Kind.String()]++
		tr.line("%+v\n", e.Change.Reason)
	}
	node := ""
	if e.Node != nil {
		node = e.Node.ID
	}
	tr.line("%d %v %s %v %d %q %v %+v %v %v %v %v %v %v\n", e.Kind, e.At.UnixNano(), e.Method, e.Idempotency, e.Attempt, node,
		e.Probe, e.Outcome, e.Start.UnixNano(), e.Elapsed, e.Wait, e.Why, e.Ambiguous, e.Err)
}

// TestDeterminism: 100 000 calls through Client.Do, unchanged, in virtual
// time, with latencies, failures, timeouts, retries, ejections and changes of
// the set, twice: not one byte of what happened differs. Another seed gives
// another run.
func TestDeterminism(t *testing.T) {
	t.Parallel()
	calls := 100_000
	first, again, other := traffic(t, 3, calls), traffic(t, 3, calls), traffic(t, 1, calls/100)
	for i, mark := range first.marks {
		if i >= len(again.marks) || again.marks[i] != mark {
			t.Fatalf("the runs differ between lines %d and %d", i*markEvery, (i+1)*markEvery)
		}
	}
	if a, b := first.sum.Sum(nil), again.sum.Sum(nil); string(a) != string(b) || first.lines != again.lines {
		t.Errorf("%d lines, %x; then %d lines, %x", first.lines, a, again.lines, b)
	}
	if other.marks[0] == first.marks[0] {
		t.Error("another seed, the same run: nothing was random")
	}
	t.Logf("%d lines, %x\n%v", first.lines, first.sum.Sum(nil), first.counts)
	for kind, least := range map[string]int{
		"call done": calls, "attempt done": calls * 9 / 10, "retry waiting": 1000, "granted": calls / 2,
		"attempts exhausted": 20, "not repeatable": 100, "cancelled": 20, "retry budget exhausted": 20, "out of time": 5,
		"succeeded": calls / 2, "not sent": 1000, "ambiguous": 1000, "refused": 100, "abandoned": 20,
		"ejected": 5, "readmitted": 5, "nodes changed": 5, "service breaker": 4, "stopped": 20,
	} {
		if first.counts[kind] < least {
			t.Errorf("%s: %d times, want at least %d", kind, first.counts[kind], least)
		}
	}
}

func traffic(t *testing.T, seed uint64, calls int) *trace {
	t.Helper()
	b := resiliencetest.New(seed)
	chance := func(p float64) bool { return clock.Float64(b.Clock()) < p }
	jitter := func(d time.Duration) time.Duration { return clock.Jitter(b.Clock(), d) }
	well := func(_ int, _ time.Duration) reply {
		r := reply{After: 5*ms + jitter(10*ms)}
		switch {
		case chance(.01):
			r.Outcome = resilience.Ambiguous
		case chance(.005):
			r.Outcome = resilience.Refused
			r.Outcome.After = jitter(500 * ms)
		case chance(.002):
			r.Hang = true
		case chance(.01):
			r.Outcome = resilience.Failed
		}
		return r
	}
	ill := []resiliencetest.Script{
		forever(reply{Outcome: resilience.NotSent}),
		hang,
		forever(reply{After: 5 * ms, Outcome: resilience.Ambiguous}),
		func(_ int, _ time.Duration) reply { return reply{After: 200*ms + jitter(time.Second)} },
	}
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		b.Node(id, well)
	}
	tr := &trace{sum: sha256.New(), counts: map[string]int{}}
	client, err := b.Client(config{Observer: tr, Settings: sets{
		Attempts: 4, AttemptTimeout: 100 * ms, Budget: resilience.BudgetSettings{Share: .1},
		ServiceBreaker: &resilience.RuleSettings{Rule: "rate", Threshold: .5, Window: time.Second, MinCalls: 30, Ramp: 200 * ms}, Bulkhead: 500,
		Methods: map[string]resilience.MethodSettings{"read": {Idempotency: retry.Safe}, "pay": {Timeout: time.Second}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	hints := []resilience.Hint{{Method: "read"}, resilience.Keyed("order", "k"), resilience.Unsafe("pay"), resilience.Idempotent("put")}
	over := false
	b.Run(func() {
		b.Go(func() { // something is always wrong somewhere
			for i := 0; !over; i++ {
				id := string(rune('a' + i%5))
				b.Sleep(2 * time.Second)
				b.Node(id, ill[i%len(ill)])
				b.Sleep(jitter(5 * time.Second))
				b.Node(id, well)
				if i%5 == 4 { // the whole service, for a moment
					for _, id := range []string{"a", "b", "c", "d", "e"} {
						b.Node(id, ill[i%len(ill)])
					}
					b.Sleep(jitter(time.Second))
					for _, id := range []string{"a", "b", "c", "d", "e"} {
						b.Node(id, well)
					}
				}
				if i%7 == 6 {
					b.SetNodes(selector.Node{ID: "a"}, selector.Node{ID: "b", Weight: 2}, selector.Node{ID: "c"})
					b.Sleep(time.Second)
					b.SetNodes(selector.Node{ID: "a"}, selector.Node{ID: "b"}, selector.Node{ID: "c"}, selector.Node{ID: "d"}, selector.Node{ID: "e"})
				}
			}
		})
		for i := range calls {
			b.Go(func() {
				ctx, cancel := b.WithTimeout(context.Background(), 300*ms+jitter(time.Second))
				defer cancel()
				err := client.Do(ctx, hints[i%len(hints)], b.Op)
				tr.line("%d: %v %v\n", i, b.Elapsed(), err)
			})
			b.Sleep(jitter(4 * ms))
		}
		over = true
	})
	idle(t, client)
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	return tr
}
