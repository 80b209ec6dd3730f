package microwrap_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v5/client"
	merrors "go-micro.dev/v5/errors"
	"go-micro.dev/v5/registry"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/microwrap"
)

// wire is a server of which the test writes every answer: an HTTP response, or
// nothing, which closes the connection.
func wire(t testing.TB, answer func(r *http.Request) (status int, header map[string]string, body string)) (addr string, seen *atomic.Int64) {
	t.Helper()
	seen = new(atomic.Int64)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		status, header, body := answer(r)
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return l.Addr().String(), seen
}

// good answers with a Response.
func good(*http.Request) (int, map[string]string, string) {
	body, _ := json.Marshal(Response{Node: "good"})
	return 200, map[string]string{"Content-Type": "application/json"}, string(body)
}

// says answers with an error of the handler's.
func says(err error) func(*http.Request) (int, map[string]string, string) {
	return func(*http.Request) (int, map[string]string, string) {
		return 200, map[string]string{"Content-Type": "application/json", "Micro-Error": err.Error()}, ""
	}
}

func at(addrs ...string) *directory {
	s := &registry.Service{Name: service, Version: "latest"}
	for _, a := range addrs {
		s.Nodes = append(s.Nodes, &registry.Node{Id: a, Address: a, Metadata: map[string]string{"protocol": "mucp"}})
	}
	d := new(directory)
	d.set(s)
	return d
}

// free is an address at which nobody listens.
func free(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// What an attempt of a call that must not be repeated comes to, row by row.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	nested := merrors.InternalServerError("go.micro.client", "connection error: dial tcp 10.0.0.7:80: connect: connection refused")
	for name, tt := range map[string]struct {
		answer    func(*http.Request) (int, map[string]string, string)
		req       any // nil: a Request
		trust     bool
		outcome   string
		ambiguous bool
		again     bool // tried at the other node
		final     bool // would end the same way everywhere
		code      int32
	}{
		"refused":                    {outcome: "not sent", again: true},
		"closed after the request":   {answer: func(*http.Request) (int, map[string]string, string) { return 0, nil, "" }, outcome: "ambiguous", ambiguous: true, code: 500},
		"a proxy's 502":              {answer: func(*http.Request) (int, map[string]string, string) { return 502, nil, "no" }, outcome: "ambiguous", ambiguous: true, code: 500},
		"500":                        {answer: says(merrors.InternalServerError("hello", "broken")), outcome: "ambiguous", ambiguous: true, code: 500},
		"a text":                     {answer: says(errors.New("broken")), outcome: "ambiguous", ambiguous: true, code: 500},
		"a timeout behind it":        {answer: says(merrors.Timeout("go.micro.client", "call timeout")), outcome: "ambiguous", ambiguous: true, code: 408},
		"its own failure to connect": {answer: says(nested), outcome: "ambiguous", ambiguous: true, code: 500},
		"429":                        {answer: says(merrors.New("hello", "busy", 429)), outcome: "ambiguous", ambiguous: true, code: 429},
		"503":                        {answer: says(merrors.New("hello", "busy", 503)), outcome: "ambiguous", ambiguous: true, code: 503},
		"429, trusted":               {answer: says(merrors.New("hello", "busy", 429)), trust: true, outcome: "refused", again: true},
		"503, trusted":               {answer: says(merrors.New("hello", "busy", 503)), trust: true, outcome: "refused", again: true},
		"404":                        {answer: says(merrors.NotFound("hello", "nobody")), outcome: "failed", code: 404, final: true},
		"501":                        {answer: says(merrors.New("hello", "not here", 501)), outcome: "failed", code: 501, final: true},
		"an answer that cannot be read": {answer: func(*http.Request) (int, map[string]string, string) {
			return 200, map[string]string{"Content-Type": "application/json"}, "{"
		}, outcome: "ambiguous", ambiguous: true, code: 500, final: true},
		"a request that cannot be encoded": {answer: good, req: func() {}, outcome: "not sent", code: 500, final: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad, seen := free(t), new(atomic.Int64)
			if tt.answer != nil {
				bad, seen = wire(t, tt.answer)
			}
			other, asked := wire(t, good)
			var first resilience.Outcome
			cfg := microwrap.Config{Default: resilience.Config{
				Settings:    resilience.Settings{TrustRefusals: tt.trust, Strategy: "round-robin"},
				WrapAttempt: []resilience.Wrapper{watch(bad, &first)},
			}}
			c := dial(t, at(bad, other), cfg)
			var err error
			var rsp Response
			for range 2 { // until it comes to the bad one
				before := asked.Load()
				var body any = &Request{ID: "a"}
				if tt.req != nil {
					body = tt.req
				}
				err = c.Call(t.Context(), c.NewRequest(service, "Hello.Register", body), &rsp)
				if first.Name == "" {
					continue
				}
				if again := asked.Load() > before; again != tt.again {
					t.Errorf("tried again: %v, want %v (%v)", again, tt.again, err)
				}
				break
			}
			if first.String() != tt.outcome {
				t.Errorf("outcome %v, want %v", first, tt.outcome)
			}
			if first.Again == tt.final {
				t.Errorf("again %v of %v", first.Again, first)
			}
			if n := seen.Load(); tt.req == nil && tt.answer != nil && n != 1 {
				t.Errorf("the server has seen %d requests", n)
			}
			if tt.again {
				if err != nil || rsp.Node != "good" {
					t.Errorf("%+v, %v; want the other's answer", rsp, err)
				}
				return
			}
			if resilience.IsAmbiguous(err) != tt.ambiguous {
				t.Errorf("ambiguous %v, want %v: %v", !tt.ambiguous, tt.ambiguous, err)
			}
			if code := merrors.FromError(err).Code; code != tt.code {
				t.Errorf("code %d, want %d: %v", code, tt.code, err)
			}
			if parsed := merrors.Parse(err.Error()); parsed.Code != tt.code {
				t.Errorf("parsed %+v, want code %d", parsed, tt.code)
			}
			if e, ok := merrors.As(err); tt.code != 0 && tt.outcome != "failed" && (!ok || e.Code != tt.code) {
				t.Errorf("as %+v", e)
			}
		})
	}
}

