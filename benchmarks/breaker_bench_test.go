package benchmarks_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// breakerStack is one way to ask a breaker. ok makes a healthy call through a
// closed breaker; rejected asks an open one. Both return false when it went
// otherwise. A nil rejected means that there is none.
type breakerStack struct {
	name         string
	ok, rejected func() bool
}

// BenchmarkBreaker is a healthy call around nothing, beside three rulers:
// an atomic add, a mutex pair and a clock read.
func BenchmarkBreaker(b *testing.B) {
	for _, s := range breakerStacks(b) {
		runBreaker(b, s.name, s.ok)
	}
}

// BenchmarkReject is a call turned away by an open breaker.
func BenchmarkReject(b *testing.B) {
	for _, s := range breakerStacks(b) {
		if s.rejected != nil {
			runBreaker(b, s.name, s.rejected)
		}
	}
}

// runBreaker calls f through a func value for every stack alike; empty says
// what that costs.
func runBreaker(b *testing.B, name string, f func() bool) {
	b.Run("stack="+name+"/mode=serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !f() {
				b.Fatal("not as expected")
			}
		}
	})
	b.Run("stack="+name+"/mode=parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if !f() {
					b.Error("not as expected")
					return
				}
			}
		})
	})
}

func breakerStacks(tb testing.TB) []breakerStack {
	stacks := rulers()
	stacks = append(stacks, holdfastBreakers(tb)...)
	return append(stacks, peerBreakers(tb)...)
}

func holdfastBreakers(tb testing.TB) []breakerStack {
	tb.Helper()
	start := time.Now()
	closed, open := newCircuit(tb, nil), newCircuit(tb, nil)
	open.Trip(breaker.Reason{Cause: breaker.ByHand})
	group, err := breaker.NewGroup(breaker.GroupConfig{})
	if err != nil {
		tb.Fatal(err)
	}
	stacks := []breakerStack{
		{
			name: "holdfast",
			ok: func() bool {
				p, _, ok := closed.TryAcquire(start)
				p.Done(breaker.Report{Result: breaker.Success})
				return ok
			},
			rejected: func() bool { _, _, ok := open.TryAcquire(start); return !ok },
		},
		{
			name: "holdfast-timed", // says when and how long
			ok: func() bool {
				p, _, ok := closed.TryAcquire(start)
				p.Done(breaker.Report{Result: breaker.Success, Start: start, Elapsed: time.Millisecond})
				return ok
			},
			rejected: func() bool { _, _, ok := open.TryAcquire(time.Time{}); return !ok }, // reads the clock
		},
		{
			name: "holdfast-acquire",
			ok: func() bool {
				p, err := closed.Acquire()
				p.Done(breaker.Report{Result: breaker.Success})
				return err == nil
			},
			rejected: func() bool { _, err := open.Acquire(); return errors.Is(err, breaker.ErrOpen) },
		},
		{
			name: "holdfast-group",
			ok: func() bool {
				p, _, ok := group.Get("tenant-17").TryAcquire(start)
				p.Done(breaker.Report{Result: breaker.Success})
				return ok
			},
		},
	}
	for _, rule := range []breaker.Rule{breaker.Count{}, breaker.Rate{}} {
		c := newCircuit(tb, rule)
		name, _, _ := strings.Cut(rule.String(), "(")
		stacks = append(stacks, breakerStack{
			name: "holdfast-" + name,
			ok: func() bool {
				p, _, ok := c.TryAcquire(start)
				p.Done(breaker.Report{Result: breaker.Success})
				return ok
			},
		})
	}
	return stacks
}

// newCircuit makes a breaker that stays open for long once it is.
func newCircuit(tb testing.TB, rule breaker.Rule) *breaker.Circuit {
	tb.Helper()
	c, err := breaker.New("bench", breaker.Config{Rule: rule, OpenFor: time.Hour})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}
