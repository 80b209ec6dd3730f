package etcd

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/naming/endpoints"

	"github.com/holdfast-go/holdfast/selector"
)

// TestChanges: keys that come, change and go below the prefix, and nothing
// else, on a real etcd.
func TestChanges(t *testing.T) {
	server := start(t)
	client := connect(t, server.Addr)
	put(t, client, "/users/a", "10.0.0.1:80", "/users-v2/a", "10.9.9.9:80", "/users/b", `{"addr": "10.0.0.2:80", "weight": 3, "zone": "north", "meta": {"rack": "7"}}`)
	l := watch(t, &Source{Client: client, Prefix: "/users/"})
	r := l.until(t, "the first set", isSet("10.0.0.1:80", "10.0.0.2:80"))
	if a, b := r.nodes[0], r.nodes[1]; a.ID != "a" || b.ID != "b" || b.Weight != 3 || b.Zone != "north" || b.Meta["rack"] != "7" {
		t.Errorf("%+v", r.nodes)
	}
	put(t, client, "/users/a", "10.0.0.3:80")
	l.until(t, "a changed value", isSet("10.0.0.3:80", "10.0.0.2:80"))
	put(t, client, "/users/c", "10.0.0.4:80")
	l.until(t, "a new key", isSet("10.0.0.3:80", "10.0.0.2:80", "10.0.0.4:80"))
	remove(t, client, "/users/b")
	l.until(t, "a removed key", isSet("10.0.0.3:80", "10.0.0.4:80"))

	put(t, client, "/users/a", "half-wri")
	r = l.until(t, "a bad value", func(r told) bool { return r.err != nil })
	if !strings.Contains(r.err.Error(), "/users/a: value") {
		t.Error(r.err)
	}
	put(t, client, "/users/c", "10.0.0.5:80")
	l.until(t, "others in spite of a bad value", isSet("10.0.0.3:80", "10.0.0.5:80"))

	remove(t, client, "/users/")
	if r = l.until(t, "the last key's end", func(told) bool { return true }); !errors.Is(r.err, ErrNoKeys) || len(r.nodes) > 0 {
		t.Errorf("%v, %v", r.nodes, r.err)
	}
	put(t, client, "/users/a", "10.0.0.6:80")
	l.until(t, "a set again", isSet("10.0.0.6:80"))
}

// TestEndpointsManager: what etcd's own manager of endpoints writes is
// understood.
func TestEndpointsManager(t *testing.T) {
	server := start(t)
	client := connect(t, server.Addr)
	manager, err := endpoints.NewManager(client, "users")
	if err != nil {
		t.Fatal(err)
	}
	if err := manager.AddEndpoint(t.Context(), "users/1", endpoints.Endpoint{Addr: "10.0.0.1:80"}); err != nil {
		t.Fatal(err)
	}
	l := watch(t, &Source{Client: client, Prefix: "users/"})
	l.until(t, "the first", isSet("10.0.0.1:80"))
	if err := manager.AddEndpoint(t.Context(), "users/2", endpoints.Endpoint{Addr: "10.0.0.2:80"}); err != nil {
		t.Fatal(err)
	}
	l.until(t, "the second", isSet("10.0.0.1:80", "10.0.0.2:80"))
}

