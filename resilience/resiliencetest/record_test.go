package resiliencetest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/resiliencetest"
)

// TestLog: each kind of event has its words.
func TestLog(t *testing.T) {
	t.Parallel()
	b := resiliencetest.New(1)
	b.Node("a", resiliencetest.Steps(resiliencetest.Reply{Outcome: resilience.Ambiguous}))
	b.Node("b", nil)
	c := client(t, b, resilience.Config{Service: "s", Settings: resilience.Settings{
		Attempts: 1, Strategy: "round-robin", ServiceBreaker: &resilience.RuleSettings{Rule: "consecutive", N: 1},
	}, Fallback: func(_ context.Context, _ *resilience.Call, err error) error {
		if errors.Is(err, breaker.ErrOpen) {
			return nil
		}
		return err
	}})
	b.Run(func() {
		for range 2 {
			_ = c.Do(context.Background(), resilience.Unsafe("pay"), b.Op)
		}
		if err := c.Selector().Eject("b", "for the test"); err != nil {
			t.Error(err)
		}
		b.Sleep(time.Second)
		if err := c.Selector().Readmit("b", "for the test"); err != nil {
			t.Error(err)
		}
	})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	empty := resiliencetest.New(1)
	none := client(t, empty, resilience.Config{Nodes: empty.Source(), Settings: resilience.Settings{Attempts: 1}})
	empty.Run(func() { _ = none.Do(context.Background(), resilience.Safe("get"), empty.Op) })

	log := b.Log() + empty.Log()
	for _, want := range []string{
		"s pay: attempt 1 at a: ambiguous\n",
		"s pay: failed, may have been carried out: not repeatable\n",
		"service breaker: closed to open (rule)\n",
		"s pay: the fallback failed\n",
		"s pay: failed: stopped\n",
		"s pay: the fallback answered\n",
		"node b: ejected (hand)\n",
		"1s  node b: readmitted (hand)\n",
		"source failed: nodes: the set is empty\n",
		"get: attempt 1 at no node: rejected\n",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if strings.Contains(log, "client") {
		t.Errorf("clients in the log:\n%s", log)
	}
	if n := len(b.Events(resilience.ClientOpened, resilience.ClientClosed)); n != 2 {
		t.Errorf("%d events of the client itself, want 2", n)
	}
	if n := len(b.Events(resilience.CallDone)); n != 2 {
		t.Errorf("%d calls on record, want 2", n)
	}
	if all, some := len(b.Events()), len(b.Events(resilience.CallDone, resilience.AttemptDone)); some != 3 || all <= some {
		t.Errorf("%d events, %d of them calls and attempts", all, some)
	}
}
