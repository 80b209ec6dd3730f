package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/wrapper/idempotency"
)

// Dialect is the SQL that a database speaks.
type Dialect uint8

// The dialects.
const (
	Postgres Dialect = iota + 1 // 9.5 or newer
	SQLite                      // 3.35 or newer
)

// Config describes a [Store].
type Config struct {
	// DB is where the table is: the database of the handlers' transactions. It
	// is not closed by the Store.
	DB *sql.DB

	// Dialect is what DB speaks.
	Dialect Dialect

	// Table is the table's name, which may have a schema's before it.
	// Default "idempotency_keys".
	Table string
}

var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$`)

// Validate returns all that is wrong, joined.
func (cfg Config) Validate() error {
	var errs []error
	if cfg.DB == nil {
		errs = append(errs, errors.New("db: want one, got nil"))
	}
	if cfg.Dialect != Postgres && cfg.Dialect != SQLite {
		errs = append(errs, fmt.Errorf("dialect %d: want Postgres or SQLite", cfg.Dialect))
	}
	if cfg.Table != "" && !tableName.MatchString(cfg.Table) {
		errs = append(errs, fmt.Errorf("table %q: want letters, digits and _, and at most one dot", cfg.Table))
	}
	return errors.Join(errs...)
}

// Store is an idempotency.TxStore in a table. It is safe for concurrent use,
// by many processes; make one by [New].
type Store struct {
	db       *sql.DB
	schema   string
	reserve  string
	look     string
	complete string
	seen     string
	abandon  string
	release  string
	sweep    string
	reserved atomic.Uint64
}

var _ idempotency.TxStore = (*Store)(nil)

// New makes a Store. It does not touch the database: see [Store.Migrate].
func New(cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("sqlstore: %w", err)
	}
	if cfg.Table == "" {
		cfg.Table = "idempotency_keys"
	}
	write := cfg.Dialect.writer(cfg.Table)
	return &Store{
		db:     cfg.DB,
		schema: write(createTable),
		reserve: write(`
			INSERT INTO {table} AS k (id, print, owner, token, run, lease, expires)
			VALUES ($1, $2, $3, {now}, 1, {now} + $4, {now} + $5)
			ON CONFLICT (id) DO UPDATE SET
				print = excluded.print, owner = excluded.owner,
				token = CASE WHEN k.token < excluded.token THEN excluded.token ELSE k.token + 1 END,
				run = CASE WHEN k.expires <= excluded.token THEN 1 ELSE k.run + 1 END,
				lease = excluded.lease, expires = excluded.expires, answer = NULL
			WHERE k.expires <= excluded.token
				OR $6 AND k.answer IS NULL AND k.lease <= excluded.token AND k.print = excluded.print
			RETURNING token, run`),
		look: write(`
			SELECT print, owner, token, run, lease - {now}, expires - {now}, answer IS NOT NULL, answer FROM {table} WHERE id = $1`),
		complete: write(`
			UPDATE {table} SET answer = $3 WHERE id = $1 AND owner = $2 AND answer IS NULL AND expires > {now}`),
		seen: write(`
			SELECT COUNT(*) FROM {table} WHERE id = $1 AND owner = $2 AND answer IS NOT NULL AND expires > {now}`),
		abandon: write(`
			UPDATE {table} SET lease = 0 WHERE id = $1 AND owner = $2 AND answer IS NULL`),
		release: write(`
			DELETE FROM {table} WHERE id = $1 AND owner = $2 AND answer IS NULL`),
		sweep: write(`
			DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE expires <= {now} LIMIT 256)`),
	}, nil
}

// createTable has the times in microseconds since 1970.
const createTable = `
	CREATE TABLE IF NOT EXISTS {table} (
		id      {bytes} PRIMARY KEY,
		print   {bytes} NOT NULL,
		owner   {bytes} NOT NULL,
		token   BIGINT NOT NULL,
		run     INT    NOT NULL,
		lease   BIGINT NOT NULL,
		expires BIGINT NOT NULL,
		answer  {bytes}
	);
	CREATE INDEX IF NOT EXISTS {index}_expires ON {table} (expires);`

// writer fills in what differs.
func (d Dialect) writer(table string) func(string) string {
	now, bytes := `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`, "BYTEA"
	if d == SQLite {
		now, bytes = `CAST(ROUND((julianday('now') - 2440587.5) * 86400000) * 1000 AS INTEGER)`, "BLOB"
	}
	index := table[strings.IndexByte(table, '.')+1:]
	return strings.NewReplacer("{table}", table, "{now}", now, "{bytes}", bytes, "{index}", index).Replace
}

// Schema is what Migrate runs, for those who have migrations of their own.
func (s *Store) Schema() string { return s.schema }

// Migrate makes the table and its index, unless they are there.
func (s *Store) Migrate(ctx context.Context) error {
	for _, statement := range strings.Split(s.schema, ";") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := s.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("sqlstore: migrate: %w", err)
		}
	}
	return nil
}

// Reserve implements idempotency.Store.
func (s *Store) Reserve(ctx context.Context, key idempotency.Key, want idempotency.Reservation) (idempotency.Found, error) {
	found := idempotency.Found{State: idempotency.Reserved, Expires: want.Lifetime}
	// What is in the way may have gone by the time it is looked at.
	for range 10 {
		err := s.db.QueryRowContext(ctx, s.reserve,
			key[:], want.Fingerprint[:], want.Owner[:], want.Lease.Microseconds(), want.Lifetime.Microseconds(), want.Rerun,
		).Scan(&found.Token, &found.Run)
		if err == nil {
			return found, s.sweepSometimes(ctx)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return idempotency.Found{}, fmt.Errorf("sqlstore: reserve: %w", err)
		}
		there, err := s.lookup(ctx, key, want)
		if !errors.Is(err, sql.ErrNoRows) {
			return there, err
		}
	}
	return idempotency.Found{}, errors.New("sqlstore: reserve: the key comes and goes")
}

// lookup says what is in the way. It fails with sql.ErrNoRows if nothing is any
// more.
func (s *Store) lookup(ctx context.Context, key idempotency.Key, want idempotency.Reservation) (found idempotency.Found, err error) {
	var (
		payload, owner []byte
		lease, expires int64
		done           bool
	)
	err = s.db.QueryRowContext(ctx, s.look, key[:]).
		Scan(&payload, &owner, &found.Token, &found.Run, &lease, &expires, &done, &found.Answer)
	if err != nil {
		return idempotency.Found{}, fmt.Errorf("sqlstore: look up: %w", err)
	}
	found.Expires = time.Duration(expires) * time.Microsecond
	switch {
	case expires <= 0:
		return found, sql.ErrNoRows
	case string(payload) != string(want.Fingerprint[:]):
		found.State, found.Answer = idempotency.Mismatch, nil
	case done:
		found.State = idempotency.Done
	case string(owner) == string(want.Owner[:]):
		found.State = idempotency.Reserved
	case lease > 0:
		found.State = idempotency.Running
	case want.Rerun: // it has lapsed in between
		return found, sql.ErrNoRows
	default:
		found.State = idempotency.Lapsed
	}
	return found, nil
}

// Complete implements idempotency.Store.
func (s *Store) Complete(ctx context.Context, key idempotency.Key, owner idempotency.Owner, answer []byte) error {
	err := exec(ctx, s.db, s.complete, key, owner, answer)
	if !errors.Is(err, idempotency.ErrFenced) {
		return err
	}
	var seen int
	if e := s.db.QueryRowContext(ctx, s.seen, key[:], owner[:]).Scan(&seen); e != nil {
		return fmt.Errorf("sqlstore: complete: %w", e)
	}
	if seen > 0 {
		return nil // asked again
	}
	return err
}

// CompleteTx implements idempotency.TxStore.
func (s *Store) CompleteTx(ctx context.Context, tx *sql.Tx, key idempotency.Key, owner idempotency.Owner, answer []byte) error {
	return exec(ctx, tx, s.complete, key, owner, answer)
}

func exec(ctx context.Context, on interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}, statement string, key idempotency.Key, owner idempotency.Owner, answer []byte,
) error {
	if answer == nil {
		answer = []byte{}
	}
	result, err := on.ExecContext(ctx, statement, key[:], owner[:], answer)
	if err != nil {
		return fmt.Errorf("sqlstore: complete: %w", err)
	}
	switch n, err := result.RowsAffected(); {
	case err != nil:
		return fmt.Errorf("sqlstore: complete: %w", err)
	case n == 0:
		return idempotency.ErrFenced
	}
	return nil
}

// Abandon implements idempotency.Store.
func (s *Store) Abandon(ctx context.Context, key idempotency.Key, owner idempotency.Owner) error {
	if _, err := s.db.ExecContext(ctx, s.abandon, key[:], owner[:]); err != nil {
		return fmt.Errorf("sqlstore: abandon: %w", err)
	}
	return nil
}

// Release implements idempotency.Store.
func (s *Store) Release(ctx context.Context, key idempotency.Key, owner idempotency.Owner) error {
	if _, err := s.db.ExecContext(ctx, s.release, key[:], owner[:]); err != nil {
		return fmt.Errorf("sqlstore: release: %w", err)
	}
	return nil
}

// sweepSometimes removes expired keys, more than come in between. A failure is
// the next one's to repair.
func (s *Store) sweepSometimes(ctx context.Context) error {
	if s.reserved.Add(1)%64 == 0 {
		_, _ = s.db.ExecContext(ctx, s.sweep)
	}
	return nil
}