// TestKilledAndRestarted: while etcd is dead the set stays as it is, and what
// changes after its restart is seen.
func TestKilledAndRestarted(t *testing.T) {
	server := start(t)
	client := connect(t, server.Addr)
	put(t, client, "/users/a", "10.0.0.1:80", "/users/b", "10.0.0.2:80")
	sel, err := selector.New(selector.Config{Source: &Source{Client: client, Prefix: "/users/", Timeout: 200 * time.Millisecond, Resync: 100 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sel.Close() }()
	l := watch(t, &Source{Client: client, Prefix: "/users/", Timeout: 200 * time.Millisecond, Resync: 100 * time.Millisecond})
	l.until(t, "the first set", isSet("10.0.0.1:80", "10.0.0.2:80"))

	server.Kill()
	r := l.until(t, "etcd's end", func(told) bool { return true })
	if r.err == nil || len(r.nodes) > 0 {
		t.Fatalf("%v, %v while it is dead", r.nodes, r.err)
	}
	if n := len(sel.Nodes()); n != 2 {
		t.Errorf("%d nodes while it is dead", n)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	put(t, client, "/users/c", "10.0.0.3:80")
	l.until(t, "a change after the restart", isSet("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"))
}

// TestWatchSurvivesKill: without any list in between, the watch itself goes on
// after a restart.
func TestWatchSurvivesKill(t *testing.T) {
	server := start(t)
	client := connect(t, server.Addr)
	put(t, client, "/users/a", "10.0.0.1:80")
	l := watch(t, &Source{Client: client, Prefix: "/users/", Resync: time.Hour})
	l.until(t, "the first set", isSet("10.0.0.1:80"))
	server.Kill()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	put(t, client, "/users/b", "10.0.0.2:80")
	l.until(t, "a change after the restart", isSet("10.0.0.1:80", "10.0.0.2:80"))
}

// TestCompacted: what changed while the source was cut off, and was compacted
// in the meantime, is seen afterwards.
func TestCompacted(t *testing.T) {
	server := start(t)
	direct := connect(t, server.Addr)
	put(t, direct, "/users/a", "10.0.0.1:80", "/users/b", "10.0.0.2:80")
	line := newLine(t, server.Addr)
	l := watch(t, &Source{Client: connect(t, line.addr), Prefix: "/users/", Resync: time.Hour})
	l.until(t, "the first set", isSet("10.0.0.1:80", "10.0.0.2:80"))
	put(t, direct, "/users/b", "10.0.0.22:80") // only the watch can have seen this
	l.until(t, "a change", isSet("10.0.0.1:80", "10.0.0.22:80"))

	line.cut()
	remove(t, direct, "/users/a")
	revision := put(t, direct, "/users/c", "10.0.0.3:80", "/users/d", "10.0.0.4:80", "/elsewhere", "x")
	if _, err := direct.Compact(t.Context(), revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	line.mend()
	r := l.until(t, "what was missed", func(told) bool { return true })
	if !isSet("10.0.0.22:80", "10.0.0.3:80", "10.0.0.4:80")(r) {
		t.Errorf("%v, %v: want the set, and no complaint", r.nodes, r.err)
	}
	put(t, direct, "/users/e", "10.0.0.5:80")
	l.until(t, "a change after that", isSet("10.0.0.22:80", "10.0.0.3:80", "10.0.0.4:80", "10.0.0.5:80"))
}

// TestStart: with nobody there, or no key, a client begins only if it may.
func TestStart(t *testing.T) {
	server := start(t)
	client := connect(t, server.Addr)
	nobody := func([]selector.Node, error) { t.Error("reported") }
	if err := (&Source{Client: client, Prefix: "/users/"}).Watch(nobody); !errors.Is(err, ErrNoKeys) {
		t.Error(err)
	}
	l := watch(t, &Source{Client: client, Prefix: "/users/", StartEmpty: true})
	l.until(t, "none", func(r told) bool { return errors.Is(r.err, ErrNoKeys) })
	put(t, client, "/users/a", "10.0.0.1:80")
	l.until(t, "the first", isSet("10.0.0.1:80"))

	server.Kill()
	if err := (&Source{Client: client, Prefix: "/users/", Timeout: 50 * time.Millisecond}).Watch(nobody); err == nil || errors.Is(err, ErrNoKeys) {
		t.Error(err)
	}
	later := watch(t, &Source{Client: client, Prefix: "/users/", Timeout: 200 * time.Millisecond, StartEmpty: true})
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	later.until(t, "the set of an etcd that came later", isSet("10.0.0.1:80"))
}

// line passes bytes on to an address until it is cut.
type line struct {
	addr, to string
	done     sync.WaitGroup

	mu    sync.Mutex
	down  bool
	conns []net.Conn
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &line{addr: l.Addr().String(), to: to}
	x.done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			x.pass(conn)
		}
	})
	t.Cleanup(func() { l.Close(); x.cut(); x.done.Wait() })
	return x
}

func (x *line) pass(conn net.Conn) {
	x.mu.Lock()
	defer x.mu.Unlock()
	other, err := net.Dial("tcp", x.to) //nolint:noctx // to loopback
	if err != nil || x.down {
		conn.Close()
		if err == nil {
			other.Close()
		}
		return
	}
	x.conns = append(x.conns, conn, other)
	for _, way := range [][2]net.Conn{{conn, other}, {other, conn}} {
		x.done.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			way[0].Close()
			way[1].Close()
		})
	}
}

func (x *line) cut() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.down = true
	for _, c := range x.conns {
		c.Close()
	}
	x.conns = nil
}

func (x *line) mend() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.down = false
}

// late does something right after each list.
type late struct {
	clientv3.KV
	then func()
}

func (l late) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	resp, err := l.KV.Get(ctx, key, opts...)
	l.then()
	return resp, err
}

// TestBetweenListAndWatch: what changes there is not missed.
func TestBetweenListAndWatch(t *testing.T) {
	server := start(t)
	direct, client := connect(t, server.Addr), connect(t, server.Addr)
	put(t, direct, "/users/a", "10.0.0.1:80")
	client.KV = late{client.KV, func() { put(t, direct, "/users/b", "10.0.0.2:80") }}
	l := watch(t, &Source{Client: client, Prefix: "/users/", Resync: time.Hour})
	l.until(t, "what came in between", isSet("10.0.0.1:80", "10.0.0.2:80"))
}
