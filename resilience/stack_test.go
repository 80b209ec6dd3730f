package resilience_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// notes is the path that a call took.
type notes struct{ list []string }

func (n *notes) note(s string) { n.list = append(n.list, s) }

// around notes the way in and the way out.
func (n *notes) around(name string) resilience.Wrapper {
	return func(next resilience.Func) resilience.Func {
		return func(ctx context.Context, call *resilience.Call) error {
			n.note(name)
			err := next(ctx, call)
			n.note("/" + name)
			return err
		}
	}
}

func TestStack(t *testing.T) {
	t.Parallel()
	var n notes
	stack := resilience.Stack(n.around("1"), nil, resilience.Stack(n.around("2"), nil, n.around("3")), resilience.Stack())
	f := stack(func(context.Context, *resilience.Call) error { n.note("op"); return errOp })
	if err := f(t.Context(), new(resilience.Call)); !errors.Is(err, errOp) {
		t.Error(err)
	}
	if got, want := strings.Join(n.list, " "), "1 2 3 op /3 /2 /1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestStackKeepsItsWrappers: the caller's slice is the caller's.
func TestStackKeepsItsWrappers(t *testing.T) {
	t.Parallel()
	var n notes
	list := []resilience.Wrapper{n.around("1"), n.around("2")}
	stack := resilience.Stack(list...)
	list[0] = n.around("other")
	_ = stack(func(context.Context, *resilience.Call) error { return nil })(t.Context(), new(resilience.Call))
	if got := strings.Join(n.list, " "); got != "1 2 /2 /1" {
		t.Error(got)
	}
}

// TestPath: the way of a call through a client, as DESIGN draws it.
func TestPath(t *testing.T) {
	t.Parallel()
	var n notes
	b := newBench(nil, nil)
	client := newClient(t, b, config{
		Wrap:        []resilience.Wrapper{n.around("call1"), n.around("call2")},
		WrapAttempt: []resilience.Wrapper{n.around("attempt1"), n.around("attempt2")},
		Fallback: func(_ context.Context, _ *resilience.Call, err error) error {
			n.note("fallback")
			return err
		},
		Settings: sets{Attempts: 2, Backoff: noPause},
	})
	_ = do(t, b, client, resilience.Safe("m"), func(_ context.Context, node *selector.Node) error {
		n.note("op at " + node.ID)
		return resilience.Mark(errOp, resilience.NotSent)
	})
	want := "call1 call2 " +
		"attempt1 attempt2 op at a /attempt2 /attempt1 " +
		"attempt1 attempt2 op at b /attempt2 /attempt1 " +
		"fallback /call2 /call1"
	if got := strings.Join(n.list, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestCallDescribesTheAttempt: what wrappers see of a call and of its
// attempts.
func TestCallDescribesTheAttempt(t *testing.T) {
	t.Parallel()
	b := newBench(forever(fails(resilience.NotSent)), forever(fails(resilience.NotSent)))
	whole := func(next resilience.Func) resilience.Func {
		return func(ctx context.Context, call *resilience.Call) error {
			if call.Attempt != 0 || call.Node != nil || call.Method != "m" || call.Service != "s" || call.Key != "k" || call.Probe() || !call.Last() {
				t.Errorf("around the call: %+v", call)
			}
			call.Hold()() // nothing to hold
			return next(ctx, call)
		}
	}
	n := 0
	attempt := func(next resilience.Func) resilience.Func {
		return func(ctx context.Context, call *resilience.Call) error {
			n++
			if call.Attempt != n || call.Node == nil || call.Method != "m" || call.Service != "s" || call.Key != "k" || call.Probe() {
				t.Errorf("around attempt %d: %+v", n, call)
			}
			if call.Last() != (n == 3) || call.Start() != b.Clock().Now() {
				t.Errorf("attempt %d of 3: last %v, started %v", n, call.Last(), call.Start())
			}
			return next(ctx, call)
		}
	}
	client := newClient(t, b, config{Service: "s", Wrap: []resilience.Wrapper{whole}, WrapAttempt: []resilience.Wrapper{attempt}})
	_ = do(t, b, client, resilience.Keyed("m", "k"), b.Op)
	if n != 3 {
		t.Errorf("%d attempts, want 3", n)
	}
}
