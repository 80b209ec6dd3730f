package dbtest

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/internal/realserver"
	"github.com/holdfast-go/holdfast/wrapper/idempotency"
	"github.com/holdfast-go/holdfast/wrapper/idempotency/sqlstore"
	"github.com/holdfast-go/holdfast/wrapper/idempotency/storetest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// database is one of the real ones, with a table of keys and one of effects.
type database struct {
	*sql.DB
	dialect sqlstore.Dialect
}

// TestDatabases runs every test of this package on each database.
func TestDatabases(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		run(t, func(t *testing.T) database { return sqlite(t) })
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		server := realserver.For(t, realserver.Postgres, "-c", "max_connections=300")
		dsn := func(name string) string {
			return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", realserver.PostgresUser, server.Addr, name)
		}
		admin, err := sql.Open("pgx", dsn("postgres"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = admin.Close() })
		n := 0
		run(t, func(t *testing.T) database {
			n++
			name := fmt.Sprintf("test%d", n)
			if _, err := admin.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
				t.Fatal(err)
			}
			return opened(t, "pgx", dsn(name), sqlstore.Postgres)
		})
	})
}

func run(t *testing.T, open func(t *testing.T) database) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s *shop, store *sqlstore.Store)
	}{
		{"contract", contract},
		{"together", together},
		{"slow is fenced", slowIsFenced},
		{"dies before the commit", diesBeforeCommit},
		{"crowd", crowd},
		{"no key", noKey},
		{"the commit breaks", commitBreaks},
		{"undecided", undecided},
		{"repeated commit", repeatedCommit},
		{"sweep", sweep},
	} {
		t.Run(test.name, func(t *testing.T) {
			db := open(t) // one after the other
			t.Parallel()
			test.run(t, &shop{t: t, db: db}, db.store(t))
		})
	}
}

func sqlite(t testing.TB) database {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.db")
	return opened(t, "sqlite", "file:"+path+
		"?_pragma=busy_timeout(20000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_txlock=immediate", sqlstore.SQLite)
}

func opened(t testing.TB, driver, dsn string, dialect sqlstore.Dialect) database {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(20)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := db.ExecContext(t.Context(), `CREATE TABLE effects (id TEXT, run INT)`); err != nil {
		t.Fatal(err)
	}
	return database{db, dialect}
}

var tables atomic.Int64

// store returns one with a table of its own.
func (d database) store(t testing.TB) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.New(sqlstore.Config{DB: d.DB, Dialect: d.dialect, Table: fmt.Sprintf("keys_%d", tables.Add(1))})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // and once more does no harm
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// effects counts those of one request.
func (d database) effects(t testing.TB, id string) (n int) {
	t.Helper()
	if err := d.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM effects WHERE id = $1`, id).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func contract(t *testing.T, s *shop, _ *sqlstore.Store) {
	storetest.Run(t, func(t *testing.T) idempotency.Store { return s.db.store(t) })
}
