package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// TestEvents: one call, told in order, with everything an observer could want
// to know.
func TestEvents(t *testing.T) {
	t.Parallel()
	b := newBench(steps(
		reply{After: 10 * ms, Outcome: resilience.Ambiguous, Err: errOp},
		reply{After: 20 * ms, Outcome: resilience.NotSent, Err: errOp},
		reply{After: 30 * ms},
		reply{After: 40 * ms, Outcome: resilience.Ambiguous, Err: errOp},
	))
	client := newClient(t, b, config{Service: "s", Settings: sets{Backoff: resilience.BackoffSettings{Initial: ms}}})
	begin := b.Clock().Now()
	if err := do(t, b, client, resilience.Keyed("m", "k"), b.Op); err != nil {
		t.Fatal(err)
	}
	if err := do(t, b, client, resilience.Unsafe("pay"), b.Op); err == nil {
		t.Fatal("no error")
	}
	events := b.Events(resilience.AttemptDone, resilience.RetryWaiting, resilience.CallDone)
	node := client.Selector().Nodes()[0].Node
	w1, w2 := events[1].Wait, events[3].Wait
	if w1 <= 0 || w1 > ms || w2 <= 0 || w2 > 2*ms {
		t.Errorf("waits %v and %v", w1, w2)
	}
	at := func(d time.Duration) time.Time { return begin.Add(d) }
	keyed := resilience.Event{Context: context.Background(), Service: "s", Method: "m", Idempotency: retry.Keyed, Node: node}
	want := make([]resilience.Event, 0, 8)
	add := func(e resilience.Event, change func(*resilience.Event)) { change(&e); want = append(want, e) }
	add(keyed, func(e *resilience.Event) {
		e.Kind, e.Attempt, e.Outcome, e.Err = resilience.AttemptDone, 1, resilience.Ambiguous, errOp
		e.Start, e.At, e.Elapsed = at(0), at(10*ms), 10*ms
	})
	add(keyed, func(e *resilience.Event) {
		e.Kind, e.Attempt, e.Outcome, e.Wait = resilience.RetryWaiting, 1, resilience.Ambiguous, w1
		e.Start, e.At = at(0), at(10*ms)
	})
	add(keyed, func(e *resilience.Event) {
		e.Kind, e.Attempt, e.Outcome, e.Err = resilience.AttemptDone, 2, resilience.NotSent, errOp
		e.Start, e.At, e.Elapsed = at(10*ms+w1), at(30*ms+w1), 20*ms
	})
	add(keyed, func(e *resilience.Event) {
		e.Kind, e.Attempt, e.Outcome, e.Wait = resilience.RetryWaiting, 2, resilience.NotSent, w2
		e.Start, e.At = at(10*ms+w1), at(30*ms+w1)
	})
	add(keyed, func(e *resilience.Event) {
		e.Kind, e.Attempt, e.Outcome = resilience.AttemptDone, 3, resilience.Succeeded
		e.Start, e.At, e.Elapsed = at(30*ms+w1+w2), at(60*ms+w1+w2), 30*ms
	})
	add(keyed, func(e *resilience.Event) {
		e.Kind, e.Attempt, e.Node, e.Outcome = resilience.CallDone, 3, nil, resilience.Succeeded
		e.Start, e.At, e.Elapsed = at(0), at(60*ms+w1+w2), 60*ms+w1+w2
	})
	pay := resilience.Event{Context: context.Background(), Service: "s", Method: "pay", Idempotency: retry.NonIdempotent, Start: at(60*ms + w1 + w2), At: at(100*ms + w1 + w2), Elapsed: 40 * ms, Err: errOp}
	add(pay, func(e *resilience.Event) {
		e.Kind, e.Attempt, e.Node, e.Outcome = resilience.AttemptDone, 1, node, resilience.Ambiguous
	})
	add(pay, func(e *resilience.Event) {
		e.Kind, e.Attempt, e.Why, e.Ambiguous, e.Outcome = resilience.CallDone, 1, retry.NotRepeatable, true, resilience.Ambiguous
	})
	if len(events) != len(want) {
		t.Fatalf("%d events, want %d", len(events), len(want))
	}
	for i, got := range events {
		if !errors.Is(got.Err, want[i].Err) || (got.Err == nil) != (want[i].Err == nil) {
			t.Errorf("event %d: %v, want %v", i, got.Err, want[i].Err)
		}
		got.Err, want[i].Err = nil, nil
		if got != want[i] {
			t.Errorf("event %d:\ngot  %+v\nwant %+v", i, got, want[i])
		}
	}
}

