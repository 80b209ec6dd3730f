package stacks

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// instance is a hello over HTTP that answers with a status, or hangs until the
// test ends. It counts what reaches it.
type instance struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string // method and attempt
	keys []string // of POSTs, where there are any
}

const hangs = 0

func newInstance(t *testing.T, status int) *instance {
	in := new(instance)
	end := make(chan struct{})
	in.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == harness.HealthPath {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		in.mu.Lock()
		in.seen = append(in.seen, r.Method+r.Header.Get(harness.AttemptHeader))
		if key := r.Header.Get(harness.IdempotencyKey); key != "" {
			in.keys = append(in.keys, key)
		}
		in.mu.Unlock()
		if status == hangs {
			<-end
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "alive")
	}))
	t.Cleanup(func() {
		close(end)
		in.Close()
	})
	return in
}

func (in *instance) addr() string { return in.Listener.Addr().String() }

func (in *instance) count() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.seen)
}

// dial makes a stack's client of these nodes, "a", "b" and so on. The function
// returned reads what it has written to its journal.
func dial(t *testing.T, stack harness.Stack, addrs ...string) (harness.Client, func() []harness.Entry) {
	t.Helper()
	var wrote bytes.Buffer
	cfg := harness.ClientConfig{Timeout: time.Minute, Journal: harness.NewJournal(&wrote, nil)}
	if stack.Info().Beside {
		cfg.Dir, cfg.Listen = t.TempDir(), refusing(t)
	}
	for i, addr := range addrs {
		cfg.Nodes = append(cfg.Nodes, harness.Node{ID: string(rune('a' + i)), Addr: addr})
	}
	client, err := stack.Dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client, func() []harness.Entry {
		if err := cfg.Journal.Flush(); err != nil {
			t.Fatal(err)
		}
		entries, bad, err := harness.ParseJournal(bytes.NewReader(wrote.Bytes()))
		if err != nil || bad > 0 {
			t.Fatal(bad, err)
		}
		return entries
	}
}

func libraries() []harness.Stack {
	return []harness.Stack{Backoff{}, GoBreaker{}, Hystrix{}, Failsafe{}}
}

// Every library goes on to the other node, numbers its attempts, and writes
// them down.
func TestRetries(t *testing.T) {
	for _, stack := range libraries() {
		for name, ill := range map[string]func() string{
			"refused": func() string { return refusing(t) },
			"failed":  newInstance(t, http.StatusInternalServerError).addr,
			"hanging": newInstance(t, hangs).addr,
		} {
			t.Run(stack.Name()+"/"+name, func(t *testing.T) {
				alive := newInstance(t, http.StatusOK)
				client, journal := dial(t, stack, ill(), alive.addr())
				for range 2 { // one of them meets the ill node
					if node, err := client.Do(t.Context(), harness.Post, "1"); err != nil || node != "alive" {
						t.Fatal(node, err)
					}
				}
				if !slices.Equal(alive.seen, []string{"POST1", "POST2"}) && !slices.Equal(alive.seen, []string{"POST2", "POST1"}) {
					t.Errorf("the other node saw %q", alive.seen)
				}
				failed := 0
				for _, e := range journal() {
					if e.Kind == harness.TriedNode && e.Detail != "" {
						failed++
						if e.Node != "a" || e.Attempt != 1 || e.NotSent != (name == "refused") {
							t.Errorf("%+v", e)
						}
					}
				}
				if want := 1; failed != want && !(stack.Name() == "hystrix-backoff" && name == "hanging") { // which goes on beyond its timeout
					t.Errorf("%d failed attempts in the journal, want %d", failed, want)
				}
			})
		}
	}
}

