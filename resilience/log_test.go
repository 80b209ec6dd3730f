package resilience_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// logged tells o the events and returns the lines, without their time.
func logged(level slog.Level, events ...resilience.Event) []string {
	var buf bytes.Buffer
	o := resilience.LogEvents(slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: level, ReplaceAttr: noTime})))
	for _, e := range events {
		o.Observe(e)
	}
	return strings.Split(strings.TrimSpace(buf.String()), "\n")
}

func noTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// TestLogLines: what each event becomes.
func TestLogLines(t *testing.T) {
	t.Parallel()
	node := &selector.Node{ID: "a", Addr: "10.0.0.1:80"}
	change := func(c selector.Event) resilience.Event {
		return resilience.Event{Kind: resilience.NodeEvent, Change: &c}
	}
	tests := []struct {
		e    resilience.Event
		want string
	}{
		{
			resilience.Event{Kind: resilience.AttemptDone, Service: "users", Method: "get", Attempt: 2, Node: node, Outcome: resilience.Ambiguous, Elapsed: 3 * ms, Err: errOp},
			`INFO msg="attempt failed" service=users method=get node=a addr=10.0.0.1:80 attempt=2 outcome=ambiguous elapsed=3ms err="the op's own error"`,
		},
		{resilience.Event{Kind: resilience.AttemptDone, Attempt: 1, Node: node, Probe: true, Outcome: resilience.Succeeded}, `DEBUG msg="attempt done" node=a addr=10.0.0.1:80 attempt=1 probe=true outcome=succeeded`},
		{resilience.Event{Kind: resilience.AttemptDone, Attempt: 1, Outcome: resilience.Failed, Err: errOp}, `DEBUG msg="attempt answered with an error" attempt=1 outcome=failed err="the op's own error"`},
		{resilience.Event{Kind: resilience.AttemptDone, Attempt: 1, Outcome: resilience.Abandoned, Err: context.Canceled}, `DEBUG msg="attempt given up by its caller" attempt=1 outcome=abandoned err="context canceled"`},
		{resilience.Event{Kind: resilience.AttemptDone, Attempt: 1, Outcome: resilience.Abandoned, Err: context.DeadlineExceeded}, `INFO msg="attempt failed" attempt=1 outcome=abandoned err="context deadline exceeded"`},
		{resilience.Event{Kind: resilience.RetryWaiting, Attempt: 1, Outcome: resilience.NotSent, Wait: ms}, `DEBUG msg="waiting to try again" attempt=1 outcome="not sent" wait=1ms`},
		{resilience.Event{Kind: resilience.CallDone, Attempt: 1, Outcome: resilience.Succeeded}, `DEBUG msg="call done" attempts=1 outcome=succeeded`},
		{
			resilience.Event{Kind: resilience.CallDone, Attempt: 3, Outcome: resilience.NotSent, Why: retry.Exhausted, Err: errOp},
			`WARN msg="call failed" attempts=3 outcome="not sent" why="attempts exhausted" err="the op's own error"`,
		},
		{
			resilience.Event{Kind: resilience.CallDone, Attempt: 1, Outcome: resilience.Ambiguous, Why: retry.NotRepeatable, Ambiguous: true, Err: errOp},
			`ERROR msg="call failed and may have been carried out" attempts=1 outcome=ambiguous why="not repeatable" err="the op's own error"`,
		},
		{resilience.Event{Kind: resilience.CallDone, Attempt: 1, Outcome: resilience.Failed, Why: retry.Final, Err: errOp}, `DEBUG msg="call answered with an error" attempts=1 outcome=failed why=final err="the op's own error"`},
		{
			resilience.Event{Kind: resilience.CallDone, Attempt: 1, Outcome: resilience.Abandoned, Why: retry.Cancelled, Ambiguous: true, Err: context.Canceled},
			`DEBUG msg="call given up by its caller" attempts=1 outcome=abandoned why=cancelled err="context canceled"`,
		},
		{
			resilience.Event{Kind: resilience.CallDone, Attempt: 1, Outcome: resilience.Abandoned, Why: retry.Cancelled, Ambiguous: true, Err: context.DeadlineExceeded},
			`ERROR msg="call failed and may have been carried out" attempts=1 outcome=abandoned why=cancelled err="context deadline exceeded"`,
		},
		{resilience.Event{Kind: resilience.FallbackDone, Attempt: 2}, `INFO msg="fallback answered" attempts=2`},
		{resilience.Event{Kind: resilience.FallbackDone, Attempt: 2, Err: errOp}, `WARN msg="fallback failed" attempts=2 err="the op's own error"`},
		{
			change(selector.Event{Kind: selector.Ejected, Node: node, OpenFor: time.Second, Reason: breaker.Reason{Cause: breaker.ByEjector, Rule: "worse", Score: 9.5, Threshold: 9.2, Calls: 7, Failures: 6}}),
			`WARN msg="node ejected" node=a addr=10.0.0.1:80 open_for=1s reason.cause=ejector reason.rule=worse reason.score=9.5 reason.threshold=9.2 reason.calls=7 reason.failures=6`,
		},
		{
			resilience.Event{Kind: resilience.CandidateEvent, Change: &selector.Event{Kind: selector.Ejected, Node: node, OpenFor: time.Second}},
			`INFO msg="candidate settings would have done so" node=a addr=10.0.0.1:80 change=ejected open_for=1s`,
		},
		{
			resilience.Event{Kind: resilience.CandidateEvent, Breaker: &breaker.Event{From: breaker.Closed, To: breaker.Open, Shadow: true}},
			`INFO msg="candidate settings would have done so" from=closed to=open shadow=true`,
		},
		{change(selector.Event{Kind: selector.NodesChanged, Nodes: 3, Added: 2, Removed: 1}), `INFO msg="nodes changed" nodes=3 added=2 removed=1`},
		{change(selector.Event{Kind: selector.SourceFailed, Err: errOp}), `ERROR msg="source of nodes failed" err="the op's own error"`},
		{change(selector.Event{Kind: selector.Spared, Node: node}), `WARN msg="node kept in spite of its failures: the others do no better" node=a addr=10.0.0.1:80`},
		{change(selector.Event{Kind: 99, Node: node}), `INFO msg="node event" node=a addr=10.0.0.1:80`},
		{
			resilience.Event{Kind: resilience.ServiceBreakerEvent, Breaker: &breaker.Event{To: breaker.Open, OpenFor: time.Second, Shadow: true, Reason: breaker.Reason{Cause: breaker.ByHand, Note: "me"}}},
			`WARN msg="service breaker opened" from=closed to=open shadow=true open_for=1s reason.cause=hand reason.note=me`,
		},
		{
			resilience.Event{Kind: resilience.ServiceBreakerEvent, Breaker: &breaker.Event{From: breaker.Open, To: breaker.HalfOpen, Reason: breaker.Reason{Cause: breaker.ByOpenTime}}},
			`INFO msg="service breaker changed" from=open to=half-open reason.cause=open-time`,
		},
		{resilience.Event{Kind: resilience.SettingsRefused, Err: errOp}, `ERROR msg="settings refused" err="the op's own error"`},
		{resilience.Event{Kind: resilience.ClientOpened, Service: "users"}, `INFO msg="client opened" service=users`},
		{resilience.Event{Kind: 99}, `INFO msg=event`},
	}
	for _, tt := range tests {
		if got := logged(slog.LevelDebug, tt.e); len(got) != 1 || got[0] != "level="+tt.want {
			t.Errorf("got  %q\nwant %q", got, "level="+tt.want)
		}
	}
	for k := range selector.Spared + 1 {
		if got := logged(slog.LevelDebug, change(selector.Event{Kind: k, Node: node}))[0]; strings.Contains(got, `"node event"`) || strings.Contains(got, `msg=""`) {
			t.Errorf("no line for %v", k)
		}
	}
	for k := range resilience.SettingsRefused + 1 {
		e := resilience.Event{Kind: k, Change: &selector.Event{}, Breaker: &breaker.Event{}}
		if got := logged(slog.LevelDebug, e)[0]; strings.Contains(got, `msg=event`) || strings.Contains(got, `msg=""`) {
			t.Errorf("no line for %v", k)
		}
	}
}

