package board

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/resiliencetest"
)

// TestCandidate: what other settings would have done, beside what was done.
func TestCandidate(t *testing.T) {
	t.Parallel()
	bench := resiliencetest.New(1)
	b := newBoard(t, Config{Steer: BearerToken("ann", secret)})
	for _, id := range []string{"a", "b", "c"} {
		bench.Node(id, nil)
	}
	bench.Node("b", func(_ int, at time.Duration) reply {
		if at > time.Second && at < 4*time.Second {
			return fails(resilience.Ambiguous)
		}
		return reply{}
	})
	c := benchClient(t, bench, b, config{Service: "s", Settings: sets{Ejection: resilience.EjectionSettings{Off: true}}})
	order := func(body string, code int) {
		t.Helper()
		if w := post(t, b, body, nil); w.Code != code {
			t.Fatalf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	run := func(until time.Duration) {
		bench.Run(func() {
			for bench.Elapsed() < until {
				_ = c.Do(context.Background(), resilience.Safe("m"), bench.Op)
				bench.Sleep(20 * tick)
			}
		})
	}
	order(`{"service":"s","do":"candidate-off","why":"x"}`, http.StatusConflict)
	order(`{"service":"s","do":"candidate","settings":{"attempts":-1},"why":"x"}`, http.StatusBadRequest)
	order(`{"service":"s","do":"candidate","why":"x"}`, http.StatusBadRequest)
	order(`{"service":"s","do":"candidate","settings":{"ejection":{"off":false},"serviceBreaker":{}},"why":"shall we?"}`, http.StatusNoContent)
	service := func() Service { return b.State().Services[0] }
	run(3 * time.Second)
	s := service()
	node := s.Nodes[1]
	if s.Trial == nil || s.Trial.Settings.Ejection.Off || !s.Settings.Ejection.Off || s.Trial.Would != 1 || s.Trial.Were != 0 || s.Trial.Breaker == nil || !s.Trial.Breaker.Shadow {
		t.Fatalf("%+v", s.Trial)
	}
	w := node.Would
	if node.Ejected || w == nil || !w.Ejected || w.RetryAt == nil || w.Times != 1 || w.OutFor < 1000 || w.OutFor > 2000 || w.LastEjection.Reason.Failures == 0 || len(node.History) != 0 {
		t.Errorf("%+v, would: %+v", node, w)
	}
	run(12 * time.Second)
	s = service()
	w = s.Nodes[1].Would
	if w.Ejected || w.Times != 1 || w.OutFor < 3000 || w.OutFor > 8000 || s.Nodes[0].Would.Times != 0 {
		t.Errorf("would: %+v", w)
	}
	var told []string
	for _, e := range b.State().Log {
		if e.Candidate && e.Kind != "probe failed" {
			told = append(told, e.Kind+" "+e.Node)
			if (e.Kind == "readmitted") != (e.OutFor > 0) || e.OutFor > 0 && e.OutFor != w.OutFor {
				t.Errorf("%+v, want %v", e, w.OutFor)
			}
		}
	}
	if got := strings.Join(told, ", "); got != "ejected b, readmitted b" {
		t.Error(got)
	}
	order(`{"service":"s","do":"candidate-adopt","node":"a","why":"x"}`, http.StatusBadRequest)
	order(`{"service":"s","do":"candidate-adopt","why":"it does well"}`, http.StatusNoContent)
	if s := service(); s.Trial != nil || s.Settings.Ejection.Off || s.Settings.ServiceBreaker == nil || s.Nodes[0].Would != nil {
		t.Errorf("adopted: %+v", s)
	}
	if err := c.Selector().Eject("b", "by hand"); err != nil {
		t.Fatal(err)
	}
	order(`{"service":"s","do":"candidate","settings":{},"why":"another"}`, http.StatusNoContent)
	if s := service(); s.Trial.Would != 0 || s.Trial.Were != 0 || s.Nodes[1].Would.Times != 0 {
		t.Errorf("the next one begins with %+v, %+v", s.Trial, s.Nodes[1].Would)
	}
	bench.Sleep(time.Second)
	if err := c.Selector().Eject("a", "by hand"); err != nil {
		t.Fatal(err)
	}
	if s := service(); s.Trial.Were != 1 {
		t.Errorf("%+v", s.Trial)
	}
	order(`{"service":"s","do":"candidate-off","why":"enough"}`, http.StatusNoContent)
	if service().Trial != nil {
		t.Error("it goes on")
	}
}

// TestOutFor: the log says how long a node was out.
func TestOutFor(t *testing.T) {
	t.Parallel()
	bench := resiliencetest.New(1)
	b := newBoard(t, Config{})
	bench.Node("a", nil)
	bench.Node("b", nil)
	c := benchClient(t, bench, b, config{Service: "s"})
	if err := c.Selector().Eject("b", "x"); err != nil {
		t.Fatal(err)
	}
	bench.Run(func() { bench.Sleep(3 * time.Second) })
	if err := c.Selector().Readmit("b", "x"); err != nil {
		t.Fatal(err)
	}
	list := b.State().Log
	if last := list[len(list)-1]; last.Kind != "readmitted" || last.OutFor != 3000 {
		t.Errorf("%+v", last)
	}
}
