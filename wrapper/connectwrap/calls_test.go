package connectwrap_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/connectwrap"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// TestCodes: what each code comes to, over each protocol: how often a safe call
// and one that says nothing are tried, and whether the latter is in doubt.
func TestCodes(t *testing.T) {
	tests := []struct {
		code       connect.Code
		safe, none int
		doubt      bool
	}{
		{connect.CodeCanceled, 3, 1, true},
		{connect.CodeUnknown, 3, 1, true},
		{connect.CodeInvalidArgument, 1, 1, false},
		{connect.CodeDeadlineExceeded, 3, 1, true},
		{connect.CodeNotFound, 1, 1, false},
		{connect.CodeAlreadyExists, 1, 1, false},
		{connect.CodePermissionDenied, 1, 1, false},
		{connect.CodeResourceExhausted, 3, 3, false},
		{connect.CodeFailedPrecondition, 1, 1, false},
		{connect.CodeAborted, 1, 1, false},
		{connect.CodeOutOfRange, 1, 1, false},
		{connect.CodeUnimplemented, 1, 1, false},
		{connect.CodeInternal, 3, 1, true},
		{connect.CodeUnavailable, 3, 1, true},
		{connect.CodeDataLoss, 3, 1, true},
		{connect.CodeUnauthenticated, 1, 1, false},
	}
	for protocol, options := range protocols {
		t.Run(protocol, func(t *testing.T) {
			for _, tt := range tests {
				var attempts atomic.Int32
				addr := serve(t, echo(func(context.Context, string, string, http.Header) (string, error) {
					attempts.Add(1)
					return "", connect.NewError(tt.code, errors.New("no"))
				}))
				x := newTransport(t, protocol == "grpc", resilience.Config{Settings: quick}, addr)
				for procedure, want := range map[string]int{get: tt.safe, put: tt.safe, post: tt.none} {
					attempts.Store(0)
					_, err := call(t.Context(), client(x, procedure, options...), "x")
					if n := int(attempts.Load()); n != want {
						t.Errorf("%v of %s: %d attempts, want %d", tt.code, procedure, n, want)
					}
					if connect.CodeOf(err) != tt.code || resilience.IsAmbiguous(err) != tt.doubt {
						t.Errorf("%v of %s: %v, in doubt: %v", tt.code, procedure, err, resilience.IsAmbiguous(err))
					}
				}
			}
		})
	}
}

// TestPrecedence: the caller's hint goes before the method's setting, that
// before the level, and each leaves the procedure as the method's name.
func TestPrecedence(t *testing.T) {
	var attempts atomic.Int32
	addr := serve(t, echo(func(context.Context, string, string, http.Header) (string, error) {
		attempts.Add(1)
		return "", connect.NewError(connect.CodeInternal, errors.New("no"))
	}))
	tests := []struct {
		name      string
		procedure string
		setting   retry.Idempotency
		hint      resilience.Hint
		want      int
		method    string
	}{
		{"the level", get, retry.Unspecified, resilience.Hint{}, 3, get},
		{"the setting before the level", get, retry.NonIdempotent, resilience.Hint{}, 1, get},
		{"the hint before the setting", get, retry.NonIdempotent, resilience.Hint{Idempotency: retry.Safe}, 3, get},
		{"the hint before the level", get, retry.Unspecified, resilience.Hint{Idempotency: retry.NonIdempotent}, 1, get},
		{"a key", post, retry.Unspecified, resilience.Hint{Key: "k"}, 3, post},
		{"a name", post, retry.Unspecified, resilience.Hint{Method: "mine"}, 1, "mine"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := quick
			s.Methods = map[string]resilience.MethodSettings{tt.procedure: {Idempotency: tt.setting}}
			x := newTransport(t, false, resilience.Config{Settings: s}, addr)
			attempts.Store(0)
			_, err := call(httpwrap.WithHint(t.Context(), tt.hint), client(x, tt.procedure), "x")
			var e *resilience.Error
			if n := int(attempts.Load()); n != tt.want || !errors.As(err, &e) || e.Method != tt.method || len(e.Attempts) != tt.want {
				t.Errorf("%d attempts, want %d: %+v", n, tt.want, err)
			}
		})
	}
}

// TestNothingThere: an error without a response tells of all attempts too.
func TestNothingThere(t *testing.T) {
	x := newTransport(t, false, resilience.Config{Settings: quick}, "127.0.0.1:1", "127.0.0.1:2")
	_, err := call(t.Context(), client(x, post), "x")
	var e *resilience.Error
	if connect.CodeOf(err) != connect.CodeUnavailable || !errors.As(err, &e) || len(e.Attempts) != 3 || resilience.IsAmbiguous(err) {
		t.Errorf("%v", err)
	}
}

