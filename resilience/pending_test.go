package resilience_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

var errBusy = errors.New("an earlier attempt is still running")

// TestPendingIsAskedAgain: while the server is at work on an earlier attempt,
// it is asked again as long as there is time: more often than attempts or
// budget allow.
func TestPendingIsAskedAgain(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]resilience.Settings{
		"default":     {},
		"no pauses":   {Backoff: resilience.BackoffSettings{Initial: -1}},
		"no retries":  {Attempts: 1},
		"tiny budget": {Budget: resilience.BudgetSettings{Share: 0.01, Floor: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, err := resilience.New(resilience.Config{Settings: settings, Nodes: selector.Addrs("a:1", "b:1")})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close() //nolint:errcheck // its nodes are static
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				began, asked := time.Now(), 0
				err = c.Do(ctx, resilience.Keyed("pay", "k"), func(context.Context, *selector.Node) error {
					asked++
					if time.Since(began) < 20*time.Second {
						return resilience.Mark(errBusy, resilience.InProgress)
					}
					return nil
				})
				if took := time.Since(began); err != nil || asked < 10 || asked > 3000 || took > 23*time.Second {
					t.Errorf("asked %d times in %v: %v", asked, took, err)
				}
				for _, s := range c.Selector().Nodes() {
					if s.State != breaker.Closed {
						t.Errorf("%v is %v", s.Node, s.State)
					}
				}
			})
		})
	}
}

// TestPendingRunsOutOfTime: the error is ambiguous, has the key, and does not
// grow with the questions.
func TestPendingRunsOutOfTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := resilience.New(resilience.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // its nodes are static
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		began, asked := time.Now(), 0
		err = c.Do(ctx, resilience.Keyed("pay", "k"), func(context.Context, *selector.Node) error {
			if asked++; asked == 1 {
				return errors.New("reply lost")
			}
			return resilience.Mark(errBusy, resilience.InProgress)
		})
		var e *resilience.Error
		if !errors.As(err, &e) || e.Key != "k" || e.Why != retry.OutOfTime || !resilience.IsAmbiguous(err) || !errors.Is(err, errBusy) {
			t.Fatalf("%v", err)
		}
		if len(e.Attempts) != 2 || asked < 10 || time.Since(began) < 18*time.Second {
			t.Errorf("asked %d times in %v: %v", asked, time.Since(began), e.Attempts)
		}
	})
}

// TestPendingThenRetries: questions take no attempt from the retries.
func TestPendingThenRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := resilience.New(resilience.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // its nodes are static
		lost, busy := 0, 0
		err = c.Do(t.Context(), resilience.Keyed("pay", "k"), func(context.Context, *selector.Node) error {
			if busy < 10 && lost > 0 {
				busy++
				return resilience.Mark(errBusy, resilience.InProgress)
			}
			lost++
			return errors.New("reply lost")
		})
		var e *resilience.Error
		if !errors.As(err, &e) || e.Why != retry.Exhausted || lost != 3 || busy != 10 {
			t.Errorf("%d lost, %d busy: %v", lost, busy, err)
		}
	})
}

// TestSettles: the answer of a server that carries out each key once takes the
// doubt away that earlier attempts have left; doubt that comes after stays.
func TestSettles(t *testing.T) {
	t.Parallel()
	settled := resilience.Failed
	settled.Settles = true
	lost := resilience.Attempt{Outcome: resilience.Ambiguous}
	answer := resilience.Attempt{Outcome: settled}
	for _, tt := range []struct {
		attempts  []resilience.Attempt
		ambiguous bool
	}{
		{[]resilience.Attempt{lost, answer}, false},
		{[]resilience.Attempt{lost, lost, answer}, false},
		{[]resilience.Attempt{lost, {Outcome: resilience.Failed}}, true},
		{[]resilience.Attempt{answer, lost}, true},
		{[]resilience.Attempt{{Outcome: resilience.InProgress}}, true},
		{[]resilience.Attempt{answer}, false},
	} {
		e := &resilience.Error{Attempts: tt.attempts}
		if resilience.IsAmbiguous(e) != tt.ambiguous {
			t.Errorf("%v: ambiguous %v", e, e.Ambiguous())
		}
	}
}
