package sim

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/internal/clock"
)

// Peers are the clients of other libraries that a run can be made with, as
// package stacks puts them under test: a breaker per node of the library, with
// the settings that its documentation shows; nodes in turn, and who is let in
// by no breaker is passed to the next node at once; and around that what every
// such library leaves to its user, the same for all: 3 attempts, whatever the
// failure was, with the pauses of backoff/v4 from 25 ms, and 250 ms an attempt.
// "bare" is one attempt and nothing else, "backoff" the retries without a
// breaker.
//
// Of "circuit" the breaker is the library's own code, on the virtual clock.
// The others read the real time wherever they are; they are models, which a
// test compares with the libraries step by step.
func Peers() []string {
	list := []string{"bare", "backoff"}
	for name := range rules {
		list = append(list, name)
	}
	slices.Sort(list[2:])
	return list
}

// rules make the breaker of a client for a node.
var rules = map[string]func(*peer, int) rule{
	"gobreaker":     func(p *peer, i int) rule { return &gobreakerRule{tell: p.tell(i)} },
	"hystrix":       func(p *peer, i int) rule { return newHystrixRule(p.tell(i)) },
	"failsafe":      func(p *peer, i int) rule { return &failsafeRule{tell: p.tell(i)} },
	"go-resiliency": func(p *peer, i int) rule { return &resiliencyRule{tell: p.tell(i)} },
	"circuit":       newCircuitRule,
}

// rule is a breaker in explicit time: nanoseconds from a whole second.
type rule interface {
	// run makes the attempt, unless the breaker rejects it.
	run(ctx context.Context, now func() int64, attempt func() error) error
}

// errTimedOut is an attempt that has timed out, its call not.
var errTimedOut = errors.New("attempt timed out")

// errRejected is an attempt that a breaker has not let in.
var errRejected = errors.New("rejected by the breaker")

// The stack of package stacks.
const (
	peerAttempts = 3
	peerPause    = 25 * time.Millisecond
	peerTimeout  = 250 * time.Millisecond
)

// peer is a client with a breaker of another library for each node.
type peer struct {
	w     *world
	index int
	turn  int
	kind  string
	rules []rule // nil: none; each made when it is first needed
}

// peers returns what makes clients of other libraries.
func (w *world) peers() (func(int) (client, error), error) {
	kind := w.sys.Client.Stack
	return func(i int) (client, error) {
		if kind == "failsafe" {
			return &failsafeClient{peer{w: w, index: i, kind: kind, rules: make([]rule, w.sys.Nodes)}, 0, 0}, nil
		}
		p := &peer{w: w, index: i, kind: kind}
		if rules[kind] != nil {
			p.rules = make([]rule, w.sys.Nodes)
		}
		return p, nil
	}, nil
}

func (*peer) close() {}

// tell hears that a node's breaker has opened or closed.
func (p *peer) tell(node int) func(harness.EntryKind) {
	return func(kind harness.EntryKind) {
		if kind == harness.Ejected {
			p.w.m.ejected(p.index, node)
		} else {
			p.w.m.readmitted(p.index, node)
		}
	}
}

// do is backoff.Retry around an attempt.
func (p *peer) do(ctx context.Context, c *call) error {
	interval := time.Duration(0)
	for number := 1; ; number++ {
		err := p.through(ctx, c, number)
		if err == nil || p.kind == "bare" || number == peerAttempts {
			return err
		}
		var pause time.Duration
		pause, interval = nextPause(interval, clock.Float64(p.w.clk))
		if err := p.w.clk.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// nextPause is backoff.ExponentialBackOff's, whose own randomness is not ours
// to seed: x in [0, 1).
func nextPause(interval time.Duration, x float64) (pause, next time.Duration) {
	if interval == 0 {
		interval = peerPause
	}
	const spread = backoff.DefaultRandomizationFactor
	low, high := (1-spread)*float64(interval), (1+spread)*float64(interval)
	return time.Duration(low + x*(high-low+1)), min(time.Duration(float64(interval)*backoff.DefaultMultiplier), backoff.DefaultMaxInterval)
}

// through hands an attempt to the next node whose breaker lets it in.
func (p *peer) through(ctx context.Context, c *call, number int) (err error) {
	for range p.w.sys.Nodes {
		p.turn = (p.turn + 1) % p.w.sys.Nodes
		node := p.turn
		if p.rules == nil {
			return p.attempt(ctx, c, node, number)
		}
		if p.rules[node] == nil {
			p.rules[node] = rules[p.kind](p, node)
		}
		err = p.rules[node].run(ctx, p.w.now, func() error { return p.attempt(ctx, c, node, number) })
		if !errors.Is(err, errRejected) {
			return err
		}
	}
	return err
}

func (p *peer) attempt(caller context.Context, c *call, node, number int) error {
	ctx := caller
	if p.kind != "bare" {
		var cancel context.CancelFunc
		ctx, cancel = p.w.clk.WithTimeout(caller, peerTimeout)
		defer cancel()
	}
	err := p.w.attempt(ctx, c, node, number, nil)
	if err != nil && ctx.Err() != nil && caller.Err() == nil {
		return errTimedOut
	}
	return err
}
