package etcd

import (
	"context"
	"slices"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/internal/realserver"
	"github.com/holdfast-go/holdfast/selector"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// connect returns a client that is closed with the test.
func connect(t testing.TB, addr string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{addr}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

func put(t testing.TB, client *clientv3.Client, pairs ...string) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	revision := int64(0)
	for i := 0; i < len(pairs); i += 2 {
		resp, err := client.Put(ctx, pairs[i], pairs[i+1])
		if err != nil {
			t.Fatal(err)
		}
		revision = resp.Header.Revision
	}
	return revision
}

func remove(t testing.TB, client *clientv3.Client, prefix string) {
	t.Helper()
	if _, err := client.Delete(t.Context(), prefix, clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
}

// told is one report.
type told struct {
	nodes []selector.Node
	err   error
}

type listener chan told

// until waits for a report that satisfies is.
func (l listener) until(t testing.TB, what string, is func(told) bool) told {
	t.Helper()
	for {
		select {
		case r := <-l:
			if is(r) {
				return r
			}
		case <-time.After(60 * time.Second):
			t.Fatalf("no report of %s", what)
		}
	}
}

func isSet(addrs ...string) func(told) bool {
	return func(r told) bool {
		var got []string
		for _, n := range r.nodes {
			got = append(got, n.Addr)
		}
		return r.err == nil && slices.Equal(got, addrs)
	}
}

// watch watches s as long as the test runs.
func watch(t testing.TB, s *Source) listener {
	t.Helper()
	l := make(listener, 100)
	if err := s.Watch(func(nodes []selector.Node, err error) { l <- told{nodes, err} }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return l
}

func start(t testing.TB, args ...string) *realserver.Server {
	t.Helper()
	return realserver.For(t, realserver.Etcd, args...)
}
