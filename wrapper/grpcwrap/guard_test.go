package grpcwrap_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/grpcwrap"
	"github.com/holdfast-go/holdfast/wrapper/idempotency"
)

// guarded serves h behind a guard, and hears of its events.
func guarded(t testing.TB, cfg grpcwrap.GuardConfig, h handler) (n *node, events func() []string) {
	t.Helper()
	var mu sync.Mutex
	var words []string
	cfg.OnEvent = func(e grpcwrap.GuardEvent) {
		mu.Lock()
		defer mu.Unlock()
		words = append(words, e.Status)
	}
	g, err := grpcwrap.NewGuard(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, h, nil, grpc.ChainUnaryInterceptor(g.Unary)), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return words
	}
}

// reply is what a bare client gets.
type reply struct {
	text            string
	err             error
	header, trailer metadata.MD
}

func ask(ctx context.Context, cc *grpc.ClientConn, method, key, in string) (r reply) {
	if key != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "idempotency-key", key)
	}
	out := new(wrapperspb.StringValue)
	r.err = cc.Invoke(ctx, method, wrapperspb.String(in), out, grpc.Header(&r.header), grpc.Trailer(&r.trailer))
	r.text = out.GetValue()
	return r
}

// What a repeat gets: the first's answer, header and trailer included.
func TestGuardReplays(t *testing.T) {
	var runs atomic.Int32
	n, events := guarded(t, grpcwrap.GuardConfig{}, func(ctx context.Context, _, in string) (string, error) {
		run := runs.Add(1)
		_ = grpc.SetHeader(ctx, metadata.Pairs("h", fmt.Sprint(run)))
		_ = grpc.SetTrailer(ctx, metadata.Pairs("t", fmt.Sprint(run), "t-bin", "\x00\xff"))
		switch in {
		case "not found":
			return "", status.Error(codes.NotFound, "no such thing")
		case "busy":
			return "", status.Error(codes.ResourceExhausted, "busy")
		}
		return fmt.Sprint("run ", run), nil
	})
	cc := bare(t, n.addr)
	ctx := within(t, 5*time.Second)
	for _, in := range []string{"ok", "not found"} {
		key := "key of " + in
		first, second := ask(ctx, cc, post, key, in), ask(ctx, cc, post, key, in)
		if first.text != second.text || status.Code(first.err) != status.Code(second.err) ||
			first.header["h"][0] != second.header["h"][0] || fmt.Sprint(first.trailer["t"], first.trailer["t-bin"]) != fmt.Sprint(second.trailer["t"], second.trailer["t-bin"]) {
			t.Errorf("%s: %+v, then %+v", in, first, second)
		}
		if w := second.trailer["idempotency-status"]; len(w) != 1 || w[0] != idempotency.Replayed {
			t.Errorf("%s: status %v", in, w)
		}
		if first.trailer["idempotency-status"] != nil || first.trailer["idempotency-expires"][0] != "86400" {
			t.Errorf("%s: %v", in, first.trailer)
		}
	}
	if runs.Load() != 2 {
		t.Errorf("%d runs, want 2", runs.Load())
	}
	// What was turned away was not done, and the key is free.
	for range 2 {
		if r := ask(ctx, cc, post, "key of busy", "busy"); status.Code(r.err) != codes.ResourceExhausted || r.trailer["idempotency-status"][0] != idempotency.NotExecuted {
			t.Errorf("%+v", r)
		}
	}
	if runs.Load() != 4 {
		t.Errorf("%d runs, want 4", runs.Load())
	}
	// Another message under the same key, and keys that are none.
	for key, in := range map[string]string{"key of ok": "other", strings.Repeat("x", 256): "ok"} {
		if r := ask(ctx, cc, post, key, in); status.Code(r.err) != codes.InvalidArgument || r.trailer["idempotency-status"][0] != idempotency.NotExecuted {
			t.Errorf("%q: %+v", key, r)
		}
	}
	// No key, or nothing to guard.
	for range 2 {
		ask(ctx, cc, post, "", "ok")
		ask(ctx, cc, get, "key of ok", "other")
	}
	if runs.Load() != 8 {
		t.Errorf("%d runs, want 8", runs.Load())
	}
	if want := "[ replayed  replayed not-executed not-executed not-executed not-executed]"; fmt.Sprint(events()) != want {
		t.Errorf("events %q, want %q", events(), want)
	}
}

