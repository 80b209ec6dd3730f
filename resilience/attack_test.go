package resilience_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// What an attacker found, one test a finding.

// TestRecordHeaderAfterTheHandshake: an op over TLS of its own is carried out,
// and then the server sends what is no TLS.
func TestRecordHeaderAfterTheHandshake(t *testing.T) {
	var effects atomic.Int64
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	cert := s.TLS.Certificates[0]
	s.Close()
	serve := func() string {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer func() { _ = c.Close() }()
					tc := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
					if _, err := bufio.NewReader(tc).ReadString('\n'); err != nil {
						return
					}
					effects.Add(1)
					_, _ = io.WriteString(c, "500 internal error, bye\r\n")
				}()
			}
		}()
		return l.Addr().String()
	}
	c, err := resilience.New(resilience.Config{Nodes: selector.Addrs(serve(), serve())})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Do(context.Background(), resilience.Unsafe("pay"), func(ctx context.Context, n *selector.Node) error {
		conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", n.Addr)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, "pay 10\n"); err != nil {
			return err
		}
		_, err = bufio.NewReader(conn).ReadString('\n')
		return err
	})
	if effects.Load() != 1 || !resilience.IsAmbiguous(err) {
		t.Errorf("%d effects, ambiguous %v: %v", effects.Load(), resilience.IsAmbiguous(err), err)
	}
}

// TestLostAndNotFoundAgain: an EOF joined with the failure of the reconnect.
func TestLostAndNotFoundAgain(t *testing.T) {
	b := newBench(nil, nil)
	c := newClient(t, b, config{})
	refused := &net.OpError{Op: "dial", Err: errors.New("refused")}
	for _, e := range []error{errors.Join(io.ErrUnexpectedEOF, refused), fmt.Errorf("%w; reconnect: %w", io.ErrUnexpectedEOF, refused)} {
		n := 0
		err := do(t, b, c, resilience.Unsafe("pay"), func(context.Context, *selector.Node) error { n++; return e })
		if n != 1 || !resilience.IsAmbiguous(err) {
			t.Errorf("%d attempts of an unsafe call, ambiguous %v: %v", n, resilience.IsAmbiguous(err), err)
		}
	}
}

// TestCancelledDial: a caller who leaves while dialling does not accuse the node.
func TestCancelledDial(t *testing.T) {
	b := newBench(nil, nil)
	c := newClient(t, b, config{})
	b.Run(func() {
		ctx, cancel := context.WithCancel(context.Background())
		err := c.Do(ctx, resilience.Safe("m"), func(context.Context, *selector.Node) error {
			cancel()
			return &net.OpError{Op: "dial", Net: "tcp", Err: context.Canceled}
		})
		if o := callError(t, err).Attempts[0].Outcome; o.Node != resilience.Abandoned.Node {
			t.Errorf("the caller cancelled; outcome %v, node %v", o, o.Node)
		}
	})
}

// TestTimeoutWithoutBudget: Retry over Timeout, by hand, unbounded.
func TestTimeoutWithoutBudget(t *testing.T) {
	b := oneNode("", nil)
	for _, e := range []error{nil, errOp} {
		f := resilience.Stack(
			resilience.Retry(resilience.Retries{Policy: retry.Policy{Attempts: 2}, Clock: b.Clock()}),
			resilience.Timeout(resilience.Timeouts{After: 100 * ms, Clock: b.Clock()}),
		)(func(context.Context, *resilience.Call) error { b.Sleep(200 * ms); return e }) // ignores its context
		b.Run(func() {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("panic: %v", p)
				}
			}()
			_ = f(context.Background(), &resilience.Call{Idempotency: retry.Safe})
		})
	}
}

// TestNoResultWithAnError: an attempt wrapper makes an error of a success.
func TestNoResultWithAnError(t *testing.T) {
	c := newClient(t, newBench(nil), config{WrapAttempt: []resilience.Wrapper{func(next resilience.Func) resilience.Func {
		return func(ctx context.Context, call *resilience.Call) error {
			_ = next(ctx, call)
			return errors.New("checksum")
		}
	}}})
	v, err := resilience.Do(context.Background(), c, resilience.Unsafe("m"), func(context.Context, *selector.Node) (string, error) { return "stale", nil })
	if v != "" || err == nil {
		t.Errorf("%q, %v: want the zero value and an error", v, err)
	}
}

// TestLateListenerPanics: the listener that hears of a late attempt runs on a
// timer's goroutine; its panic reaches the attempt's, and the process lives.
func TestLateListenerPanics(t *testing.T) {
	b := newBench(nil, nil)
	c := newClient(t, b, config{
		Settings: sets{AttemptTimeout: 10 * ms, Ejection: resilience.EjectionSettings{FalseAlarm: 100}},
		Observer: resilience.ObserverFunc(func(e resilience.Event) {
			if e.Kind == resilience.NodeEvent && e.Change.Kind == selector.Ejected {
				panic("listener")
			}
		}),
	})
	thrown := 0
	b.Run(func() {
		for range 50 {
			func() {
				defer func() {
					if recover() != nil {
						thrown++
					}
				}()
				_ = c.Do(context.Background(), resilience.Unsafe("m"), func(_ context.Context, n *selector.Node) error {
					if n.ID == "a" {
						b.Sleep(50 * ms)
					}
					return nil
				})
			}()
		}
	})
	if thrown != 1 {
		t.Errorf("%d panics reached the caller, want that of the ejection", thrown)
	}
	idle(t, c)
}

