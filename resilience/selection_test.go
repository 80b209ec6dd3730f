package resilience_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// A client that runs out of ports or descriptors cannot dial some of the time,
// whichever the node: no node is to blame. In 70 s, chance takes one in a few
// runs of a hundred, as it does where answers are errors.
func TestTheClientsOwnDialTrouble(t *testing.T) {
	t.Parallel()
	for _, percent := range []int{10, 20, 30, 50} {
		runs, worst := 0, 0
		for seed := range uint64(20) {
			b := benchOf(seed, nil, nil, nil, nil, nil)
			c, err := b.Client(config{})
			if err != nil {
				t.Fatal(err)
			}
			most := 0
			b.Run(func() {
				for i := range 3500 {
					b.Sleep(20 * ms)
					_ = c.Do(t.Context(), resilience.Safe("m"), func(context.Context, *selector.Node) error {
						b.Sleep(2 * ms)
						if i > 500 && int(b.Clock().Rand()%100) < percent {
							return &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("cannot assign requested address")}
						}
						return nil
					})
					out := 0
					for _, s := range c.Selector().Nodes() {
						if s.Ejected {
							out++
						}
					}
					most = max(most, out)
				}
			})
			if most > 0 {
				runs++
			}
			worst = max(worst, most)
			_ = c.Close()
		}
		if runs > 1 || worst > 1 {
			t.Errorf("%d %% of all dials fail: ejections in %d of 20 runs, at worst %d of 5 nodes at once", percent, runs, worst)
		}
	}
}

// A method that takes long takes no retries from one that does not.
func TestASlowMethodTakesNoRetries(t *testing.T) {
	t.Parallel()
	b := newBench(nil, nil)
	c := newClient(t, b, config{})
	b.Run(func() {
		do := func(ctx context.Context, method string, op resilience.Op) error {
			return c.Do(ctx, resilience.Safe(method), op)
		}
		for range 4 {
			_ = do(t.Context(), "watch", func(context.Context, *selector.Node) error { b.Sleep(30 * time.Second); return nil })
		}
		for range 2 {
			_ = do(t.Context(), "get", func(context.Context, *selector.Node) error { b.Sleep(ms); return nil })
		}
		ctx, cancel := b.WithTimeout(t.Context(), time.Second)
		defer cancel()
		n := 0
		if err := do(ctx, "get", func(context.Context, *selector.Node) error {
			if n++; n == 1 {
				return &net.OpError{Op: "dial", Err: errors.New("refused")}
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
}

// A long poll, answered well, does not starve its node of quick calls.
func TestOneSlowAnswerDoesNotStarve(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{2, 3} {
		b := benchOf(3)
		for i := range nodes {
			b.Node(string(rune('a'+i)), forever(reply{After: ms}))
		}
		c, err := b.Client(config{})
		if err != nil {
			t.Fatal(err)
		}
		b.Run(func() {
			var slow *selector.Node
			_ = c.Do(t.Context(), resilience.Safe("watch"), func(_ context.Context, n *selector.Node) error {
				slow = n
				b.Sleep(30 * time.Second)
				return nil
			})
			before := b.Attempts(slow.ID)
			for range 6000 {
				b.Sleep(100 * ms)
				_ = c.Do(t.Context(), resilience.Safe("get"), b.Op)
			}
			if got := b.Attempts(slow.ID) - before; got < 6000/nodes/4 {
				t.Errorf("%d nodes: %d of 6000 calls in the 10 min after the slow answer", nodes, got)
			}
		})
		_ = c.Close()
	}
}

// A node that says 429 to everything is quick and idle, and still not the one
// to ask.
func TestANodeThatRefusesAll(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{2, 3, 5} {
		b := benchOf(0)
		for i := range nodes {
			b.Node(string(rune('a'+i)), forever(reply{After: 20 * ms}))
		}
		b.Node("a", forever(reply{After: ms, Outcome: resilience.Refused}))
		c, err := b.Client(config{})
		if err != nil {
			t.Fatal(err)
		}
		failed, calls := 0, 6000
		b.Run(func() {
			for range calls {
				b.Sleep(10 * ms)
				b.Go(func() {
					if c.Do(t.Context(), resilience.Safe("m"), b.Op) != nil {
						failed++
					}
				})
			}
		})
		if failed > 0 || b.Attempts("a") < 30 {
			t.Errorf("%d nodes: %d of %d calls failed, %d attempts at the one that refuses; want none, and one or two a second", nodes, failed, calls, b.Attempts("a"))
		}
		_ = c.Close()
	}
}
