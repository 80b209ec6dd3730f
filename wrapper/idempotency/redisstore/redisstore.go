// Package redisstore keeps idempotency keys in Redis 5 or newer (or what
// speaks like it), for services of several processes that share nothing else.
// Each step is one script, so atomic, and one round trip.
//
// # What the promise is worth
//
// A key is as safe as Redis keeps it.
//
//   - appendonly yes with appendfsync always: what was reserved or committed
//     survives Redis and its machine.
//   - appendfsync everysec, the default of appendonly yes: a power failure
//     takes up to two seconds of keys with it; a kill of the process alone does not. Requests
//     of that time whose repeat comes later are carried out again.
//   - without appendonly: the same with everything since the last snapshot.
//   - replicas are written to afterwards: when one takes over (Sentinel,
//     Cluster, a managed service), the keys that it had not yet got are lost, in spite
//     of appendfsync, and their requests are carried out again when they are
//     repeated. min-replicas-to-write with min-replicas-max-lag bounds how many; nothing in Redis makes it none.
//   - maxmemory-policy must be noeviction: any other lets Redis forget keys
//     whenever memory is short. With noeviction a full Redis takes no new key, which is answered 503.
//
// Times are those of Redis' clock, so servers' clocks need not agree.
package redisstore

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/wrapper/idempotency"
)

// Config describes a [Store].
type Config struct {
	// Client is the connection, which is not closed by the Store: a
	// *redis.Client or *redis.ClusterClient. Its own repetitions (MaxRetries) do no harm.
	Client redis.UniversalClient

	// Prefix is put before each key. Default "idempotency:".
	Prefix string
}

// Validate returns what is wrong.
func (cfg Config) Validate() error {
	if cfg.Client == nil {
		return errors.New("client: want one, got nil")
	}
	return nil
}

// Store is an idempotency.Store in Redis. It is safe for concurrent use, by many
// processes; make one by [New].
type Store struct{ cfg Config }

var _ idempotency.Store = (*Store)(nil)

// New makes a Store. It does not connect.
func New(cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("redisstore: %w", err)
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "idempotency:"
	}
	return &Store{cfg}, nil
}

// A record is a hash: p fingerprint, o owner, t token, n run, l end of the lease
// in microseconds since 1970, a answer. It expires by itself.
var (
	//go:embed reserve.lua
	reserveSource string
	//go:embed complete.lua
	completeSource string
	//go:embed abandon.lua
	abandonSource string
	//go:embed release.lua
	releaseSource string

	reserveScript  = redis.NewScript(reserveSource)
	completeScript = redis.NewScript(completeSource)
	abandonScript  = redis.NewScript(abandonSource)
	releaseScript  = redis.NewScript(releaseSource)
)

func (s *Store) keys(key idempotency.Key) []string { return []string{s.cfg.Prefix + string(key[:])} }

// Reserve implements idempotency.Store.
func (s *Store) Reserve(ctx context.Context, key idempotency.Key, want idempotency.Reservation) (idempotency.Found, error) {
	rerun := "0"
	if want.Rerun {
		rerun = "1"
	}
	reply, err := reserveScript.Run(ctx, s.cfg.Client, s.keys(key),
		want.Fingerprint[:], want.Owner[:], want.Lease.Microseconds(), max(want.Lifetime.Milliseconds(), 1), rerun,
	).Slice()
	if err != nil {
		if strings.HasPrefix(err.Error(), "OOM ") {
			err = errors.Join(idempotency.ErrFull, err)
		}
		return idempotency.Found{}, fmt.Errorf("redisstore: reserve: %w", err)
	}
	return parse(reply)
}

var errReply = errors.New("redisstore: reserve: the reply is not the script's")

func parse(reply []any) (found idempotency.Found, err error) {
	if len(reply) != 5 {
		return found, errReply
	}
	var numbers [4]int64
	for i := range numbers {
		switch v := reply[i].(type) {
		case int64:
			numbers[i] = v
		case string: // Lua's numbers are not wide enough for the reply to have them as such
			if numbers[i], err = strconv.ParseInt(v, 10, 64); err != nil {
				return found, errReply
			}
		default:
			return found, errReply
		}
	}
	answer, ok := reply[4].(string)
	found = idempotency.Found{
		State: idempotency.State(numbers[0]), Token: numbers[1], Run: int(numbers[2]),
		Expires: time.Duration(numbers[3]) * time.Millisecond,
	}
	if ok && found.State == idempotency.Done {
		found.Answer = []byte(answer)
	}
	return found, nil
}

// Complete implements idempotency.Store.
func (s *Store) Complete(ctx context.Context, key idempotency.Key, owner idempotency.Owner, answer []byte) error {
	n, err := completeScript.Run(ctx, s.cfg.Client, s.keys(key), owner[:], answer).Int()
	if err != nil {
		return fmt.Errorf("redisstore: complete: %w", err)
	}
	if n == 0 {
		return idempotency.ErrFenced
	}
	return nil
}

// Abandon implements idempotency.Store.
func (s *Store) Abandon(ctx context.Context, key idempotency.Key, owner idempotency.Owner) error {
	if err := abandonScript.Run(ctx, s.cfg.Client, s.keys(key), owner[:]).Err(); err != nil {
		return fmt.Errorf("redisstore: abandon: %w", err)
	}
	return nil
}

// Release implements idempotency.Store.
func (s *Store) Release(ctx context.Context, key idempotency.Key, owner idempotency.Owner) error {
	if err := releaseScript.Run(ctx, s.cfg.Client, s.keys(key), owner[:]).Err(); err != nil {
		return fmt.Errorf("redisstore: release: %w", err)
	}
	return nil
}