// A key is required where a method does not say that it needs none.
func TestGuardRequires(t *testing.T) {
	n, _ := guarded(t, grpcwrap.GuardConfig{Required: true}, says("ok"))
	cc := bare(t, n.addr)
	for method, want := range map[string]codes.Code{get: codes.OK, put: codes.OK, post: codes.InvalidArgument} {
		if r := ask(within(t, 5*time.Second), cc, method, "", "in"); status.Code(r.err) != want {
			t.Errorf("%s: %v, want %v", method, r.err, want)
		}
	}
}

// brokenStore cannot be reached.
type brokenStore struct{ idempotency.Store }

func (brokenStore) Reserve(context.Context, idempotency.Key, idempotency.Reservation) (idempotency.Found, error) {
	return idempotency.Found{}, errors.New("no connection")
}

func TestGuardWithoutStore(t *testing.T) {
	for _, open := range []bool{false, true} {
		n, _ := guarded(t, grpcwrap.GuardConfig{Store: brokenStore{idempotency.NewMemory(idempotency.MemoryConfig{})}, FailOpen: open}, says("ok"))
		r := ask(within(t, 5*time.Second), bare(t, n.addr), post, "k", "in")
		if open && (r.err != nil || r.text != "ok") {
			t.Errorf("open: %+v", r)
		}
		if !open && (status.Code(r.err) != codes.Unavailable || r.trailer["idempotency-status"][0] != idempotency.NotExecuted) {
			t.Errorf("closed: %+v", r)
		}
	}
}

// An answer that is too large is sent and not kept; one whose handler panicked is unknown.
func TestGuardKeepsWhatItCan(t *testing.T) {
	var runs atomic.Int32
	catch := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (_ any, err error) {
		defer func() {
			if p := recover(); p != nil {
				err = status.Error(codes.Internal, fmt.Sprint(p))
			}
		}()
		return next(ctx, req)
	}
	g, err := grpcwrap.NewGuard(grpcwrap.GuardConfig{MaxAnswer: 100})
	if err != nil {
		t.Fatal(err)
	}
	n := serve(t, func(_ context.Context, _, in string) (string, error) {
		runs.Add(1)
		if in == "panic" {
			panic(in)
		}
		return strings.Repeat("x", 200), nil
	}, nil, grpc.ChainUnaryInterceptor(catch, g.Unary))
	cc := bare(t, n.addr)
	ctx := within(t, 5*time.Second)
	if r := ask(ctx, cc, post, "large", "in"); r.err != nil || len(r.text) != 200 {
		t.Errorf("%+v", r)
	}
	if r := ask(ctx, cc, post, "large", "in"); status.Code(r.err) != codes.AlreadyExists || r.trailer["idempotency-status"][0] != idempotency.NotKept {
		t.Errorf("%+v", r)
	}
	if r := ask(ctx, cc, post, "panic", "panic"); status.Code(r.err) != codes.Internal || r.trailer["idempotency-status"] != nil {
		t.Errorf("%+v", r)
	}
	if r := ask(ctx, cc, post, "panic", "panic"); status.Code(r.err) != codes.Internal || r.trailer["idempotency-status"][0] != idempotency.Unknown {
		t.Errorf("%+v", r)
	}
	if runs.Load() != 2 {
		t.Errorf("%d runs, want 2", runs.Load())
	}
}

