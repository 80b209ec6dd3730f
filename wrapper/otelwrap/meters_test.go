package otelwrap_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/resiliencetest"
)

func wantValues(t *testing.T, s *sink, name string, want map[string]int64) {
	t.Helper()
	if got := s.values(t, name); !maps.Equal(got, want) {
		t.Errorf("%s\ngot  %v\nwant %v", name, got, want)
	}
}

// TestDurations: calls and attempts, by how they ended.
func TestDurations(t *testing.T) {
	b := resiliencetest.New(1)
	b.Node("a", resiliencetest.Steps(
		resiliencetest.Reply{Outcome: resilience.NotSent, Err: errOp}, resiliencetest.Reply{After: ms}, resiliencetest.Reply{Outcome: resilience.Ambiguous, Err: errOp},
	))
	s := newSink()
	client := newClient(t, b, s, resilience.Config{Service: "users"})
	_ = do(b, client, resilience.Safe("get"), b.Op)
	_ = do(b, client, resilience.Unsafe("pay"), b.Op)
	wantValues(t, s, "holdfast.client.attempt.duration", map[string]int64{
		"error.type=not sent holdfast.method=get holdfast.outcome=not sent holdfast.retry=false service.peer.name=users":   1,
		"holdfast.method=get holdfast.outcome=succeeded holdfast.retry=true service.peer.name=users":                       1,
		"error.type=ambiguous holdfast.method=pay holdfast.outcome=ambiguous holdfast.retry=false service.peer.name=users": 1,
	})
	wantValues(t, s, "holdfast.client.call.duration", map[string]int64{
		"holdfast.ambiguous=false holdfast.method=get holdfast.outcome=succeeded service.peer.name=users":                     1,
		"error.type=ambiguous holdfast.ambiguous=true holdfast.method=pay holdfast.outcome=ambiguous service.peer.name=users": 1,
	})
}

// TestNodes: ejections, readmissions and how many there are, as long as the
// client is open.
func TestNodes(t *testing.T) {
	b := resiliencetest.New(1)
	for _, id := range []string{"a", "b", "c"} {
		b.Node(id, resiliencetest.Steps(resiliencetest.Reply{After: ms}))
	}
	s := newSink()
	client := newClient(t, b, s, resilience.Config{Service: "users", Settings: resilience.Settings{ServiceBreaker: &resilience.RuleSettings{}}})
	b.Node("b", resiliencetest.Steps(resiliencetest.Reply{Outcome: resilience.Ambiguous, Err: errOp}))
	for range 200 {
		_ = do(b, client, resilience.Safe("get"), b.Op)
	}
	const service = " service.peer.name=users"
	wantValues(t, s, "holdfast.client.nodes", map[string]int64{"holdfast.state=admitted" + service: 2, "holdfast.state=ejected" + service: 1})
	wantValues(t, s, "holdfast.client.ejections", map[string]int64{"holdfast.decision=ejected" + service: 1})
	client.ServiceBreaker().(*breaker.Circuit).Trip(breaker.Reason{Cause: breaker.ByHand})
	wantValues(t, s, "holdfast.client.breaker.changes", map[string]int64{"holdfast.state=open" + service: 1})
	_ = client.Close()
	wantValues(t, s, "holdfast.client.nodes", map[string]int64{})
}

// TestHostileMethods: a method a call does not make a series a call.
func TestHostileMethods(t *testing.T) {
	b := resiliencetest.New(1)
	b.Node("a", resiliencetest.Steps(resiliencetest.Reply{After: ms}))
	s := newSink()
	s.TracerProvider = nil
	client := newClient(t, b, s, resilience.Config{})
	b.Run(func() {
		for i := range 3000 {
			_ = client.Do(t.Context(), resilience.Safe(fmt.Sprint("m", i)), b.Op)
		}
	})
	got := s.values(t, "holdfast.client.call.duration")
	if n := len(got); n > 1030 {
		t.Errorf("%d series", n)
	}
	sum := int64(0)
	for _, n := range got {
		sum += n
	}
	if sum != 3000 {
		t.Errorf("%d calls counted, want 3000", sum)
	}
}
