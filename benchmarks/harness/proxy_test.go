package harness

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// asProxy is the argument with which the test binary plays a user's command:
// a proxy to the first node.
const asProxy = "__proxy"

func runProxy() {
	first, _, _ := strings.Cut(os.Getenv("HOLDFAST_NODES"), ",")
	fmt.Println("serving with", os.Getenv("HOLDFAST_TIMEOUT_MS"), "ms")
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: first})
	srv := &http.Server{Addr: os.Getenv("HOLDFAST_LISTEN"), Handler: proxy, ReadHeaderTimeout: time.Second}
	fmt.Println(srv.ListenAndServe())
	os.Exit(1)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	ports, release, err := choosePorts(0, []string{"proxy"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return address(ports[0])
}

// A user's command stands between client and instances.
func TestCommand(t *testing.T) {
	b := newBedside(t, "a", "", Service{Mean: time.Millisecond})
	c := Command{Label: "mine", Argv: []string{os.Args[0], asProxy}}
	client, err := c.Dial(ClientConfig{
		Nodes: []Node{{ID: "a", Addr: strings.TrimPrefix(b.url, "http://")}}, Timeout: 2 * time.Second, Listen: freeAddr(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}()
	if node, err := client.Do(t.Context(), Post, "p1"); err != nil || node != "a" {
		t.Errorf("%q, %v", node, err)
	}
	if got := b.kinds(t, "p1"); got != "BAE" {
		t.Errorf("ledger %q", got)
	}
	b.sicken(Illness{Errors: 1})
	if _, err := client.Do(t.Context(), Get, "g1"); err == nil || !strings.Contains(err.Error(), "status 500") {
		t.Errorf("%v, want the status", err)
	}
}

// A whole run with a command: one beside each client process.
func TestBenchCommand(t *testing.T) {
	c := Command{Label: "mine", Argv: []string{os.Args[0], asProxy}}
	plan := quickPlan()
	plan.Clients = 2
	r := bench1(t, BenchConfig{Plan: plan, Stack: c})
	for i := range r.Shots {
		if s := &r.Shots[i]; !s.OK || s.Node != "hello-1" {
			t.Fatalf("%+v", s)
		}
	}
}

// One that ends at once is an error which repeats what it said.
func TestCommandThatEnds(t *testing.T) {
	_, err := StartProxy(ProxyConfig{Argv: []string{os.Args[0], "-test.run=^$", "-no-such-flag"}, Listen: freeAddr(t)})
	if err == nil || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("got %v, want what it said", err)
	}
	if _, err := StartProxy(ProxyConfig{Argv: []string{"/no/such/program"}}); err == nil {
		t.Error("a program that is not there")
	}
	if (Command{Argv: []string{"/no/such/program"}}).Info().Unavailable == nil {
		t.Error("a program that is not there is available")
	}
}

func TestParseCommand(t *testing.T) {
	c, err := ParseCommand("mine=./proxy -x 1")
	if err != nil || c.Name() != "mine" || strings.Join(c.Argv, "|") != "./proxy|-x|1" || !c.Info().Beside {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range []string{"", "mine", "mine=", "=x", "a b=x", "a/b=x"} {
		if _, err := ParseCommand(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestLineCutter(t *testing.T) {
	var got []string
	l := &lineCutter{each: func(s string) { got = append(got, s) }}
	for _, part := range []string{"a", "b\nc", "\n\nd"} {
		if n, err := l.Write([]byte(part)); n != len(part) || err != nil {
			t.Error(n, err)
		}
	}
	if strings.Join(got, "|") != "ab|c|" || l.end.String() != "ab\nc\n\nd" {
		t.Errorf("%q, end %q", got, l.end.String())
	}
	_, _ = l.Write(make([]byte, longestLine+1)) // it does not fail
	if len(l.rest) > longestLine {
		t.Errorf("%d bytes are kept of a line without an end", len(l.rest))
	}
}