// TestKeyedWithoutAKey is a wrong promise: refused where the caller makes it,
// not believed where a setting does.
func TestKeyedWithoutAKey(t *testing.T) {
	b := newBench(forever(fails(resilience.Ambiguous)), forever(fails(resilience.Ambiguous)))
	c := newClient(t, b, config{Settings: sets{Methods: map[string]resilience.MethodSettings{"pay": {Idempotency: retry.Keyed}}}})
	if err := do(t, b, c, resilience.Keyed("pay", ""), b.Op); !errors.Is(err, resilience.ErrNoKey) {
		t.Errorf("%v, want ErrNoKey", err)
	}
	err := do(t, b, c, resilience.Hint{Method: "pay"}, b.Op)
	if e := callError(t, err); e.Why != retry.NotRepeatable || len(e.Attempts) != 1 {
		t.Errorf("%v", err)
	}
	err = do(t, b, c, resilience.Hint{Method: "pay", Key: "k"}, b.Op)
	if e := callError(t, err); len(e.Attempts) < 2 {
		t.Errorf("with a key: %v", err)
	}
}

// TestNilParts: what is not there is an error or nothing, and no panic.
func TestNilParts(t *testing.T) {
	ctx := context.Background()
	op := func(context.Context, *selector.Node) error { return nil }
	var none *resilience.Client
	if err := none.Do(ctx, resilience.Safe("m"), op); err == nil || !strings.Contains(err.Error(), "client: want one") {
		t.Errorf("nil client: %v", err)
	}
	if _, err := resilience.Do(ctx, none, resilience.Safe("m"), func(context.Context, *selector.Node) (int, error) { return 1, nil }); err == nil {
		t.Error("nil client: no error")
	}
	c := newClient(t, newBench(nil), config{Wrap: []resilience.Wrapper{func(resilience.Func) resilience.Func { return nil }}})
	if err := c.Do(ctx, resilience.Safe("m"), op); err == nil || !strings.Contains(err.Error(), "nil Func") {
		t.Errorf("a wrapper of nothing: %v", err)
	}
	inner := func(context.Context, *resilience.Call) error { return nil }
	if err := resilience.Select(resilience.Selects{})(inner)(ctx, &resilience.Call{}); err == nil || !strings.Contains(err.Error(), "selector: want one") {
		t.Errorf("select without a selector: %v", err)
	}
	if err := resilience.Break(nil, nil)(inner)(ctx, &resilience.Call{}); err != nil {
		t.Errorf("break without breakers: %v", err)
	}
}

// TestMethodPolicy: a method's attempts and pauses go before those of all.
func TestMethodPolicy(t *testing.T) {
	b := newBench(forever(fails(resilience.Ambiguous)))
	c := newClient(t, b, config{Settings: sets{
		Attempts: 2, Backoff: resilience.BackoffSettings{Initial: 1000 * ms},
		Methods: map[string]resilience.MethodSettings{
			"more":  {Attempts: 4},
			"brisk": {Backoff: resilience.BackoffSettings{Initial: -1}},
		},
	}})
	for method, want := range map[string]int{"any": 2, "more": 4, "brisk": 2} {
		began := b.Elapsed()
		err := do(t, b, c, resilience.Safe(method), b.Op)
		if n := len(callError(t, err).Attempts); n != want {
			t.Errorf("%s: %d attempts, want %d", method, n, want)
		}
		if paused := b.Elapsed() - began; (paused < ms) != (method == "brisk") {
			t.Errorf("%s: pauses of %v", method, paused)
		}
	}
}

// TestNewListsAll: the settings and the nodes, each line by the name that the
// settings have for it.
func TestNewListsAll(t *testing.T) {
	_, err := resilience.New(resilience.Config{
		Nodes: selector.Addrs("a", "a"),
		Settings: sets{
			Attempts: -1, Breaker: resilience.BreakerSettings{OpenFor: -1},
			ServiceBreaker: &resilience.RuleSettings{Baseline: 2, SlowCall: -1}, Budget: resilience.BudgetSettings{Share: 11},
		},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for line := range strings.Lines(err.Error()) {
		if !strings.HasPrefix(line, "resilience: ") {
			t.Errorf("%q says not where", line)
		}
	}
	for _, want := range []string{"attempts -1", "breaker.openFor -1ns", "serviceBreaker.baseline 2", "serviceBreaker.slowCall -1ns", "budget.share 11", "nodes[1]: duplicate"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say %q", err, want)
		}
	}
}

// TestTwiceInJSON: of two values for a name, one would be lost.
func TestTwiceInJSON(t *testing.T) {
	var s resilience.Settings
	err := s.UnmarshalJSON([]byte(`{"attempts":2,"methods":{"m":{},"m":{"attempts":1}},"attempts":3}`))
	if err == nil || !strings.Contains(err.Error(), "attempts: there twice") || !strings.Contains(err.Error(), "m: there twice") {
		t.Error(err)
	}
}
