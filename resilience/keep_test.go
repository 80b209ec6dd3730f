package resilience_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// TestClone: a clone may be kept, by as many as like, while the memory of the
// call it describes is used for others.
func TestClone(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	kept := map[string]*resilience.Call{}
	var readers sync.WaitGroup
	keep := func(next resilience.Func) resilience.Func {
		return func(ctx context.Context, call *resilience.Call) error {
			clone := call.Clone()
			mu.Lock()
			kept[clone.Key] = clone
			mu.Unlock()
			readers.Go(func() { // the race detector watches
				if clone.Method != "m" || clone.Node == nil || clone.Probe() {
					t.Errorf("%+v", clone)
				}
				clone.Hold()()
			})
			err := next(ctx, call)
			call.Method, call.Key = "scribbled", "over" // as the next call will
			return err
		}
	}
	client, err := resilience.New(config{Service: "s", WrapAttempt: []resilience.Wrapper{keep}})
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	var callers sync.WaitGroup
	for _, key := range keys {
		callers.Go(func() {
			for range 50 {
				if err := client.Do(t.Context(), resilience.Keyed("m", key), func(context.Context, *selector.Node) error { return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	readers.Wait()
	for _, key := range keys {
		c := kept[key]
		if c == nil || c.Service != "s" || c.Method != "m" || c.Key != key || c.Idempotency != retry.Keyed || c.Attempt != 1 || c.Start().IsZero() {
			t.Errorf("%s: %+v", key, c)
		}
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
}

// TestErrorMayBeKept: what a call's error tells stays true while the memory of
// the call is used for others.
func TestErrorMayBeKept(t *testing.T) {
	t.Parallel()
	b := newBench(forever(fails(resilience.NotSent)), forever(fails(resilience.NotSent)), forever(fails(resilience.NotSent)))
	client := newClient(t, b, config{Settings: sets{Attempts: 3, Backoff: noPause}})
	first := callError(t, do(t, b, client, resilience.Keyed("first", "1"), b.Op))
	text := first.Error()
	for range 10 {
		_ = do(t, b, client, resilience.Safe("other"), func(context.Context, *selector.Node) error {
			return resilience.Mark(errors.New("other"), resilience.Ambiguous)
		})
	}
	if first.Error() != text || first.Ambiguous() || first.Key != "1" || len(first.Attempts) != 3 {
		t.Errorf("it was %q, it is %q", text, first)
	}
}

// TestHold: an attempt whose response is still being read counts as in flight
// until it is released, also after Do has returned.
func TestHold(t *testing.T) {
	t.Parallel()
	b := newBench(nil)
	client := newClient(t, b, config{})
	inFlight := func() int { return client.Selector().Nodes()[0].InFlight }
	var release func()
	b.Run(func() {
		err := client.Call(context.Background(), resilience.Safe("m"), func(_ context.Context, call *resilience.Call) error {
			release = call.Hold()
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	if n := inFlight(); n != 1 {
		t.Errorf("held: %d in flight, want 1", n)
	}
	for range 2 { // more than once is once
		if release(); inFlight() != 0 {
			t.Errorf("released: %d in flight, want 0", inFlight())
		}
	}
}

// TestCall: the Func of Client.Call sees its attempt.
func TestCall(t *testing.T) {
	t.Parallel()
	b := newBench(nil, nil)
	client := newClient(t, b, config{Settings: sets{Backoff: noPause}})
	var err error
	attempts := 0
	b.Run(func() {
		err = client.Call(context.Background(), resilience.Safe("m"), func(ctx context.Context, call *resilience.Call) error {
			attempts++
			if call.Attempt != attempts || call.Last() != (attempts == 3) {
				t.Errorf("attempt %d: %+v", attempts, call)
			}
			if attempts < 3 {
				return errOp
			}
			return b.Op(ctx, call.Node)
		})
	})
	if err != nil || attempts != 3 {
		t.Errorf("%v after %d attempts", err, attempts)
	}
}

// TestDoWithResult: the result is that of the attempt that succeeded; with an
// error it is the zero value.
func TestDoWithResult(t *testing.T) {
	t.Parallel()
	b := newBench(nil, nil, nil)
	client := newClient(t, b, config{Settings: sets{Backoff: noPause, AttemptTimeout: 100 * ms}})
	run := func(op func(context.Context, *selector.Node) (string, error)) (s string, err error) {
		b.Run(func() {
			ctx, cancel := b.WithTimeout(context.Background(), time.Second)
			defer cancel()
			s, err = resilience.Do(ctx, client, resilience.Safe("m"), op)
		})
		return s, err
	}
	n := 0
	s, err := run(func(_ context.Context, node *selector.Node) (string, error) {
		if n++; n < 3 {
			return "half of it", errOp
		}
		return "from " + node.ID, nil
	})
	if err != nil || n != 3 || s[:5] != "from " {
		t.Errorf("%q, %v after %d attempts", s, err, n)
	}
	if s, err = run(func(context.Context, *selector.Node) (string, error) { return "half of it", errOp }); !errors.Is(err, errOp) || s != "" {
		t.Errorf("%q, %v, want no result", s, err)
	}
	if _, err := resilience.Do[int](t.Context(), client, resilience.Safe("m"), nil); err == nil {
		t.Error("a nil op: no error")
	}
}
