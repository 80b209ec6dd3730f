package dns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/realserver"
	"github.com/holdfast-go/holdfast/selector"
)

// told is one report.
type told struct {
	nodes []selector.Node
	err   error
}

// listener gets reports.
type listener chan told

func (l listener) report(nodes []selector.Node, err error) { l <- told{nodes, err} }

// until waits for a report that satisfies is.
func (l listener) until(t *testing.T, what string, is func(told) bool) told {
	t.Helper()
	for {
		select {
		case r := <-l:
			if is(r) {
				return r
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("no report of %s", what)
		}
	}
}

func isSet(ids ...string) func(told) bool {
	return func(r told) bool { return r.err == nil && slices.Equal(addrs(r.nodes), ids) }
}

func addrs(nodes []selector.Node) (list []string) {
	for _, n := range nodes {
		list = append(list, n.Addr)
	}
	return list
}

// watch watches s as long as the test runs.
func watch(t *testing.T, s *Source) listener {
	t.Helper()
	l := make(listener, 100)
	if err := s.Watch(l.report); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return l
}

func fast(s *Source, server *realserver.Server) *Source {
	s.Servers, s.Shortest, s.Timeout = []string{server.Addr}, 10*time.Millisecond, 500*time.Millisecond
	return s
}

// TestServerChangesDiesAndReturns: with a real dnsmasq, a changed set is seen;
// one that is killed leaves the set as it was and is told of once; when it is
// back, so are its answers.
func TestServerChangesDiesAndReturns(t *testing.T) {
	hosts := filepath.Join(t.TempDir(), "hosts")
	write := func(lines ...string) {
		t.Helper()
		if err := os.WriteFile(hosts, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil { //nolint:gosec // dnsmasq reads it as nobody
			t.Fatal(err)
		}
	}
	write("127.0.0.2 users.test", "::2 users.test")
	server := realserver.For(t, realserver.DNS, "--addn-hosts="+hosts)
	l := watch(t, fast(&Source{Host: "Users.test", Port: 80}, server))
	l.until(t, "the first set", isSet("127.0.0.2:80", "[::2]:80"))

	write("127.0.0.2 users.test", "127.0.0.3 users.test")
	if err := syscall.Kill(server.Pid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	l.until(t, "the changed set", isSet("127.0.0.2:80", "127.0.0.3:80"))

	write("127.0.0.4 other.test") // the name is gone: no set at all
	if err := syscall.Kill(server.Pid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r := l.until(t, "a name that is gone", func(r told) bool { return r.err != nil })
	if !isNotFound(r.err) {
		t.Errorf("%v: want a not found", r.err)
	}

	server.Kill()
	l.until(t, "a server that is gone", func(r told) bool { return errors.Is(r.err, syscall.ECONNREFUSED) })
	write("127.0.0.5 users.test")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	r = l.until(t, "the new set", func(r told) bool { return r.err == nil })
	if !isSet("127.0.0.5:80")(r) {
		t.Errorf("%v, %v after the restart: want the new set, and nothing in between", r.nodes, r.err)
	}
}

// TestServerServices: SRV records of a real dnsmasq, as nodes with weights.
func TestServerServices(t *testing.T) {
	server := realserver.For(
		t, realserver.DNS,
		"--srv-host=_http._tcp.users.test,b.test,8080,1,3", "--srv-host=_http._tcp.users.test,a.test,8081,1,1",
		"--srv-host=_http._tcp.users.test,idle.test,8082,1,0", "--srv-host=_http._tcp.users.test,backup.test,8083,2,9",
		"--host-record=a.test,127.0.0.2", "--host-record=b.test,127.0.0.3,::3", "--host-record=idle.test,127.0.0.4", "--host-record=backup.test,127.0.0.5",
	)
	l := watch(t, fast(&Source{SRV: "_http._tcp.users.test."}, server))
	got := (<-l).nodes
	want := []selector.Node{
		{ID: "a.test:8081/127.0.0.2", Addr: "127.0.0.2:8081", Weight: 10},
		{ID: "b.test:8080/127.0.0.3", Addr: "127.0.0.3:8080", Weight: 30},
		{ID: "b.test:8080/::3", Addr: "[::3]:8080", Weight: 30},
		{ID: "idle.test:8082/127.0.0.4", Addr: "127.0.0.4:8082", Weight: 1},
	}
	same := func(a, b selector.Node) bool { return a.ID == b.ID && a.Addr == b.Addr && a.Weight == b.Weight }
	if !slices.EqualFunc(got, want, same) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if err := selector.CheckNodes(got); err != nil {
		t.Error(err)
	}
}

// TestServerTruncates: an answer that does not fit into a datagram comes by
// TCP, whole.
func TestServerTruncates(t *testing.T) {
	args := []string{"--edns-packet-max=512"}
	for i := range 200 {
		args = append(args, fmt.Sprintf("--host-record=many.test,127.0.1.%d", i+1))
	}
	server := realserver.For(t, realserver.DNS, args...)
	l := watch(t, fast(&Source{Host: "many.test", Port: 80, Network: "ip4"}, server))
	if r := <-l; len(r.nodes) != 200 {
		t.Errorf("%d nodes, %v: want 200", len(r.nodes), r.err)
	}
}

// TestServerSays: aliases are followed, and what is not there is an error that
// says so, unless the client may begin without nodes.
func TestServerSays(t *testing.T) {
	server := realserver.For(t, realserver.DNS, "--host-record=users.test,127.0.0.2", "--cname=alias.test,users.test")
	l := watch(t, fast(&Source{Host: "alias.test", Port: 80}, server))
	if r := <-l; !isSet("127.0.0.2:80")(r) {
		t.Errorf("alias: %v, %v", r.nodes, r.err)
	}
	nobody := func([]selector.Node, error) { t.Error("reported") }
	if err := fast(&Source{Host: "nowhere.test", Port: 80}, server).Watch(nobody); !isNotFound(err) {
		t.Errorf("a name that is not there: %v", err)
	}
	l = watch(t, fast(&Source{Host: "nowhere.test", Port: 80, StartEmpty: true}, server))
	if r := <-l; !isNotFound(r.err) {
		t.Errorf("StartEmpty: %v, %v", r.nodes, r.err)
	}
}
