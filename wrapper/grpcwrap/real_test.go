package grpcwrap_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/wrapper/grpcwrap"
)

// fleet is three real servers and a ClientConn to them.
func fleet(t *testing.T, cfg grpcwrap.Config) (*conn, []*process) {
	t.Helper()
	ledger := filepath.Join(t.TempDir(), "ledger")
	var nodes []*process
	var addrs []string
	for range 3 {
		p := spawn(t, "127.0.0.1:0", ledger)
		nodes, addrs = append(nodes, p), append(addrs, p.addr)
	}
	c := dial(t, cfg, addrs...)
	c.connected(t, 3)
	return c, nodes
}

// load makes calls from several goroutines while fault runs, and after it, and returns
// what failed.
func load(t *testing.T, c *conn, method string, fault func()) (failed map[string]error) {
	t.Helper()
	return loadOf(t, func(ctx context.Context, id string) error {
		_, err := c.call(ctx, method, id)
		return err
	}, fault)
}

func loadOf(t *testing.T, do func(ctx context.Context, id string) error, fault func()) (failed map[string]error) {
	t.Helper()
	var n atomic.Int64
	var mu sync.Mutex
	failed = make(map[string]error)
	stop := make(chan struct{})
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("call-%d", n.Add(1))
				if err := do(within(t, 5*time.Second), id); err != nil {
					mu.Lock()
					failed[id] = err
					mu.Unlock()
				}
			}
		})
	}
	until := func(more int64) {
		from := n.Load()
		eventually(t, "calls", func() bool { return n.Load() >= from+more })
	}
	until(100)
	fault()
	until(300)
	close(stop)
	callers.Wait()
	return failed
}

// A server is killed: what may be repeated is saved, what may not is at most
// what was in flight there, is said to be ambiguous, and is done at most once.
func TestKilled(t *testing.T) {
	for _, method := range []string{get, put, post} {
		t.Run(method, func(t *testing.T) {
			c, nodes := fleet(t, grpcwrap.Config{})
			failed := load(t, c, method, func() { nodes[0].kill(t) })
			if method != post && len(failed) > 0 {
				t.Errorf("%d calls failed: %v", len(failed), failed)
			}
			if len(failed) > 8 {
				t.Errorf("%d calls failed, 8 were in flight: %v", len(failed), failed)
			}
			done := did(t, nodes[0].ledger)
			for id, err := range failed {
				if !resilience.IsAmbiguous(err) {
					t.Errorf("%s: %v: want it ambiguous", id, err)
				}
			}
			if method == post {
				for id, n := range done {
					if n > 1 {
						t.Errorf("%s was done %d times", id, n)
					}
				}
			}
		})
	}
}

// A server is killed in the middle of streams: those that had no answer yet
// are made again elsewhere, the others end there.
func TestKilledStreams(t *testing.T) {
	c, nodes := fleet(t, grpcwrap.Config{})
	failed := loadOf(t, func(ctx context.Context, id string) error {
		got, err := c.list(ctx, id)
		if err == nil && len(got) != 3 {
			return fmt.Errorf("%d messages of 3, and no error", len(got))
		}
		return err
	}, func() { nodes[0].kill(t) })
	for id, err := range failed {
		var e *grpcwrap.Error // of a stream that was never answered; otherwise it is gRPC's own
		if errors.As(err, &e) || status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v: it had no answer yet: want it made again", id, err)
		}
	}
	if len(failed) > 8 {
		t.Errorf("%d streams failed, 8 were open: %v", len(failed), failed)
	}
}

// A server that comes back at the same address is used again.
func TestKilledAndBack(t *testing.T) {
	c, nodes := fleet(t, grpcwrap.Config{})
	failed := load(t, c, get, func() {
		nodes[0].kill(t)
		c.connected(t, 2)
		back := spawn(t, nodes[0].addr, nodes[0].ledger)
		c.connected(t, 3)
		eventually(t, "an answer from "+back.addr, func() bool {
			from, err := c.call(within(t, 5*time.Second), get, "back")
			return err == nil && from == back.addr
		})
	})
	if len(failed) > 0 {
		t.Errorf("%d calls failed: %v", len(failed), failed)
	}
}

// A server hangs: its connections stay, and nothing is refused.
func TestHung(t *testing.T) {
	c, nodes := fleet(t, grpcwrap.Config{Config: resilience.Config{Settings: resilience.Settings{AttemptTimeout: 300 * time.Millisecond}}})
	hung := nodes[0].cmd.Process
	failed := load(t, c, get, func() {
		if err := hung.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	})
	if err := hung.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if len(failed) > 0 {
		t.Errorf("%d calls failed: %v", len(failed), failed)
	}
}

// A server says goodbye, answers what is under way and leaves: nobody
// notices, whatever the method.
func TestDrained(t *testing.T) {
	c, nodes := fleet(t, grpcwrap.Config{})
	failed := load(t, c, post, func() {
		nodes[0].drain(t)
		<-nodes[0].ended
	})
	if len(failed) > 0 {
		t.Errorf("%d calls failed: %v", len(failed), failed)
	}
	for id, n := range did(t, nodes[0].ledger) {
		if n > 1 {
			t.Errorf("%s was done %d times", id, n)
		}
	}
}

// All servers are replaced, one after the other, by ones at other addresses.
func TestRollingReplacement(t *testing.T) {
	c, nodes := fleet(t, grpcwrap.Config{})
	failed := load(t, c, post, func() {
		addrs := []string{nodes[0].addr, nodes[1].addr, nodes[2].addr}
		for i, old := range nodes {
			addrs[i] = spawn(t, "127.0.0.1:0", old.ledger).addr
			c.res.UpdateState(state(addrs...))
			old.drain(t)
			<-old.ended
		}
	})
	if len(failed) > 0 {
		t.Errorf("%d calls failed: %v", len(failed), failed)
	}
	if n := len(c.client.Resilience().Selector().Nodes()); n != 3 {
		t.Errorf("%d nodes: want 3", n)
	}
}