// TestStreams: a stream from the server is tried again until it has begun, one
// to the server as far as it is kept; errors say what they leave in doubt.
func TestStreams(t *testing.T) {
	var attempts atomic.Int32
	var broken atomic.Int32 // how many attempts fail
	addr := serve(t, echo(func(_ context.Context, _, in string, _ http.Header) (string, error) {
		if attempts.Add(1) <= broken.Load() {
			return "", connect.NewError(connect.CodeUnavailable, errors.New("no"))
		}
		return in, nil
	}))
	x := newTransport(t, true, resilience.Config{Settings: quick}, addr)
	read := func() (n int, err error) {
		s, err := client(x, list, connect.WithGRPC()).CallServerStream(t.Context(), connect.NewRequest(wrapperspb.String("x")))
		if err != nil {
			return 0, err
		}
		for s.Receive() {
			n++
		}
		return n, errors.Join(s.Err(), s.Close())
	}
	broken.Store(2)
	if n, err := read(); n != 3 || err != nil || attempts.Load() != 5 {
		t.Errorf("%d messages, %v, %d calls of the handler", n, err, attempts.Load())
	}
	broken.Store(1000)
	if n, err := read(); n != 0 || connect.CodeOf(err) != connect.CodeUnavailable || !resilience.IsAmbiguous(err) {
		t.Errorf("%d messages, %v", n, err)
	}
	attempts.Store(0)
	broken.Store(1)
	up := client(x, upload, connect.WithGRPC()).CallClientStream(httpwrap.WithHint(t.Context(), resilience.Hint{Idempotency: retry.Idempotent}))
	for _, part := range []string{"a", "b", "c"} {
		if err := up.Send(wrapperspb.String(part)); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := up.CloseAndReceive()
	if err != nil || resp.Msg.GetValue() != "abc" || attempts.Load() != 2 {
		t.Errorf("%v, %v after %d attempts", resp, err, attempts.Load())
	}
}

// lateReader is a Base whose first attempt reads half of the body, waits to be
// cut, and then reads on, as a connection may that was given up.
type lateReader struct {
	mu    sync.Mutex
	tries int
	next  http.RoundTripper
	late  sync.WaitGroup
}

func (l *lateReader) RoundTrip(req *http.Request) (*http.Response, error) {
	l.mu.Lock()
	l.tries++
	first := l.tries == 1
	l.mu.Unlock()
	if !first {
		return l.next.RoundTrip(req)
	}
	_, _ = io.CopyN(io.Discard, req.Body, req.ContentLength/2)
	<-req.Context().Done()
	l.late.Go(func() {
		_, _ = io.Copy(io.Discard, req.Body)
		req.Body.Close()
	})
	return nil, req.Context().Err()
}

// TestBodiesAreApart: an attempt that was given up does not take from the next
// one's body, which Connect would rewind under its feet.
func TestBodiesAreApart(t *testing.T) {
	addr := serve(t, echo(func(_ context.Context, _, in string, _ http.Header) (string, error) { return in, nil }))
	base := &lateReader{next: new(http.Transport)}
	s := quick
	s.AttemptTimeout = 50 * time.Millisecond
	x, err := connectwrap.New(httpwrap.Config{Base: base, Services: map[string]resilience.Config{"users": {Settings: s, Nodes: selector.Addrs(addr)}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = x.Close()
		base.next.(*http.Transport).CloseIdleConnections()
	}()
	want := strings.Repeat("0123456789", 1000)
	got, err := call(t.Context(), client(x, get), want)
	if err != nil || got != want {
		t.Errorf("%d bytes came back of %d, %v", len(got), len(want), err)
	}
	base.late.Wait()
	if base.tries < 2 {
		t.Errorf("%d attempts", base.tries)
	}
}

// TestDeadline: each attempt tells what is left of the deadline.
func TestDeadline(t *testing.T) {
	for protocol, name := range map[string]string{"connect": "Connect-Timeout-Ms", "grpc": "Grpc-Timeout"} {
		t.Run(protocol, func(t *testing.T) {
			var mu sync.Mutex
			var told []time.Duration
			addr := serve(t, echo(func(ctx context.Context, _, _ string, h http.Header) (string, error) {
				mu.Lock()
				defer mu.Unlock()
				deadline, ok := ctx.Deadline()
				if !ok {
					t.Errorf("no deadline: %v", h)
				}
				told = append(told, time.Until(deadline))
				if len(told) == 3 {
					return "", nil
				}
				<-time.After(20 * time.Millisecond)
				return "", connect.NewError(connect.CodeInternal, errors.New("no"))
			}))
			x := newTransport(t, protocol == "grpc", resilience.Config{Settings: quick}, addr)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if _, err := call(ctx, client(x, get, protocols[protocol]...), ""); err != nil {
				t.Fatal(name, err)
			}
			if len(told) != 3 || told[1] >= told[0]-15*time.Millisecond || told[2] >= told[1]-15*time.Millisecond {
				t.Errorf("%s: %v", name, told)
			}
		})
	}
}

// TestConfig: what is wrong is httpwrap's to say; what else the user wants to
// add or judge has its turn.
func TestConfig(t *testing.T) {
	if _, err := connectwrap.New(httpwrap.Config{DrainTime: -1}); err == nil || !strings.Contains(err.Error(), "drainTime") {
		t.Error(err)
	}
	var seen bytes.Buffer
	addr := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen.WriteString(r.Header.Get("X-Mine")) }))
	x, err := connectwrap.New(httpwrap.Config{
		Services: map[string]resilience.Config{"users": {Settings: quick, Nodes: selector.Addrs(addr)}},
		Header:   func(_ context.Context, h http.Header) { h.Set("X-Mine", "x") },
		Status:   func(*http.Response) int { return http.StatusTooManyRequests },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = x.Close() }()
	_, _ = call(t.Context(), client(x, post), "x")
	if seen.String() != "xxx" {
		t.Errorf("seen %q, want a header on each of three attempts", seen.String())
	}
}

// TestLayers: three layers of real servers, each with a client that would make
// three attempts and retries of a fifth by its budget, and the bottom down: what
// arrives there is within the first client's budget, not multiplied.
func TestLayers(t *testing.T) {
	const requests = 300
	run := func(serveTrusting bool) (bottom int) {
		wrap := func(h http.Handler) http.Handler {
			if !serveTrusting {
				return h
			}
			return httpwrap.Serve(h, func(*http.Request) bool { return true })
		}
		var arrived atomic.Int32
		addr := serve(t, wrap(echo(func(context.Context, string, string, http.Header) (string, error) {
			arrived.Add(1)
			return "", connect.NewError(connect.CodeUnavailable, errors.New("down"))
		})))
		for range 2 {
			below := client(newTransport(t, false, resilience.Config{Settings: quick}, addr), get)
			addr = serve(t, wrap(echo(func(ctx context.Context, _, in string, _ http.Header) (string, error) {
				return call(ctx, below, in)
			})))
		}
		top := client(newTransport(t, false, resilience.Config{Settings: quick}, addr), get)
		for i := range requests {
			if _, err := call(t.Context(), top, fmt.Sprint(i)); err == nil {
				t.Error("no error")
			}
		}
		return int(arrived.Load())
	}
	apart, together := run(false), run(true)
	t.Logf("%d requests: %d at the bottom without httpwrap.Serve, %d with it", requests, apart, together)
	if most := requests + requests/5; together > most || together >= apart { // (1 + r) × requests
		t.Errorf("%d at the bottom with httpwrap.Serve, want at most %d; %d without", together, most, apart)
	}
}

// TestBreaksOff: a unary response that ends in its middle is tried again where
// that is safe, and in doubt elsewhere.
func TestBreaksOff(t *testing.T) {
	for protocol, options := range protocols {
		t.Run(protocol, func(t *testing.T) {
			var requests atomic.Int32
			whole := echo(func(_ context.Context, _, in string, _ http.Header) (string, error) { return in, nil })
			addr := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if requests.Add(1) > 1 {
					whole.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
				if protocol == "connect" {
					w.Header().Set("Content-Length", "1000")
				}
				_, _ = w.Write([]byte{0, 0, 0, 1, 0, 1})
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}))
			x := newTransport(t, protocol == "grpc", resilience.Config{Settings: quick}, addr)
			if out, err := call(t.Context(), client(x, get, options...), "x"); out != "x" || err != nil || requests.Load() != 2 {
				t.Errorf("%q, %v after %d requests", out, err, requests.Load())
			}
			requests.Store(0)
			if _, err := call(t.Context(), client(x, post, options...), "x"); !resilience.IsAmbiguous(err) || requests.Load() != 1 {
				t.Errorf("%v after %d requests", err, requests.Load())
			}
		})
	}
}

// TestSizes: responses shorter, as long and longer than what is read ahead come
// whole.
func TestSizes(t *testing.T) {
	addr := serve(t, echo(func(_ context.Context, _, in string, _ http.Header) (string, error) { return in, nil }))
	for protocol, options := range protocols {
		x := newTransport(t, protocol == "grpc", resilience.Config{}, addr)
		for _, n := range []int{0, 1, 500, 511, 512, 513, 64<<10 - 20, 64<<10 - 4, 64 << 10, 64<<10 + 1, 1 << 20} {
			want := strings.Repeat("x", n)
			if got, err := call(t.Context(), client(x, get, options...), want); got != want || err != nil {
				t.Errorf("%s: %d bytes of %d, %v", protocol, len(got), n, err)
			}
		}
	}
}
