package httpwrap_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// plain hides a reader's type, so that net/http makes no GetBody of it.
func plain(s string) *tracked { return &tracked{Reader: strings.NewReader(s)} }

// TestBodyIsSentAgain: rewound by GetBody, or from what was kept; whole each
// time; and closed.
func TestBodyIsSentAgain(t *testing.T) {
	t.Parallel()
	for _, p := range protos {
		for _, tt := range []struct {
			name     string
			body     int
			getBody  bool
			length   bool
			attempts int
		}{
			{"rewound", 10, true, true, 3},
			{"rewound, large", 1 << 20, true, true, 3},
			{"kept", 10, false, false, 3},
			{"kept, length known", 10, false, true, 3},
			{"kept, at the limit", 1000, false, false, 3},
			{"too large", 1001, false, false, 1},
			{"too large, length known", 1001, false, true, 1},
			{"much too large", 1 << 20, false, false, 1},
			{"much too large, length known", 1 << 20, false, true, 1},
		} {
			t.Run(p.name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				content := strings.Repeat("0123456789", tt.body/10+1)[:tt.body]
				var served atomic.Int64
				n := p.serve(t, func(w http.ResponseWriter, r *http.Request) {
					b, err := io.ReadAll(r.Body)
					if err != nil || string(b) != content {
						t.Errorf("attempt %d: %d bytes, %v; want %d", served.Load()+1, len(b), err, len(content))
					}
					served.Add(1)
					w.WriteHeader(503)
				})
				tr := p.newTransport(t, config{BodyLimit: 1000, Services: with(settings{Budget: resilience.BudgetSettings{Share: -1}})}, n.addr())
				body := plain(content)
				req := request(t, "PUT", p.url("/"), "")
				req.Body, req.ContentLength = body, -1
				if tt.length {
					req.ContentLength = int64(tt.body)
				}
				if tt.getBody {
					req.GetBody = func() (io.ReadCloser, error) { return plain(content), nil }
				}
				got := send(t, tr, req)
				if got.code != 503 || int(served.Load()) != tt.attempts || got.facts.Attempts != tt.attempts {
					t.Errorf("%d, %v after %d attempts, want 503 after %d", got.code, got.err, served.Load(), tt.attempts)
				}
				if large := tt.attempts == 1; got.facts.BodyTooLarge != large || (got.facts.Why == retry.Exhausted) == large {
					t.Errorf("%+v: does it say why?", got.facts)
				}
				eventually(t, "the body is closed", func() bool { return body.closed.Load() > 0 })
				if body.closed.Load() != 1 && !tt.getBody {
					t.Errorf("closed %d times", body.closed.Load())
				}
			})
		}
	}
}

// TestLargeBodyOfAnError: without a response the error says it.
func TestLargeBodyOfAnError(t *testing.T) {
	t.Parallel()
	n := http1.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	})
	tr := http1.newTransport(t, config{BodyLimit: 100}, n.addr())
	req := request(t, "PUT", http1.url("/"), "")
	req.Body = plain(strings.Repeat("x", 101))
	got := send(t, tr, req)
	if !errors.Is(got.err, httpwrap.ErrBodyTooLarge) || !got.facts.BodyTooLarge || got.facts.Attempts != 1 || !resilience.IsAmbiguous(got.err) {
		t.Errorf("%v, %+v; want one ambiguous attempt and the reason", got.err, got.facts)
	}
}

// TestUnreadBodyGoesElsewhere: a body of any size that nobody has read yet is
// not lost with a connection that was refused.
func TestUnreadBodyGoesElsewhere(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("x", 1<<20)
	n := http1.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if b, _ := io.ReadAll(r.Body); string(b) != content {
			t.Errorf("%d bytes of %d", len(b), len(content))
		}
	})
	tr := http1.newTransport(t, config{}, deadAddr(t), n.addr())
	req := request(t, "POST", http1.url("/"), "")
	body := plain(content)
	req.Body = body
	if got := send(t, tr, req); got.code != 200 || got.facts.Attempts != 2 {
		t.Errorf("%d, %v, %+v; want success by the second attempt", got.code, got.err, got.facts)
	}
	if body.closed.Load() != 1 {
		t.Errorf("closed %d times", body.closed.Load())
	}
}

// TestLargeBodyIsNotCut: a timeout does not cut what could not be sent again.
func TestLargeBodyIsNotCut(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, w *world) {
		w.serve("a:1", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			pause(r, time.Second)
		})
		tr := w.transport(config{BodyLimit: 100, Services: with(settings{AttemptTimeout: 100 * ms})}, "a:1")
		req := request(t, "PUT", http1.url("/"), "")
		req.Body = plain(strings.Repeat("x", 101))
		if got := send(t, tr, req); got.code != 200 || w.elapsed() != time.Second {
			t.Errorf("%d, %v after %v; want success after 1s", got.code, got.err, w.elapsed())
		}
	})
}

