package grpcwrap_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/grpcwrap"
)

// A ClientConn that nobody uses lets its connections go, balancer and all.
// What is known of the nodes stays.
func TestIdle(t *testing.T) {
	a, b := serve(t, says("a"), nil), serve(t, says("b"), nil)
	client, err := grpcwrap.New(grpcwrap.Config{Config: resilience.Config{Nodes: selector.Addrs(a.addr, b.addr)}})
	if err != nil {
		t.Fatal(err)
	}
	cc, err := grpc.NewClient("holdfast:///echo", append(client.DialOptions(),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithIdleTimeout(50*time.Millisecond))...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	c := &conn{ClientConn: cc, client: client}
	for range 3 {
		for range 4 {
			if _, err := c.call(within(t, 5*time.Second), post, "in"); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "idleness", func() bool { return cc.GetState() == connectivity.Idle })
	}
	picks := 0
	for _, n := range client.Resilience().Selector().Nodes() {
		picks += int(n.Picks)
	}
	if picks != 12 {
		t.Errorf("%d picks are remembered, want 12", picks)
	}
}

// Calls, resolver updates, ejections, and in the end the close, all at once:
// every call ends, and only the close makes any fail.
func TestUpdatesMeanwhile(t *testing.T) {
	var addrs []string
	for i := range 4 {
		addrs = append(addrs, serve(t, says(fmt.Sprint(i)), func(_ string, s grpc.ServerStream) error { return send(s, "ok") }).addr)
	}
	c := dial(t, grpcwrap.Config{}, addrs[:2]...)
	c.connected(t, 2)
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := c.call(within(t, 10*time.Second), post, "in"); err != nil {
					t.Error(err)
				}
				if _, err := c.list(within(t, 10*time.Second), "in"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 30 {
		from := i % 3
		c.res.UpdateState(state(addrs[from : from+2]...))
		if i%2 == 0 { // on the others a node that leaves is back before its connection is closed
			c.connected(t, 2)
		}
		_ = c.client.Resilience().Selector().Eject(addrs[from], "for the test")
		_ = c.client.Resilience().Selector().Readmit(addrs[from], "for the test")
		c.connected(t, 2)
	}
	close(stop)
	all.Wait()
	var closing sync.WaitGroup
	for range 8 {
		closing.Go(func() {
			for {
				if _, err := c.call(within(t, 10*time.Second), post, "in"); err != nil {
					if code := status.Code(err); code != codes.Canceled && code != codes.Unavailable && !errors.Is(err, selector.ErrClosed) {
						t.Errorf("%v: want it closed", err)
					}
					return
				}
			}
		})
	}
	if err := c.ClientConn.Close(); err != nil {
		t.Error(err)
	}
	closing.Wait()
}

// After every endpoint was replaced, an ill one is found as it was before:
// grpc-go's outlier detection does not count down the ejected ones that left,
// and so comes to eject nobody.
func TestEjectsAfterEveryReplacement(t *testing.T) {
	ill := func(context.Context, string, string) (string, error) {
		return "", status.Error(codes.Unavailable, "always")
	}
	c := dial(t, grpcwrap.Config{Config: resilience.Config{Settings: resilience.Settings{Backoff: resilience.BackoffSettings{Initial: -1}}}})
	for round := range 4 {
		bad := serve(t, ill, nil)
		c.res.UpdateState(state(bad.addr, serve(t, says("ok"), nil).addr, serve(t, says("ok"), nil).addr))
		c.connected(t, 3)
		eventually(t, fmt.Sprintf("the ill node to be ejected in round %d", round), func() bool {
			_, _ = c.call(within(t, 5*time.Second), get, "in")
			for _, n := range c.client.Resilience().Selector().Nodes() {
				if n.Node.Addr == bad.addr {
					return n.Ejected
				}
			}
			return false
		})
	}
}