// TestEveryCallIsTold once, however it ends.
func TestEveryCallIsTold(t *testing.T) {
	t.Parallel()
	b := newBench(nil)
	b.Node("a", forever(reply{After: ms}))
	rule := &resilience.RuleSettings{Rule: "consecutive", N: 1}
	client := newClient(t, b, config{Settings: sets{Bulkhead: 1, ServiceBreaker: rule, Attempts: 1}})
	var want []string
	told := func(s string) { want = append(want, s) }
	b.Run(func() {
		ctx := context.Background()
		b.Go(func() { _ = client.Do(ctx, resilience.Safe("m"), b.Op) })
		b.Go(func() { _ = client.Do(ctx, resilience.Safe("m"), b.Op) })
		b.Sleep(time.Second)
		told("0: stopped, rejected") // by the bulkhead, while the first is under way
		told("1: granted, succeeded")

		gone, cancel := context.WithCancel(ctx)
		cancel()
		_ = client.Do(gone, resilience.Safe("m"), b.Op)
		told("0: cancelled, unnamed")

		b.Node("a", forever(fails(resilience.Failed)))
		_ = client.Do(ctx, resilience.Safe("m"), b.Op)
		told("1: final, failed")

		b.Node("a", forever(fails(resilience.Ambiguous)))
		_ = client.Do(ctx, resilience.Safe("m"), b.Op)
		told("1: attempts exhausted, ambiguous")

		_ = client.Do(ctx, resilience.Safe("m"), b.Op)
		told("0: stopped, rejected") // by the service breaker
	})
	var got []string
	for _, e := range b.Events(resilience.CallDone) {
		got = append(got, fmt.Sprintf("%d: %v, %v", e.Attempt, e.Why, e.Outcome))
		if e.At.IsZero() || e.Start.IsZero() || e.Method != "m" || (e.Err == nil) != (e.Why == retry.Granted) {
			t.Errorf("%+v", e)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestNodeEvents: ejection and readmission reach the observer, in order, with
// the reason and its numbers.
func TestNodeEvents(t *testing.T) {
	t.Parallel()
	b := newBench(forever(fails(resilience.Ambiguous)), nil, nil)
	client := newClient(t, b, config{Service: "s"})
	b.Run(func() {
		for range 200 {
			_ = client.Do(context.Background(), resilience.Safe("m"), b.Op)
			b.Sleep(20 * ms)
		}
		b.Node("a", nil)
		for range 600 {
			_ = client.Do(context.Background(), resilience.Safe("m"), b.Op)
			b.Sleep(100 * ms)
		}
	})
	var kinds []selector.Kind
	last := time.Time{}
	for _, e := range b.Events(resilience.NodeEvent) {
		c := e.Change
		kinds = append(kinds, c.Kind)
		if e.Service != "s" || e.At.Before(last) || e.At != c.At || e.Node != c.Node {
			t.Errorf("%+v of %+v", e, c)
		}
		last = e.At
		if c.Kind == selector.Ejected {
			if r := c.Reason; c.Node.ID != "a" || r.Cause != breaker.ByEjector || r.Score < r.Threshold || r.Threshold <= 0 || c.OpenFor <= 0 {
				t.Errorf("ejected: %+v", c)
			}
		}
	}
	ejected, readmitted := slices.Index(kinds, selector.Ejected), slices.Index(kinds, selector.Readmitted)
	if kinds[0] != selector.NodesChanged || ejected < 0 || readmitted < ejected {
		t.Errorf("%v", kinds)
	}
	probes := 0
	for _, e := range b.Events(resilience.AttemptDone) {
		if e.Probe {
			probes++
			if e.Node.ID != "a" {
				t.Errorf("a probe of %s", e.Node.ID)
			}
		}
	}
	if probes == 0 {
		t.Error("no attempt is told to be a probe")
	}
}

// TestOnNode hears of nodes only, with an Observer and without.
func TestOnNode(t *testing.T) {
	t.Parallel()
	for _, observer := range []resilience.Observer{nil, resilience.ObserverFunc(func(resilience.Event) {})} {
		var heard []selector.Kind
		client, err := resilience.New(config{Nodes: nodes(2), Observer: observer, OnNode: func(e selector.Event) { heard = append(heard, e.Kind) }})
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Do(t.Context(), resilience.Safe("m"), func(context.Context, *selector.Node) error { return nil }); err != nil {
			t.Error(err)
		}
		if err := client.Selector().Eject("node0", "for the test"); err != nil {
			t.Error(err)
		}
		if !slices.Equal(heard, []selector.Kind{selector.NodesChanged, selector.Ejected}) {
			t.Errorf("observed %v: heard %v", observer != nil, heard)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestObservers(t *testing.T) {
	t.Parallel()
	var heard []int
	hear := func(i int) resilience.Observer {
		return resilience.ObserverFunc(func(resilience.Event) { heard = append(heard, i) })
	}
	resilience.Observers(hear(1), nil, hear(2)).Observe(resilience.Event{})
	if !slices.Equal(heard, []int{1, 2}) {
		t.Error(heard)
	}
}

// TestFallbackIsTold after the call it answers for, and only where it ran.
func TestFallbackIsTold(t *testing.T) {
	t.Parallel()
	b := newBench(steps(reply{After: 10 * ms, Outcome: resilience.Ambiguous, Err: errOp}, fails(resilience.Failed), reply{}))
	second := errors.New("nothing cached")
	answer := error(nil)
	client := newClient(t, b, config{Service: "s", Fallback: func(context.Context, *resilience.Call, error) error {
		b.Sleep(5 * ms)
		return answer
	}})
	if err := do(t, b, client, resilience.Unsafe("m"), b.Op); err != nil {
		t.Error(err)
	}
	for _, want := range []error{errOp, nil} { // the service's own answer, and a success
		if err := do(t, b, client, resilience.Unsafe("m"), b.Op); !errors.Is(err, want) {
			t.Error(err)
		}
	}
	answer = second
	b.Node("a", forever(fails(resilience.Ambiguous)))
	if err := do(t, b, client, resilience.Unsafe("m"), b.Op); !errors.Is(err, second) || !errors.Is(err, errOp) {
		t.Error(err)
	}
	var got []string
	for _, e := range b.Events(resilience.CallDone, resilience.FallbackDone) {
		got = append(got, fmt.Sprintf("%v %d %v %v", e.Kind, e.Attempt, e.Elapsed, e.Err != nil))
		if e.Service != "s" || e.Method != "m" || e.At.Sub(e.Start) != e.Elapsed {
			t.Errorf("%+v", e)
		}
	}
	want := []string{
		"call done 1 10ms true", "fallback done 1 15ms false",
		"call done 1 0s true",
		"call done 1 0s false",
		"call done 1 0s true", "fallback done 1 5ms true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

// watcher keeps the observers it made, with what each has heard.
type watcher struct {
	resilience.Observer
	made []*heard
}

type heard struct {
	service string
	events  []resilience.Event
}

func (h *heard) Observe(e resilience.Event) { h.events = append(h.events, e) }

func (w *watcher) Watch(service string) resilience.Observer {
	h := &heard{service: service}
	w.made = append(w.made, h)
	return h
}

// TestWatcher: each client has an observer of its own, which hears from its
// beginning to its end; so does one in a list.
func TestWatcher(t *testing.T) {
	t.Parallel()
	w := &watcher{}
	all := 0
	list := resilience.Observers(w, nil, resilience.ObserverFunc(func(resilience.Event) { all++ }))
	op := func(context.Context, *selector.Node) error { return nil }
	for i, service := range []string{"a", "a", "b"} {
		client, err := resilience.New(config{Service: service, Nodes: nodes(2), Observer: list})
		if err != nil {
			t.Fatal(err)
		}
		for range i + 1 {
			if err := client.Do(t.Context(), resilience.Safe("m"), op); err != nil {
				t.Error(err)
			}
		}
		for range 2 {
			if err := client.Close(); err != nil {
				t.Error(err)
			}
		}
		h := w.made[i]
		if h.service != service || client.Service() != service {
			t.Errorf("of %q: made for %q, and it says %q", service, h.service, client.Service())
		}
		var kinds []resilience.EventKind
		for _, e := range h.events {
			kinds = append(kinds, e.Kind)
			if own := e.Kind == resilience.ClientOpened || e.Kind == resilience.ClientClosed; own != (e.Client == client) || e.Service != service || e.At.IsZero() {
				t.Errorf("%+v", e)
			}
		}
		want := []resilience.EventKind{resilience.NodeEvent, resilience.ClientOpened}
		for range i + 1 {
			want = append(want, resilience.AttemptDone, resilience.CallDone)
		}
		if want = append(want, resilience.ClientClosed); !slices.Equal(kinds, want) {
			t.Errorf("heard %v, want %v", kinds, want)
		}
	}
	if want := 3*3 + 2*(1+2+3); all != want {
		t.Errorf("who is no Watcher heard %d events, want %d", all, want)
	}

	if _, err := resilience.New(config{Observer: w, Engine: nilEngine{}}); err != nil {
		t.Fatal(err) // its only node could not be made; the client was
	}
	if _, err := resilience.New(config{Observer: w, ServiceEngine: nilEngine{}}); err == nil {
		t.Fatal("made with a service breaker that is nil")
	}
	for _, e := range w.made[4].events {
		if e.Kind == resilience.ClientOpened {
			t.Error("opened, though it was not made")
		}
	}
}

// nilEngine has no breakers.
type nilEngine struct{}

func (nilEngine) New(string) breaker.Breaker { return nil }

func TestEventKindNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for k := resilience.AttemptDone; k <= resilience.ClientClosed; k++ {
		seen[k.String()] = true
	}
	if len(seen) != 8 || resilience.EventKind(99).String() != "EventKind(99)" {
		t.Errorf("%v, %v", seen, resilience.EventKind(99))
	}
}