// Those with breakers take a node out that refuses, which the journal tells,
// and try it no more; a call does not pay for that with an attempt.
func TestBreakers(t *testing.T) {
	for _, stack := range libraries()[1:] {
		t.Run(stack.Name(), func(t *testing.T) {
			client, journal := dial(t, stack, refusing(t), newInstance(t, http.StatusOK).addr())
			opened := func() bool {
				return slices.ContainsFunc(journal(), func(e harness.Entry) bool { return e.Kind == harness.Ejected && e.Node == "a" })
			}
			for n := 0; !opened(); n++ {
				if n == 200 {
					t.Fatal("not ejected")
				}
				if _, err := client.Do(t.Context(), harness.Get, "1"); err != nil {
					t.Fatal(err)
				}
			}
			before := len(journal())
			for range 10 {
				if _, err := client.Do(t.Context(), harness.Get, "2"); err != nil {
					t.Fatal(err)
				}
			}
			for _, e := range journal()[before:] {
				if e.Kind != harness.TriedNode || e.Node != "b" || e.Attempt != 1 {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// What one client has learnt is not known to another.
func TestClientsShareNothing(t *testing.T) {
	for _, stack := range libraries()[1:] {
		t.Run(stack.Name(), func(t *testing.T) {
			dead, alive := refusing(t), newInstance(t, http.StatusOK).addr()
			first, _ := dial(t, stack, dead, alive)
			for range 60 {
				_, _ = first.Do(t.Context(), harness.Get, "1") // it may give up
			}
			second, journal := dial(t, stack, dead, alive)
			for range 2 {
				if _, err := second.Do(t.Context(), harness.Get, "2"); err != nil {
					t.Fatal(err)
				}
			}
			if !slices.ContainsFunc(journal(), func(e harness.Entry) bool { return e.Node == "a" }) {
				t.Error("the second client did not try the node")
			}
		})
	}
}

// sidecars skips the test where the stack's program is missing, but not in CI.
func sidecars(t *testing.T) []harness.Stack {
	stacks := []harness.Stack{HAProxy{}, Nginx{}}
	for _, s := range stacks {
		err := s.Info().Unavailable
		if err != nil && os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		if err != nil {
			t.Skip(err)
		}
	}
	return stacks
}

// Sidecars go on to the next node, but not with a POST that was sent.
func TestSidecars(t *testing.T) {
	for _, stack := range sidecars(t) {
		t.Run(stack.Name(), func(t *testing.T) {
			failing := newInstance(t, http.StatusInternalServerError)
			client, _ := dial(t, stack, refusing(t), failing.addr(), newInstance(t, http.StatusOK).addr())
			for range 6 {
				if node, err := client.Do(t.Context(), harness.Get, "1"); err != nil || node != "alive" {
					t.Fatal(node, err)
				}
			}
			failing.mu.Lock()
			failing.seen = nil
			failing.mu.Unlock()
			client, _ = dial(t, stack, refusing(t), failing.addr())
			if _, err := client.Do(t.Context(), harness.Post, "2"); err == nil || !strings.Contains(err.Error(), "500") {
				t.Errorf("%v, want the status of the node that answers", err)
			}
			if n := failing.count(); n != 1 {
				t.Errorf("%d attempts of a POST that failed, want 1", n)
			}
		})
	}
}

// A sidecar needs what bench gives and failover does not.
func TestSidecarWithoutPlace(t *testing.T) {
	for _, stack := range []harness.Stack{HAProxy{}, Nginx{}} {
		if client, err := stack.Dial(harness.ClientConfig{}); err == nil {
			_ = client.Close()
			t.Errorf("%s: no error", stack.Name())
		}
	}
}

func TestHAProxySays(t *testing.T) {
	for line, want := range map[string]harness.Entry{
		`[WARNING]  (7) : Server hello/hello-5 is DOWN, reason: Layer4 connection problem, info: "Connection refused".`: {Kind: harness.Ejected, Node: "hello-5", Detail: `Layer4 connection problem, info: "Connection refused".`},
		`[WARNING]  (7) : Server hello/hello-5 is UP, reason: Layer7 check passed, code: 200.`:                          {Kind: harness.Readmitted, Node: "hello-5", Detail: "Layer7 check passed, code: 200."},
		`[NOTICE]   (7) : haproxy version is 2.6.12`:                                                                    {},
	} {
		if got, ok := haproxySays(line); got != want || ok != (want != harness.Entry{}) {
			t.Errorf("%s: %+v, %v", line, got, ok)
		}
	}
}

func TestNginxDisabled(t *testing.T) {
	const line = `2026/11/26 08:39:41 [warn] 7#7: *9 upstream server temporarily disabled while connecting to upstream, client: 127.0.0.1, ` +
		`server: , request: "GET /user/test HTTP/1.1", upstream: "http://127.0.0.1:9001/user/test", host: "127.0.0.1:9000"`
	if got := nginxDisabled(line); got != "127.0.0.1:9001" {
		t.Errorf("%q", got)
	}
	if got := nginxDisabled(strings.Replace(line, "temporarily disabled", "timed out", 1)); got != "" {
		t.Errorf("%q for another line", got)
	}
}

// With keys a POST that may have been carried out is tried again, under the
// same key; without, it is not, and the client says what that leaves open.
func TestHoldfastKeys(t *testing.T) {
	for _, stack := range []harness.Stack{Holdfast{}, HoldfastKeyed{}} {
		t.Run(stack.Name(), func(t *testing.T) {
			failing := newInstance(t, http.StatusInternalServerError)
			client, _ := dial(t, stack, failing.addr())
			if _, err := client.Do(t.Context(), harness.Post, "7"); err == nil || !client.Ambiguous(err) {
				t.Errorf("%v: want an error that is ambiguous", err)
			}
			want := []string{"7", "7", "7"}
			if !stack.Info().Keyed {
				want = nil
			}
			if !slices.Equal(failing.keys, want) || len(failing.seen) != max(1, len(want)) {
				t.Errorf("attempts %q with keys %q, want keys %q", failing.seen, failing.keys, want)
			}
		})
	}
}

// The names are those that people give on the command line, one each, and each
// stack says what it is and how it is configured.
func TestAll(t *testing.T) {
	var names []string
	for _, s := range All() {
		names = append(names, s.Name())
		if info := s.Info(); info.What == "" || info.Config == "" {
			t.Errorf("%s: %+v", s.Name(), info)
		}
	}
	want := strings.Fields("holdfast holdfast-keyed bare backoff gobreaker-backoff hystrix-backoff failsafe go-micro grpc-outlier holdfast-grpc haproxy nginx")
	if !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}
