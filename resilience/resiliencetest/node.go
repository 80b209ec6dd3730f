package resiliencetest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// Reply is what a node does with one attempt. The zero Reply is a good answer
// at once.
type Reply struct {
	// After is how long it takes. When the attempt's context ends before,
	// the attempt returns the context's error.
	After time.Duration

	// Hang never answers: the attempt ends with its context.
	Hang bool

	// Outcome is what the attempt comes to: the Op returns an error that is
	// marked with it, Err if that is set. Zero: Err as it is, for the client
	// to judge, or success.
	Outcome resilience.Outcome
	Err     error
}

// Script says what a node does with the k-th attempt, from 1, that it has
// received since it was given the script, which arrives at the time at since
// [New]. It runs inside [Bench.Run] and may look at or
// change the bench.
type Script func(k int, at time.Duration) Reply

// Steps answers the first attempt with the first reply, the second with the
// second, and so on; the last reply is for all that follow.
func Steps(replies ...Reply) Script {
	replies = slices.Clone(replies)
	return func(k int, _ time.Duration) Reply {
		if len(replies) == 0 {
			return Reply{}
		}
		return replies[min(k, len(replies))-1]
	}
}

// Until is s before the time t since [New], and next from then on; both count
// the same attempts.
//
//	healthy.Until(3*time.Second, down).Until(5*time.Second, healthy)
func (s Script) Until(t time.Duration, next Script) Script {
	return func(k int, at time.Duration) Reply {
		if at < t {
			return s.reply(k, at)
		}
		return next.reply(k, at)
	}
}

func (s Script) reply(k int, at time.Duration) Reply {
	if s == nil {
		return Reply{}
	}
	return s(k, at)
}

type node struct {
	script   Script
	since    int // attempts before it was given the script
	attempts int
}

// Node adds a node to the set, with a script; a node that is in the set gets
// the new script. A nil script answers well and at once. Clients hear of a
// new node before Node returns.
func (b *Bench) Node(id string, s Script) {
	n := b.node(id)
	n.script, n.since = s, n.attempts
	if !slices.ContainsFunc(b.set, func(n selector.Node) bool { return n.ID == id }) {
		b.SetNodes(append(slices.Clone(b.set), selector.Node{ID: id, Addr: id})...)
	}
}

// Attempts is how many attempts have arrived at a node, also those that it
// refused. It is 0 for a node that is not known.
func (b *Bench) Attempts(id string) int {
	if n := b.nodes[id]; n != nil {
		return n.attempts
	}
	return 0
}

// Op is a resilience.Op that plays the scripts.
func (b *Bench) Op(ctx context.Context, to *selector.Node) error {
	id := ""
	if to != nil { // a stack without Select
		id = to.ID
	}
	n := b.node(id)
	n.attempts++
	r := n.script.reply(n.attempts-n.since, b.Elapsed())
	if r.Hang {
		r.After = math.MaxInt64
	}
	if err := b.clk.Sleep(ctx, r.After); err != nil {
		return err
	}
	switch err := r.Err; {
	case r.Outcome == resilience.Outcome{}:
		return err
	case r.Outcome == resilience.Succeeded:
		return nil
	case err == nil:
		return resilience.Mark(fmt.Errorf("node %s: %v", id, r.Outcome), r.Outcome)
	default:
		return resilience.Mark(err, r.Outcome)
	}
}

func (b *Bench) node(id string) *node {
	n := b.nodes[id]
	if n == nil {
		n = new(node)
		b.nodes[id] = n
	}
	return n
}
