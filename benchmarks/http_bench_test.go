package benchmarks_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/overhead"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// BenchmarkHTTP is a whole GET over loopback under a context.WithTimeout: by
// net/http alone, under httpwrap with default settings (three attempts, so
// each has a timeout of its own), and without attempt timeouts. The server is a
// process of its own, as servers are; with server=inside it is in ours, which
// hands requests over without the kernel's scheduler.
//
// stack=… measure one after the other. p50 takes turns, request by request and
// in random order, so that what else the machine does hits all; it reports the
// medians, and by how much they exceed that of net/http.
func BenchmarkHTTP(b *testing.B) {
	stacks := httpStacks(b, serverProcess(b))
	for _, s := range stacks {
		b.Run("stack="+s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.get(b)
			}
		})
	}
	b.Run("p50", func(b *testing.B) { overhead.P50(b, ways(stacks)...) })
	b.Run("p50/server=inside", func(b *testing.B) {
		server := httptest.NewServer(hello)
		b.Cleanup(server.Close)
		overhead.P50(b, ways(httpStacks(b, server.Listener.Addr().String()))...)
	})
}

func ways(stacks []httpStack) (list []overhead.Way) {
	for _, s := range stacks {
		list = append(list, overhead.Way{Name: s.name, Do: s.get})
	}
	return list
}

type httpStack struct {
	name   string
	client *http.Client
	url    string
}

// httpStacks begins with bare net/http.
func httpStacks(b *testing.B, addr string) []httpStack {
	b.Helper()
	bare := http.DefaultTransport.(*http.Transport).Clone()
	b.Cleanup(bare.CloseIdleConnections)
	wrapped := func(s resilience.Settings) *http.Client {
		t, err := httpwrap.New(httpwrap.Config{Services: map[string]resilience.Config{
			"hello": {Nodes: selector.Addrs(addr), Settings: s},
		}})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = t.Close() })
		return &http.Client{Transport: t}
	}
	return []httpStack{
		{"bare", &http.Client{Transport: bare}, "http://" + addr},
		{"holdfast", wrapped(resilience.Settings{}), "http://hello/"},
		{"holdfast-uncut", wrapped(resilience.Settings{AttemptTimeout: -1}), "http://hello/"},
	}
}

func (s *httpStack) get(b *testing.B) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		b.Fatal(err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		b.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		b.Fatal(err)
	}
}
