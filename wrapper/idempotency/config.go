package idempotency

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// Config describes a [Guard]. The zero Config is good for one process whose
// clients are all one tenant.
type Config struct {
	// Store keeps the keys. Nil: a new [Memory], which a restart empties and
	// other processes do not see.
	Store Store

	// Tenant says whose request it is, from what is authenticated: keys of
	// different tenants have nothing to do with each other, and nobody is given
	// another's answer. It must be the same for a repeat, so not a token that
	// is renewed. Nil: all are one.
	Tenant func(*http.Request) string

	// Required answers 400 to a POST or PATCH without a key. Default false:
	// it passes, unguarded.
	Required bool

	// Unquoted accepts keys without the draft's quotes as they are, as many
	// clients send them. Default false: 400.
	Unquoted bool

	// Lifetime is how long a key is remembered, from its reservation on.
	// Default 24 h.
	Lifetime time.Duration

	// Lease is how long an execution may take: its context ends with it, and
	// repeats are told unknown instead of in-progress from then on. At most
	// Lifetime. Default 1 min.
	Lease time.Duration

	// Rerun says whether a request may be run again when nobody knows how an
	// earlier execution ended: since carrying it out twice does no harm, or since all of
	// its effects stand or fall with Execution.Commit. Nil: never.
	Rerun func(*http.Request) bool

	// FailOpen runs requests unguarded while the store cannot be reached.
	// Default false: they are answered 503. A full store answers 503 always.
	FailOpen bool

	// StoreTimeout bounds a reservation, and a commit with all its repetitions.
	// Default 2 s.
	StoreTimeout time.Duration

	// MaxBody is how large a request with a key may be, in bytes: it is read
	// before it is run. Larger ones are answered 413. Default 1 MiB.
	MaxBody int64

	// MaxAnswer is how large a response is kept, in bytes of its body.
	// Default 1 MiB, negative: none that has a body.
	MaxAnswer int64

	// Fingerprint returns what must be equal in a repeat. Nil: the method, the
	// URL's path and query, and the body. Use it where clients do not repeat
	// themselves byte for byte. The request's Body is not to be touched.
	Fingerprint func(r *http.Request, body []byte) []byte

	// Help is the URL of a page about the service's keys. It is the type of
	// the problems that are answered (RFC 9457), and their Link. Empty: none.
	Help string

	// OnEvent is told of every request with a key when it has been answered, on
	// its goroutine. Nil: nobody is.
	OnEvent func(Event)
}

// Event is what became of a request with a key.
type Event struct {
	Request *http.Request
	Status  string // as in the header Idempotency-Status; empty: it was run, and its answer kept unless Err says otherwise
	Err     error  // the store's: it could not be reached, it is full, or ErrFenced at the commit
}

// Validate returns all that is wrong, joined.
func (cfg Config) Validate() error {
	var errs []error
	for _, d := range []struct {
		name  string
		value time.Duration
		def   string
	}{
		{"lifetime", cfg.Lifetime, "24h"}, {"lease", cfg.Lease, "1m"}, {"storeTimeout", cfg.StoreTimeout, "2s"},
	} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("%s %v: want 0 (default %s) or more", d.name, d.value, d.def))
		}
	}
	if full := cfg.withDefaults(); full.Lease > full.Lifetime {
		errs = append(errs, fmt.Errorf("lease %v: want at most the lifetime, %v", full.Lease, full.Lifetime))
	}
	if cfg.MaxBody < 0 || cfg.MaxBody > math.MaxInt32 {
		errs = append(errs, fmt.Errorf("maxBody %d: want 0 (default 1 MiB) to 2 GiB", cfg.MaxBody))
	}
	if cfg.MaxAnswer > math.MaxInt32 {
		errs = append(errs, fmt.Errorf("maxAnswer %d: want up to 2 GiB", cfg.MaxAnswer))
	}
	if _, err := url.Parse(cfg.Help); err != nil {
		errs = append(errs, fmt.Errorf("help %q: %w", cfg.Help, err))
	}
	return errors.Join(errs...)
}

func (cfg Config) withDefaults() Config {
	orElse(&cfg.Lifetime, 24*time.Hour)
	orElse(&cfg.Lease, min(time.Minute, cfg.Lifetime))
	orElse(&cfg.StoreTimeout, 2*time.Second)
	orElse(&cfg.MaxBody, 1<<20)
	orElse(&cfg.MaxAnswer, 1<<20)
	return cfg
}

func orElse[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Guard carries requests out once a key. It is safe for concurrent use; make
// one by [New]. It owns nothing that must be closed: the Store is its maker's.
type Guard struct {
	cfg     Config
	store   Store
	local   bool    // the store is a Memory
	origin  [8]byte // this process, in Owner
	runs    atomic.Uint64
	expires []string // the header of an answer that was just reserved
}

// New makes a Guard. It returns one error that lists all that is wrong with
// cfg.
func New(cfg Config) (*Guard, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("idempotency: %w", err)
	}
	g := &Guard{cfg: cfg.withDefaults(), store: cfg.Store}
	if g.store == nil {
		g.store = NewMemory(MemoryConfig{})
	}
	_, g.local = g.store.(*Memory)
	_, _ = rand.Read(g.origin[:]) // never fails
	g.expires = seconds(g.cfg.Lifetime)
	return g, nil
}
