//go:build unix

package board

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/resilience"
)

// cpu is what the process has used so far.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkWatched is what watchers cost, as a share of one core: %core is the
// CPU time of the whole process, those who read the streams included, by the
// time that passes. An iteration is a second; its nanoseconds mean nothing. Each
// node has taken calls; in a storm nodes are ejected and readmitted all the
// time, twenty events a second.
//
//	go test -run '^$' -bench Watched -benchtime 10x ./resilience/board
func BenchmarkWatched(b *testing.B) {
	for _, row := range []struct {
		stream   string
		watchers int
		storm    bool
	}{
		{"state", 0, false}, {"state", 1, false}, {"state", 10, false}, {"state", 0, true}, {"state", 10, true}, {"hystrix", 10, false},
	} {
		b.Run(fmt.Sprintf("stream=%s/nodes=500/watchers=%d/storm=%v", row.stream, row.watchers, row.storm), func(b *testing.B) {
			board := busyBoard(b, 500)
			server := httptest.NewServer(board)
			defer server.Close()
			defer board.Close() //nolint:errcheck // it cannot fail
			for range row.watchers {
				s := openStream(b, server.URL+"/holdfast/"+row.stream+".stream")
				s.scan.Buffer(nil, 8<<20)
				if _, ok := s.next(); !ok {
					b.Fatal("no event")
				}
				go func() {
					for s.scan.Scan() {
					}
				}()
			}
			sel := board.list()[0].client.Load().Selector()
			nodes := sel.Nodes()
			steps := 0
			before, begin := cpu(b), clock.System.Now()
			for b.Loop() {
				for range 10 {
					if row.storm {
						id := nodes[steps%len(nodes)].Node.ID
						if err := errors.Join(sel.Eject(id, "storm"), sel.Readmit(id, "storm")); err != nil {
							b.Fatal(err)
						}
						steps++
					}
					_ = clock.System.Sleep(context.Background(), 100*time.Millisecond)
				}
			}
			used, passed := cpu(b)-before, clock.System.Now().Sub(begin)
			b.ReportMetric(100*float64(used)/float64(passed), "%core")
		})
	}
}

// BenchmarkObserve is what the end of an attempt and that of its call cost:
// with counters alone, which is what a board has to keep; with a board that
// nobody watches; and with ten who do.
func BenchmarkObserve(b *testing.B) {
	at := clock.System.Now()
	run := func(name string, observe func(b *testing.B) (attempt, call func())) {
		b.Run(name, func(b *testing.B) {
			attempt, call := observe(b)
			b.ReportAllocs()
			for b.Loop() {
				attempt()
				call()
			}
		})
	}
	run("what=counters", func(*testing.B) (attempt, call func()) {
		var calls, node row
		return func() { node.add(1, succeeded, time.Millisecond) }, func() { calls.add(1, succeeded, time.Millisecond) }
	})
	for _, watchers := range []int{0, 10} {
		run(fmt.Sprintf("what=board/watchers=%d", watchers), func(b *testing.B) (attempt, call func()) {
			b.Helper()
			board := newBoard(b, Config{})
			client := realClient(b, board, config{Service: "s", Nodes: addrs(500)})
			server := httptest.NewServer(board)
			b.Cleanup(server.Close)
			b.Cleanup(func() { _ = board.Close() })
			for range watchers {
				s := openStream(b, server.URL+"/holdfast/state.stream")
				go func() {
					for s.scan.Scan() {
					}
				}()
			}
			node := client.Selector().Nodes()[0].Node
			s := board.list()[0]
			one := resilience.Event{Kind: resilience.AttemptDone, At: at, Node: node, Attempt: 1, Outcome: resilience.Succeeded, Elapsed: time.Millisecond}
			whole := resilience.Event{Kind: resilience.CallDone, At: at, Attempt: 1, Outcome: resilience.Succeeded, Elapsed: time.Millisecond}
			return func() { s.Observe(one) }, func() { s.Observe(whole) }
		})
	}
}
