package resilience_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/resiliencetest"
)

// atomicsChild runs what TestAtomics traces, in its child; it is replaced
// where that can be traced.
var atomicsChild = func() (isChild bool) { return false }

func TestMain(m *testing.M) {
	if atomicsChild() {
		return
	}
	leaktest.Main(m)
}

const ms = time.Millisecond

var errOp = errors.New("the op's own error")

// type names that the tests use all the time.
type (
	reply  = resiliencetest.Reply
	bench  = resiliencetest.Bench
	config = resilience.Config
	sets   = resilience.Settings
)

// noPause is for tests whose times are round.
var noPause = resilience.BackoffSettings{Initial: -1}

// newBench has the nodes a, b, c …, each with its script; nil: answers at once.
func newBench(scripts ...resiliencetest.Script) *bench { return benchOf(1, scripts...) }

func benchOf(seed uint64, scripts ...resiliencetest.Script) *bench {
	b := resiliencetest.New(seed)
	for i, s := range scripts {
		b.Node(string(rune('a'+i)), s)
	}
	return b
}

// newClient takes the nodes in turn, unless cfg says otherwise.
func newClient(t testing.TB, b *bench, cfg config) *resilience.Client {
	t.Helper()
	if cfg.Strategy == "" {
		cfg.Strategy = "round-robin"
	}
	c, err := b.Client(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// do makes one call in virtual time.
func do(t testing.TB, b *bench, c *resilience.Client, hint resilience.Hint, op resilience.Op) (err error) {
	t.Helper()
	b.Run(func() { err = c.Do(context.Background(), hint, op) })
	return err
}

// callError returns the *resilience.Error in err, or fails.
func callError(t testing.TB, err error) *resilience.Error {
	t.Helper()
	var e *resilience.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v (%T) is no *resilience.Error", err, err)
	}
	return e
}

// fails is an op's error, judged as outcome.
func fails(outcome resilience.Outcome) reply { return reply{Outcome: outcome, Err: errOp} }

var (
	steps   = resiliencetest.Steps
	forever = func(r reply) resiliencetest.Script { return steps(r) }
)

// idle fails t unless nothing is in flight, at any node.
func idle(t testing.TB, c *resilience.Client) {
	t.Helper()
	for _, s := range c.Selector().Nodes() {
		if s.InFlight != 0 {
			t.Errorf("node %s: %d in flight", s.Node.ID, s.InFlight)
		}
	}
}