// TestLogIsBounded: ten lines of a kind a second, the next says how many were
// left out; other kinds, other clients and other seconds have their own.
func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	failed := func(after time.Duration) resilience.Event {
		return resilience.Event{Kind: resilience.AttemptDone, Attempt: 1, Outcome: resilience.NotSent, Err: errOp, At: at.Add(after)}
	}
	var events []resilience.Event
	for i := range 1000 {
		events = append(events, failed(time.Duration(i)*ms/2))
	}
	events = append(events, resilience.Event{Kind: resilience.ClientClosed, At: at}, failed(1000*ms), failed(1001*ms))
	got := logged(slog.LevelInfo, events...)
	if len(got) != 13 || !strings.Contains(got[10], "client closed") || !strings.HasSuffix(got[11], " suppressed=990") || strings.Contains(got[12], "suppressed") {
		t.Errorf("%d lines:\n%s", len(got), strings.Join(got, "\n"))
	}
	var buf bytes.Buffer
	o := resilience.LogEvents(slog.New(slog.NewTextHandler(&buf, nil)))
	for _, name := range []string{"a", "b"} {
		client := o.Watch(name)
		for range 20 {
			client.Observe(failed(0))
		}
	}
	if a, b := strings.Count(buf.String(), "service=a"), strings.Count(buf.String(), "service=b"); a != 10 || b != 10 {
		t.Errorf("%d lines of a, %d of b, want 10 of each", a, b)
	}
}