// TestSlowUpload: an attempt is cut in the middle of an upload, and the next
// one sends all of it.
func TestSlowUpload(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, w *world) {
		received := make(chan string, 2)
		serve := func(_ http.ResponseWriter, r *http.Request) {
			if b, err := io.ReadAll(r.Body); err == nil {
				received <- string(b)
			}
		}
		w.serve("a:1", serve)
		w.serve("b:1", serve)
		tr := w.transport(config{Services: with(settings{AttemptTimeout: 100 * ms})}, "a:1", "b:1")
		pr, pw := io.Pipe()
		go func() {
			_, _ = io.WriteString(pw, "first ")
			<-time.After(150 * ms)
			_, _ = io.WriteString(pw, "second")
			_ = pw.Close()
		}()
		req := request(t, "PUT", http1.url("/"), "")
		req.Body = pr
		answer := send(t, tr, req)
		if answer.err != nil || answer.facts.Attempts != 2 {
			t.Errorf("%v, %+v; want success by the second attempt", answer.err, answer.facts)
		}
		if got := <-received; got != "first second" {
			t.Errorf("received %q", got)
		}
	})
}

// TestFullDuplex: a body that is written as the response is read is not
// waited for, and goes on after the headers.
func TestFullDuplex(t *testing.T) {
	t.Parallel()
	n := h2TLS.serve(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(flushing{w}, r.Body)
	})
	tr := h2TLS.newTransport(t, config{BodyLimit: 10}, n.addr())
	pr, pw := io.Pipe()
	req := request(t, "POST", h2TLS.url("/"), "")
	req.Body = pr
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, word := range []string{"ping", "pong", "and so on"} {
		if _, err := io.WriteString(pw, word); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, len(word))
		if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != word {
			t.Fatalf("%q, %v; want %q", b, err, word)
		}
	}
	_ = pw.Close()
	if b, err := io.ReadAll(resp.Body); len(b) != 0 || err != nil {
		t.Errorf("%q, %v at the end", b, err)
	}
}

type flushing struct{ http.ResponseWriter }

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	_ = http.NewResponseController(f.ResponseWriter).Flush()
	return n, err
}

// TestCallersReaderFails: that is nobody's fault but the caller's.
func TestCallersReaderFails(t *testing.T) {
	t.Parallel()
	errDisk := errors.New("disk on fire")
	for _, p := range []proto{http1, h2TLS} {
		n := p.serve(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
		events := new(recorder)
		tr := p.newTransport(t, config{Services: services{host: {Observer: events}}}, n.addr())
		req := request(t, "PUT", p.url("/"), "")
		req.Body = io.NopCloser(io.MultiReader(strings.NewReader("some"), iotest.ErrReader(errDisk)))
		got := send(t, tr, req)
		if !errors.Is(got.err, errDisk) || got.facts.Attempts != 1 {
			t.Errorf("%s: %v, %+v; want the reader's error, once", p.name, got.err, got.facts)
		}
		if o := lastAttempt(events).Outcome; o.Node != breaker.Ignored || o.Effect != retry.Possible {
			t.Errorf("%s: outcome %+v", p.name, o)
		}
	}
}

// TestGetBodyFails: the first attempt's failure is followed by no other.
func TestGetBodyFails(t *testing.T) {
	t.Parallel()
	errGone := errors.New("file is gone")
	n := http1.serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	tr := http1.newTransport(t, config{}, n.addr())
	req := request(t, "PUT", http1.url("/"), "x")
	req.GetBody = func() (io.ReadCloser, error) { return nil, errGone }
	got := send(t, tr, req)
	if !errors.Is(got.err, errGone) || !resilience.IsAmbiguous(got.err) || got.facts.Attempts != 2 {
		t.Errorf("%v, %+v; want GetBody's error, and doubt", got.err, got.facts)
	}
}

// TestBodyIsClosed: whatever becomes of the call.
func TestBodyIsClosed(t *testing.T) {
	t.Parallel()
	n := http1.serve(t, func(http.ResponseWriter, *http.Request) {})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		ctx   context.Context
		addr  string
		spoil func(*http.Request)
	}{
		"success":        {addr: n.addr()},
		"refused":        {addr: deadAddr(t)},
		"gone already":   {addr: n.addr(), ctx: gone},
		"invalid header": {addr: n.addr(), spoil: func(r *http.Request) { r.Header["bad header"] = []string{"x"} }},
		"invalid scheme": {addr: n.addr(), spoil: func(r *http.Request) { r.URL.Scheme = "ftp" }},
		"invalid key":    {addr: n.addr(), ctx: httpwrap.WithHint(context.Background(), resilience.Keyed("m", "ключ"))},
	} {
		for _, getBody := range []bool{true, false} {
			tr := http1.newTransport(t, config{}, tt.addr)
			ctx := tt.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			req := requestWith(ctx, t, "POST", http1.url("/"), "")
			body := plain("x")
			req.Body = body
			var more []*tracked
			if getBody {
				req.GetBody = func() (io.ReadCloser, error) {
					more = append(more, plain("x"))
					return more[len(more)-1], nil
				}
			}
			if tt.spoil != nil {
				tt.spoil(req)
			}
			resp, err := tr.RoundTrip(req)
			if err == nil {
				resp.Body.Close()
			} else if tt.spoil != nil && httpwrap.Result(nil, err).Attempts != 1 {
				t.Errorf("%s: %v was tried %d times", name, err, httpwrap.Result(nil, err).Attempts)
			}
			for _, b := range append(more, body) {
				if b.closed.Load() == 0 {
					t.Errorf("%s (GetBody: %v): a body was left open; %v", name, getBody, err)
				}
			}
		}
	}
}