// watch keeps the outcome of the attempts at a node.
func watch(addr string, o *resilience.Outcome) resilience.Wrapper {
	return func(next resilience.Func) resilience.Func {
		return func(ctx context.Context, call *resilience.Call) error {
			err := next(ctx, call)
			if call.Node.Addr == addr {
				*o = resilience.Classify(ctx, err)
			}
			return err
		}
	}
}

// What the service itself has answered comes back as go-micro's client has it.
func TestOwnAnswer(t *testing.T) {
	t.Parallel()
	addr, _ := wire(t, says(merrors.NotFound("hello", "nobody")))
	d := at(addr)
	want := bare(d).Call(t.Context(), bare(d).NewRequest(service, "Hello.Greet", &Request{}), new(Response))
	c := dial(t, d, microwrap.Config{})
	_, got := call(t, c, "Hello.Greet", Request{})
	if want == nil || got == nil || got.Error() != want.Error() {
		t.Errorf("%v, want %v", got, want)
	}
}

// A server that takes no connection (SYNs into the void) is left for another,
// whatever the call does: nothing was sent, and nothing will be.
func TestBlackHole(t *testing.T) {
	t.Parallel()
	hole := blackHole(t)
	other, _ := wire(t, good)
	c := dial(t, at(hole, other), microwrap.Config{Default: resilience.Config{
		Settings: resilience.Settings{AttemptTimeout: 50 * time.Millisecond, Strategy: "round-robin"},
	}})
	for range 4 {
		if rsp, err := call(t, c, "Hello.Register", Request{}); err != nil || rsp.Node != "good" {
			t.Fatalf("%+v, %v", rsp, err)
		}
	}
}

// blackHole listens and accepts nobody: once its queue is full, the kernel
// drops what comes.
func blackHole(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return fill(t, l.(*net.TCPListener))
}