// A call with a key that loses its reply is done once, and its caller gets
// the answer: two servers, one store.
func TestOneEffect(t *testing.T) {
	store := idempotency.NewMemory(idempotency.MemoryConfig{})
	for _, fault := range []string{"connection lost", "hung"} {
		t.Run(fault, func(t *testing.T) {
			var runs atomic.Int32
			goOn := make(chan struct{})
			var keys sync.Map
			nodes := make([]*node, 2)
			h := func(i int) handler {
				return func(ctx context.Context, _, _ string) (string, error) {
					keys.Store(idempotency.From(ctx).Key(), true)
					if runs.Add(1) == 1 {
						if fault == "connection lost" {
							go nodes[i].Stop()
						}
						<-goOn
					}
					return fmt.Sprint("run ", runs.Load()), nil
				}
			}
			addrs := make([]string, 2)
			var words []func() []string
			for i := range nodes {
				var events func() []string
				nodes[i], events = guarded(t, grpcwrap.GuardConfig{Store: store}, h(i))
				words, addrs[i] = append(words, events), nodes[i].addr
			}
			var seen recorder
			c := dial(t, grpcwrap.Config{
				AssumeServerDeduplicates: true,
				Config:                   resilience.Config{Observer: &seen, Settings: resilience.Settings{AttemptTimeout: 100 * time.Millisecond}},
			}, addrs...)
			c.connected(t, 2)
			done := make(chan error)
			var got string
			go func() {
				var err error
				got, err = c.call(within(t, 10*time.Second), post, "in")
				done <- err
			}()
			eventually(t, "a repeat that is told in-progress", func() bool {
				return strings.Contains(fmt.Sprint(words[0](), words[1]()), idempotency.InProgress)
			})
			close(goOn)
			if err := <-done; err != nil || got != "run 1" || runs.Load() != 1 {
				t.Errorf("%q, %v, %d runs: want the first run's answer", got, err, runs.Load())
			}
			n := 0
			keys.Range(func(_, _ any) bool { n++; return true })
			if n != 1 {
				t.Errorf("%d keys of one call", n)
			}
		})
	}
}

// A call whose outcome is in doubt says so, with its key, and is resumed.
func TestResume(t *testing.T) {
	store := idempotency.NewMemory(idempotency.MemoryConfig{})
	var runs atomic.Int32
	goOn := make(chan struct{})
	n, _ := guarded(t, grpcwrap.GuardConfig{Store: store}, func(context.Context, string, string) (string, error) {
		<-goOn
		return fmt.Sprint("run ", runs.Add(1)), nil
	})
	c := dial(t, grpcwrap.Config{AssumeServerDeduplicates: true}, n.addr)
	_, err := c.call(within(t, 100*time.Millisecond), post, "in")
	var e *grpcwrap.Error
	if !errors.As(err, &e) || e.Key == "" || e.Method != post || !resilience.IsAmbiguous(err) {
		t.Fatalf("%v: want it ambiguous, with its key", err)
	}
	close(goOn)
	ctx := grpcwrap.Resume(within(t, 5*time.Second), e)
	for range 2 {
		got, err := c.call(ctx, post, "in")
		if err != nil || got != "run 1" || runs.Load() != 1 {
			t.Errorf("%q, %v, %d runs: want the first run's answer", got, err, runs.Load())
		}
	}
	// Too late, without a key, or with one that cannot be sent.
	if _, err := c.call(grpcwrap.Resume(ctx, &grpcwrap.Error{Method: post, Key: e.Key, KeyExpires: time.Now().Add(-time.Second)}), post, "in"); !errors.Is(err, grpcwrap.ErrKeyExpired) {
		t.Errorf("%v: want the key expired", err)
	}
	if _, err := c.call(grpcwrap.Resume(ctx, &grpcwrap.Error{Method: post}), post, "in"); !errors.Is(err, resilience.ErrNoKey) {
		t.Errorf("%v: want no key", err)
	}
	if _, err := c.call(grpcwrap.WithHint(ctx, resilience.Keyed("", "bin\nary")), post, "in"); !errors.Is(err, grpcwrap.ErrBadKey) || status.Code(err) != codes.InvalidArgument {
		t.Errorf("%v: want a bad key", err)
	}
}