// TestLogAsksFirst: what the logger does not want is neither put together nor
// counted.
func TestLogAsksFirst(t *testing.T) {
	o := resilience.LogEvents(slog.New(slog.NewTextHandler(new(bytes.Buffer), nil))).Watch("users")
	e := resilience.Event{Kind: resilience.CallDone, Attempt: 1, Outcome: resilience.Succeeded, Method: "get"}
	if n := testing.AllocsPerRun(100, func() { o.Observe(e) }); n != 0 {
		t.Errorf("%v allocations for a line that nobody wants", n)
	}
}

// TestLogDefault: without a logger of its own, the default one as it is at the
// time.
func TestLogDefault(t *testing.T) {
	o := resilience.LogEvents(nil).Watch("users")
	old := slog.Default()
	defer slog.SetDefault(old)
	var buf bytes.Buffer
	slog.SetDefault(slog.New(slog.NewTextHandler(&buf, nil)))
	o.Observe(resilience.Event{Kind: resilience.ClientOpened, Service: "users"})
	if got := buf.String(); !strings.Contains(got, "client opened") || strings.Count(got, "service=users") != 1 {
		t.Error(got)
	}
}

// TestLogOfAClient: a whole client writes, and its events come through
// Observers.
func TestLogOfAClient(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	b := newBench(steps(fails(resilience.Ambiguous)), forever(reply{After: ms}))
	o := resilience.LogEvents(slog.New(slog.NewJSONHandler(&buf, nil)))
	client := newClient(t, b, config{Service: "users", Observer: resilience.Observers(o, nil)})
	if err := do(t, b, client, resilience.Unsafe("pay"), b.Op); !resilience.IsAmbiguous(err) {
		t.Fatal(err)
	}
	var texts []string
	for raw := range strings.Lines(buf.String()) {
		var l struct{ Level, Msg, Service, Method, Node, Outcome string }
		if err := json.Unmarshal([]byte(raw), &l); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, fmt.Sprintf("%s %s: %s %s %s", l.Level, l.Msg, l.Service, l.Method, l.Node))
	}
	want := "INFO nodes changed: users  |INFO client opened: users  |INFO attempt failed: users pay a|ERROR call failed and may have been carried out: users pay "
	if got := strings.Join(texts, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
