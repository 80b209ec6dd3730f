// Package boltstore keeps idempotency keys in one file, by go.etcd.io/bbolt:
// for a service of one process that shall remember its keys when it is killed.
// The file is locked: a second process waits for it.
//
// Every reservation and every commit is written to the disk before it counts
// (fsync); those that come at the same time share one write. So the store is as
// fast as the disk, and what it has said survives a power failure. The effect is elsewhere: what
// can happen between it and the commit is told in package idempotency.
package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-go/holdfast/wrapper/idempotency"
)

// Config describes a [Store].
type Config struct {
	// Path is the file, which is made if it is not there.
	Path string

	// Wait is how long Open waits for a file that another process has locked.
	// Default 5 s.
	Wait time.Duration

	// MaxKeys is how many keys may be remembered at a time; then no new one is
	// taken (idempotency.ErrFull) until others expire. Default 1 000 000.
	MaxKeys int

	// NoSync leaves it to the operating system when to write. What was said then
	// survives the process, but not the machine. Default false.
	NoSync bool
}

// Store is an idempotency.Store in a file. It is safe for concurrent use; make
// one by [Open] and end it by Close.
type Store struct {
	db      *bbolt.DB
	maxKeys int
}

var _ idempotency.Store = (*Store)(nil)

// The buckets: records by key; and times of expiry, each with its key behind
// it, in their order.
var (
	bucketKeys    = []byte("keys")
	bucketExpires = []byte("expires")
)

// Open opens or makes the file. It returns one error that lists all that is
// wrong with cfg.
func Open(cfg Config) (*Store, error) {
	var errs []error
	if cfg.Path == "" {
		errs = append(errs, errors.New("path: want a file"))
	}
	if cfg.Wait < 0 {
		errs = append(errs, fmt.Errorf("wait %v: want 0 (default 5s) or more", cfg.Wait))
	}
	if cfg.MaxKeys < 0 {
		errs = append(errs, fmt.Errorf("maxKeys %d: want 0 (default 1000000) or more", cfg.MaxKeys))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("boltstore: %w", err)
	}
	if cfg.Wait == 0 {
		cfg.Wait = 5 * time.Second
	}
	if cfg.MaxKeys == 0 {
		cfg.MaxKeys = 1_000_000
	}
	db, err := bbolt.Open(cfg.Path, 0o600, &bbolt.Options{
		Timeout: cfg.Wait, NoSync: cfg.NoSync, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true,
	})
	if err != nil {
		return nil, fmt.Errorf("boltstore: %w", err)
	}
	db.MaxBatchDelay = time.Millisecond
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err1 := tx.CreateBucketIfNotExists(bucketKeys)
		_, err2 := tx.CreateBucketIfNotExists(bucketExpires)
		return errors.Join(err1, err2)
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("boltstore: %w", err), db.Close())
	}
	return &Store{db: db, maxKeys: cfg.MaxKeys}, nil
}

// Close closes the file. It waits for what is under way.
func (s *Store) Close() error { return s.db.Close() }

// Reserve implements idempotency.Store. A repeat writes nothing.
func (s *Store) Reserve(ctx context.Context, key idempotency.Key, want idempotency.Reservation) (found idempotency.Found, err error) {
	if err := ctx.Err(); err != nil {
		return found, fmt.Errorf("boltstore: reserve: %w", err)
	}
	err = s.db.View(func(tx *bbolt.Tx) error {
		found, _, err = of(tx).look(key, want, time.Now().UnixMicro())
		return err
	})
	if err != nil || found.State != 0 {
		return found, err
	}
	err = s.db.Batch(func(tx *bbolt.Tx) error {
		t, now := of(tx), time.Now().UnixMicro()
		if err := t.sweep(now); err != nil {
			return err
		}
		there, old, err := t.look(key, want, now)
		if found = there; err != nil || found.State != 0 {
			return err
		}
		r := &record{
			payload: want.Fingerprint, owner: want.Owner, token: now, run: 1,
			lease: now + want.Lease.Microseconds(), expires: now + want.Lifetime.Microseconds(),
		}
		switch {
		case old != nil:
			if r.token = max(now, old.token+1); old.expires > now {
				r.run = old.run + 1
			}
			if err := t.remove(key, old); err != nil {
				return err
			}
		case t.count() >= uint64(s.maxKeys):
			return idempotency.ErrFull
		}
		found = idempotency.Found{State: idempotency.Reserved, Token: r.token, Run: int(r.run), Expires: want.Lifetime}
		return t.add(key, r)
	})
	if err != nil {
		return idempotency.Found{}, fmt.Errorf("boltstore: reserve: %w", err)
	}
	return found, nil
}

// look reports what is in the way of a reservation; state 0: nothing, but
// perhaps an old record.
func (t table) look(key idempotency.Key, want idempotency.Reservation, now int64) (found idempotency.Found, old *record, err error) {
	r, err := t.get(key)
	if err != nil || r == nil || r.expires <= now {
		return found, r, err
	}
	found.Expires = time.Duration(r.expires-now) * time.Microsecond
	switch {
	case r.payload != want.Fingerprint:
		found.State = idempotency.Mismatch
	case r.done:
		found.State, found.Answer = idempotency.Done, bytes.Clone(r.answer)
	case r.owner == want.Owner:
		found.State, found.Token, found.Run = idempotency.Reserved, r.token, int(r.run)
	case r.lease > now:
		found.State = idempotency.Running
	case !want.Rerun:
		found.State = idempotency.Lapsed
	}
	return found, r, nil
}

// Complete implements idempotency.Store.
func (s *Store) Complete(_ context.Context, key idempotency.Key, owner idempotency.Owner, answer []byte) error {
	return s.change("complete", key, func(t table, r *record) error {
		switch {
		case r == nil || r.owner != owner || r.expires <= time.Now().UnixMicro():
			return idempotency.ErrFenced
		case r.done: // asked again
			return nil
		}
		r.done, r.answer = true, answer
		return t.put(key, r)
	})
}

// Abandon implements idempotency.Store.
func (s *Store) Abandon(_ context.Context, key idempotency.Key, owner idempotency.Owner) error {
	return s.change("abandon", key, func(t table, r *record) error {
		if r == nil || r.owner != owner || r.done {
			return nil
		}
		r.lease = 0
		return t.put(key, r)
	})
}

// Release implements idempotency.Store.
func (s *Store) Release(_ context.Context, key idempotency.Key, owner idempotency.Owner) error {
	return s.change("release", key, func(t table, r *record) error {
		if r == nil || r.owner != owner || r.done {
			return nil
		}
		return t.remove(key, r)
	})
}

func (s *Store) change(what string, key idempotency.Key, do func(t table, r *record) error) error {
	err := s.db.Batch(func(tx *bbolt.Tx) error {
		t := of(tx)
		r, err := t.get(key)
		if err != nil {
			return err
		}
		return do(t, r)
	})
	if err != nil {
		return fmt.Errorf("boltstore: %s: %w", what, err)
	}
	return nil
}