// What the server says of a key decides.
func TestWords(t *testing.T) {
	for _, row := range []struct {
		word   string
		code   codes.Code
		key    bool
		want   string
		effect retry.Effect
	}{
		{idempotency.Unknown, codes.Internal, true, "ambiguous", retry.Possible},
		{idempotency.NotExecuted, codes.Unavailable, true, "refused", retry.None},
		{idempotency.NotExecuted, codes.InvalidArgument, true, "failed", retry.Answered},
		{idempotency.Replayed, codes.Internal, true, "ambiguous", retry.Possible},
		{idempotency.NotKept, codes.AlreadyExists, true, "failed", retry.Answered},
		{idempotency.NotExecuted, codes.Unavailable, false, "ambiguous", retry.Possible}, // nobody has asked
	} {
		n := serve(t, func(ctx context.Context, _, _ string) (string, error) {
			_ = grpc.SetTrailer(ctx, metadata.Pairs("idempotency-status", row.word))
			return "", status.Error(row.code, "because")
		}, nil)
		var seen recorder
		c := dial(t, grpcwrap.Config{Config: resilience.Config{Observer: &seen, Settings: resilience.Settings{Attempts: 1}}}, n.addr)
		ctx := within(t, 5*time.Second)
		if row.key {
			ctx = metadata.AppendToOutgoingContext(ctx, "idempotency-key", "k")
		}
		_, err := c.call(ctx, post, "in")
		if got := seen.first(t); got.Name != row.want || got.Effect != row.effect {
			t.Errorf("%s %v: %v: %v, %v", row.word, row.code, err, got, got.Effect)
		}
	}
}

// txStore keeps keys in memory, in what passes for a database.
type txStore struct {
	*idempotency.Memory
	fail atomic.Bool
}

func (s *txStore) CompleteTx(ctx context.Context, _ *sql.Tx, key idempotency.Key, owner idempotency.Owner, answer []byte) error {
	if s.fail.Load() {
		return errors.New("no connection")
	}
	return s.Complete(ctx, key, owner, answer)
}

// noDB is a database that has transactions and nothing else.
type noDB struct{}

func (noDB) Connect(context.Context) (driver.Conn, error) { return noDB{}, nil }
func (noDB) Driver() driver.Driver                        { return nil }
func (noDB) Prepare(string) (driver.Stmt, error)          { return nil, errors.New("no statements") }
func (noDB) Close() error                                 { return nil }
func (noDB) Begin() (driver.Tx, error)                    { return noDB{}, nil }
func (noDB) Commit() error                                { return nil }
func (noDB) Rollback() error                              { return nil }

// Key, effect and answer are committed together; what did not take effect
// frees the key.
func TestCommit(t *testing.T) {
	db := sql.OpenDB(noDB{})
	defer db.Close() //nolint:errcheck // it is none
	store := &txStore{Memory: idempotency.NewMemory(idempotency.MemoryConfig{})}
	var runs atomic.Int32
	n, _ := guarded(t, grpcwrap.GuardConfig{Store: store}, func(ctx context.Context, _, _ string) (string, error) {
		text := fmt.Sprint("run ", runs.Add(1))
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return "", err
		}
		if err := grpcwrap.Commit(ctx, tx, wrapperspb.String(text)); err != nil {
			return "", err
		}
		return "something else", nil
	})
	cc := bare(t, n.addr)
	ctx := within(t, 5*time.Second)
	store.fail.Store(true)
	if r := ask(ctx, cc, post, "k", "in"); r.err == nil || r.trailer["idempotency-status"][0] != idempotency.NotExecuted {
		t.Errorf("%+v: want it not executed", r)
	}
	store.fail.Store(false)
	for range 2 {
		if r := ask(ctx, cc, post, "k", "in"); r.err != nil || r.text != "run 2" || runs.Load() != 2 {
			t.Errorf("%+v, %d runs: want what was committed", r, runs.Load())
		}
	}
	if r := ask(ctx, cc, post, "", "in"); r.err != nil {
		t.Errorf("%+v: without a key it just commits", r)
	}
}
