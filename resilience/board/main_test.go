package board

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/resiliencetest"
	"github.com/holdfast-go/holdfast/selector"
)

func TestMain(m *testing.M) {
	if os.Getenv(peerEnv) != "" {
		runPeer()
		return
	}
	leaktest.Main(m)
}

const tick = time.Millisecond

var errOp = errors.New("the op's own error")

// type names that the tests use all the time.
type (
	reply  = resiliencetest.Reply
	config = resilience.Config
	sets   = resilience.Settings
)

var steps = resiliencetest.Steps

func newBoard(t testing.TB, cfg Config) *Board {
	t.Helper()
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// benchClient is a client of a bench whose observer is the board.
func benchClient(t testing.TB, bench *resiliencetest.Bench, b *Board, cfg config) *resilience.Client {
	t.Helper()
	cfg.Observer = b
	c, err := bench.Client(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// realClient is a client in real time, or in that of a synctest bubble.
func realClient(t testing.TB, b *Board, cfg config) *resilience.Client {
	t.Helper()
	cfg.Observer = b
	c, err := resilience.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func addrs(n int) selector.Source {
	list := make([]selector.Node, n)
	for i := range list {
		list[i].Addr = fmt.Sprintf("10.0.%d.%d:8080", i/250, i%250+1)
	}
	return selector.Static(list...)
}

func good(context.Context, *selector.Node) error { return nil }

// fails is an op's error, judged as outcome.
func fails(outcome resilience.Outcome) reply { return reply{Outcome: outcome, Err: errOp} }

// sse reads the events of a stream.
type sse struct{ scan *bufio.Scanner }

func openStream(t testing.TB, url string) *sse {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/event-stream") {
		t.Fatalf("%s: %s, %q", url, resp.Status, kind)
	}
	return newSSE(resp)
}

func newSSE(resp *http.Response) *sse {
	s := &sse{bufio.NewScanner(resp.Body)}
	s.scan.Buffer(nil, 1<<20)
	return s
}

// next returns the data of the next event, as an EventSource would.
func (s *sse) next() (data string, ok bool) {
	_, data, ok = s.event()
	return data, ok
}

// event is next with the event's name.
func (s *sse) event() (name, data string, ok bool) {
	for s.scan.Scan() {
		line := s.scan.Text()
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && data != "":
			return name, data, true
		case field == "data":
			data += value
		case field == "event":
			name = value
		}
	}
	return "", "", false
}
