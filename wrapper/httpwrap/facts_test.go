package httpwrap_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// TestFacts: what Result knows, also through an http.Client that wraps bodies
// and errors in its own.
func TestFacts(t *testing.T) {
	t.Parallel()
	var k atomic.Int64
	n := http1.serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch attempt := k.Add(1); {
		case r.URL.Path == "/lost":
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/lost-then-404" && attempt == 1:
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/lost-then-200" && attempt == 1:
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/lost-then-404", r.URL.Path == "/404":
			w.WriteHeader(404)
		case r.URL.Path == "/500":
			w.WriteHeader(500)
		}
		_, _ = io.WriteString(w, "body")
	})
	tests := []struct {
		method, path string
		code         int
		want         httpwrap.Facts
		history      int
	}{
		{"GET", "/", 200, httpwrap.Facts{Attempts: 1}, 0},
		{"GET", "/lost-then-200", 200, httpwrap.Facts{Attempts: 2}, 0},
		{"GET", "/404", 404, httpwrap.Facts{Attempts: 1, Why: retry.Final}, 0},
		{"GET", "/lost-then-404", 404, httpwrap.Facts{Attempts: 2, Why: retry.Final, Ambiguous: true}, 2},
		{"GET", "/500", 500, httpwrap.Facts{Attempts: 3, Why: retry.Exhausted, Ambiguous: true}, 3},
		{"POST", "/500", 500, httpwrap.Facts{Attempts: 1, Why: retry.NotRepeatable, Ambiguous: true}, 1},
		{"POST", "/lost", 0, httpwrap.Facts{Attempts: 1, Why: retry.NotRepeatable, Ambiguous: true}, 1},
		{"GET", "/lost", 0, httpwrap.Facts{Attempts: 3, Why: retry.Exhausted, Ambiguous: true}, 3},
	}
	for _, tt := range tests {
		tr := http1.newTransport(t, config{Services: with(settings{AttemptTimeout: time.Minute})}, n.addr())
		k.Store(0)
		client := &http.Client{Transport: tr, Timeout: time.Minute}
		resp, err := client.Do(request(t, tt.method, http1.url(tt.path), ""))
		code := 0
		if err == nil {
			code = resp.StatusCode
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		got := httpwrap.Result(resp, err)
		if len(got.History) != tt.history {
			t.Errorf("%s %s: history %+v, want %d attempts", tt.method, tt.path, got.History, tt.history)
		}
		got.History = nil
		tt.want.Service, tt.want.Method = host, tt.method
		if code != tt.code || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", tt.want) {
			t.Errorf("%s %s: %d, %+v; want %d, %+v", tt.method, tt.path, code, got, tt.code, tt.want)
		}
		if err != nil && resilience.IsAmbiguous(err) != tt.want.Ambiguous {
			t.Errorf("%s %s: %v", tt.method, tt.path, err)
		}
	}
	if f := httpwrap.Result(nil, nil); f.Service != "" {
		t.Errorf("of nothing: %+v", f)
	}
	if f := httpwrap.Result(&http.Response{}, errors.New("x")); f.Service != "" {
		t.Errorf("of something else: %+v", f)
	}
}

// TestCrowd: many callers, a node that fails now and then, and one that is
// taken away: nobody gets another's answer, and nothing is left.
func TestCrowd(t *testing.T) {
	t.Parallel()
	for _, p := range protos {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			var k atomic.Int64
			serve := func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				first := r.Header.Get("X-Retry-Attempt") == ""
				switch n := k.Add(1) % 7; {
				case first && n == 0:
					w.WriteHeader(503)
				case first && n == 3:
					panic(http.ErrAbortHandler)
				}
				_, _ = io.WriteString(w, r.URL.Path+string(b))
			}
			a, b := p.serve(t, serve), p.serve(t, serve)
			tr := p.newTransport(t, config{AssumeServerDeduplicates: true, Services: with(settings{
				AttemptTimeout: time.Minute, Budget: resilience.BudgetSettings{Share: -1},
			})}, a.addr(), b.addr(), deadAddr(t))
			var crowd sync.WaitGroup
			for i := range 8 {
				crowd.Go(func() {
					for j := range 20 {
						method := []string{"GET", "POST"}[j%2]
						path, body := fmt.Sprintf("/%d/%d", i, j), ""
						if method == "POST" {
							body = " body"
						}
						req := request(t, method, p.url(path), "")
						if body != "" {
							req.Body = plain(body)
						}
						if got := send(t, tr, req); got.err != nil || got.code != 200 || got.body != path+body {
							t.Errorf("%s %s: %d %q, %v", method, path, got.code, got.body, got.err)
						}
					}
				})
			}
			crowd.Wait()
			for _, s := range tr.Client(host).Selector().Nodes() {
				eventually(t, "nothing in flight", func() bool { return statusOf(t, tr, s.Node.Addr).InFlight == 0 })
			}
		})
	}
}