// The caller's deadline alone bounds an attempt that must not be repeated.
func TestTimeoutMakesNoFailure(t *testing.T) {
	t.Parallel()
	f := start(t, 2)
	short := func(o *client.Options) { o.CallOptions.ConnectionTimeout = 10 * time.Millisecond }
	c := dial(t, f.reg, microwrap.Config{Default: resilience.Config{Settings: resilience.Settings{AttemptTimeout: 20 * time.Millisecond}}}, short)
	rsp, err := call(t, c, "Hello.Register", Request{ID: "slow", Sleep: 200 * time.Millisecond})
	if err != nil || rsp.Node == "" {
		t.Fatal(rsp, err)
	}
	_, err = call(t, c, "Hello.Register", Request{ID: "late", Sleep: 400 * time.Millisecond}, 100*time.Millisecond)
	if !resilience.IsAmbiguous(err) || !errors.Is(err, context.DeadlineExceeded) || merrors.FromError(err).Code != 408 {
		t.Errorf("%v", err)
	}
	if got := f.effects(t); got["slow"] != 1 || got["late"] != 1 {
		t.Errorf("effects %v", got)
	}
}

// FIELD: with a connection timeout of 100 ms and a handler of 300 ms, one call
// was carried out six times.
func TestGoMicroDefect_SixExecutions(t *testing.T) {
	t.Parallel()
	f := start(t, 2)
	c := dial(t, f.reg, microwrap.Config{Default: resilience.Config{Settings: resilience.Settings{AttemptTimeout: 100 * time.Millisecond}}})
	if _, err := call(t, c, "Hello.Register", Request{ID: "once", Sleep: 300 * time.Millisecond}); err != nil {
		t.Error(err)
	}
	if got := f.effects(t); got["once"] != 1 {
		t.Errorf("effects %v", got)
	}
}

// An attempt that was left behind does not write the caller's response, and
// does not read its request.
func TestAbandonedAttempt(t *testing.T) {
	t.Parallel()
	f := start(t, 2)
	cfg := resilience.Settings{AttemptTimeout: 50 * time.Millisecond}
	cfg.Methods = settings().Methods
	c := dial(t, f.reg, microwrap.Config{Default: resilience.Config{Settings: cfg}})
	extra := "mine"
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond)
		req, rsp := &Request{Sleep: 100 * time.Millisecond}, &Response{Extra: &extra}
		err := c.Call(ctx, c.NewRequest(service, "Hello.Greet", req), rsp)
		cancel()
		req.ID, req.Sleep = "changed", 0 // under the race detector
		if rsp.Node = "mine"; err == nil {
			rsp.Extra = &extra
		}
		if rsp.Extra != &extra {
			t.Error("a response that failed was written")
		}
	}
}

// A wrong configuration fails each call with all that is wrong.
func TestWrongConfig(t *testing.T) {
	t.Parallel()
	cfg := microwrap.Config{Default: resilience.Config{Service: "x", Settings: resilience.Settings{Attempts: -1}}}
	c := dial(t, at(), cfg)
	_, err := call(t, c, "Hello.Greet", Request{})
	for _, want := range []string{"microwrap: default: service", "microwrap: default: attempts -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

// A service that nobody has registered.
func TestUnknownService(t *testing.T) {
	t.Parallel()
	d := new(directory)
	c := dial(t, d, microwrap.Config{})
	if _, err := call(t, c, "Hello.Greet", Request{}); !errors.Is(err, registry.ErrNotFound) || resilience.IsAmbiguous(err) || merrors.FromError(err).Code != 500 {
		t.Errorf("%v", err)
	}
	addr, _ := wire(t, good)
	d.set(at(addr).services...)
	if _, err := call(t, c, "Hello.Greet", Request{}); err != nil {
		t.Error(err)
	}
}

// The error of a call that failed tells of every attempt.
func TestErrorTells(t *testing.T) {
	t.Parallel()
	a, b := free(t), free(t)
	c := dial(t, at(a, b), microwrap.Config{})
	_, err := call(t, c, "Hello.Register", Request{})
	var e *resilience.Error
	if !errors.As(err, &e) || e.Why != retry.Exhausted || len(e.Attempts) != 3 || e.Service != service || e.Method != "Hello.Register" || e.Ambiguous() {
		t.Fatalf("%v", err)
	}
	var mine *microwrap.Error
	if !errors.As(err, &mine) || mine.Micro.Code != 500 || !strings.Contains(mine.Micro.Detail, "not sent") {
		t.Errorf("%v", err)
	}
}
