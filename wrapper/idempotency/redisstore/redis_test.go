package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/realserver"
	"github.com/holdfast-go/holdfast/wrapper/idempotency"
	"github.com/holdfast-go/holdfast/wrapper/idempotency/redisstore"
)

// trips counts round trips.
type trips struct{ n atomic.Int64 }

func (*trips) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmd)
	}
}

func (c *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmds)
	}
}

func reservation(n byte) (idempotency.Key, idempotency.Reservation) {
	return idempotency.Key{n}, idempotency.Reservation{
		Owner: idempotency.Owner{n}, Lease: time.Minute, Lifetime: time.Hour,
	}
}

// TestRoundTrips: one to reserve, one to commit, one to replay, once Redis
// knows the scripts.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	client := connect(t, realserver.For(t, realserver.Redis).Addr)
	s := open(t, client)
	cycle := func(n byte) {
		key, want := reservation(n)
		if found, err := s.Reserve(t.Context(), key, want); err != nil || found.State != idempotency.Reserved {
			t.Fatal(found, err)
		}
		if err := s.Complete(t.Context(), key, want.Owner, []byte("answer")); err != nil {
			t.Fatal(err)
		}
	}
	cycle(1)
	count := new(trips)
	client.AddHook(count)
	cycle(2)
	if n := count.n.Load(); n != 2 {
		t.Errorf("%d round trips to reserve and commit, want 2", n)
	}
	key, want := reservation(2)
	want.Owner[1] = 1
	if found, err := s.Reserve(t.Context(), key, want); err != nil || found.State != idempotency.Done || count.n.Load() != 3 {
		t.Errorf("%v, %v after %d round trips", found, err, count.n.Load())
	}
}

// TestSurvivesKill: with appendfsync always, what Redis has said is there when
// it was killed and started again; while it is away, errors say so.
func TestSurvivesKill(t *testing.T) {
	t.Parallel()
	server := realserver.For(t, realserver.Redis, "--appendonly", "yes", "--appendfsync", "always")
	s := open(t, connect(t, server.Addr))
	done, wantDone := reservation(1)
	running, wantRunning := reservation(2)
	for _, key := range []idempotency.Key{done, running} {
		want := wantDone
		if key == running {
			want = wantRunning
		}
		if _, err := s.Reserve(t.Context(), key, want); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Complete(t.Context(), done, wantDone.Owner, []byte("answer")); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	if _, err := s.Reserve(t.Context(), done, wantDone); err == nil {
		t.Error("no error while it is away")
	}
	if err := s.Complete(t.Context(), running, wantRunning.Owner, nil); err == nil || errors.Is(err, idempotency.ErrFenced) {
		t.Errorf("while it is away: %v", err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	wantDone.Owner[1], wantRunning.Owner[1] = 1, 1
	found, err := s.Reserve(t.Context(), done, wantDone)
	for range 100 { // connections of the old one are found dead one by one
		var op *net.OpError
		if err == nil || !errors.As(err, &op) && !strings.Contains(err.Error(), "EOF") {
			break
		}
		found, err = s.Reserve(t.Context(), done, wantDone)
	}
	if err != nil || found.State != idempotency.Done || string(found.Answer) != "answer" {
		t.Errorf("%+v, %v", found, err)
	}
	if found, err := s.Reserve(t.Context(), running, wantRunning); err != nil || found.State != idempotency.Running {
		t.Errorf("%+v, %v", found, err)
	}
}

// TestFullRedis: a Redis that may not evict refuses new keys as full, and still
// knows the old ones.
func TestFullRedis(t *testing.T) {
	t.Parallel()
	server := realserver.For(t, realserver.Redis, "--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
	s := open(t, connect(t, server.Addr))
	first, want := reservation(1)
	if _, err := s.Reserve(t.Context(), first, want); err != nil {
		t.Fatal(err)
	}
	var err error
	for i := 0; err == nil && i < 100_000; i++ {
		key := idempotency.Key{2, byte(i), byte(i >> 8), byte(i >> 16)}
		_, err = s.Reserve(t.Context(), key, want)
	}
	if !errors.Is(err, idempotency.ErrFull) {
		t.Fatalf("%v: want ErrFull", err)
	}
	want.Owner[1] = 1
	if found, err := s.Reserve(t.Context(), first, want); err != nil && !errors.Is(err, idempotency.ErrFull) || err == nil && found.State != idempotency.Running {
		t.Errorf("the first: %+v, %v", found, err)
	}
}

// TestConfig: what is wrong is told.
func TestConfig(t *testing.T) {
	t.Parallel()
	if _, err := redisstore.New(redisstore.Config{}); err == nil || fmt.Sprint(err) != "redisstore: client: want one, got nil" {
		t.Error(err)
	}
}
