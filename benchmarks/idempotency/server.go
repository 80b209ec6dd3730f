package idempotency

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/wrapper/idempotency"
	"github.com/holdfast-go/holdfast/wrapper/idempotency/redisstore"
	"github.com/holdfast-go/holdfast/wrapper/idempotency/sqlstore"
)

// ServerCommand is the argument with which a binary starts itself as one of
// the servers; the next one is its configuration.
const ServerCommand = "__idempotency-server"

// serverConfig is what a server is told when it starts.
type serverConfig struct {
	Mode   Mode          `json:"mode"`
	Name   string        `json:"name"`
	Port   string        `json:"port"`
	DSN    string        `json:"dsn,omitempty"`    // of PostgreSQL
	Redis  string        `json:"redis,omitempty"`  // its address
	Ledger string        `json:"ledger,omitempty"` // a file; none where the effects are in the database
	Lease  time.Duration `json:"lease"`
	Work   time.Duration `json:"work"`
}

// Point is where a server can be told to fail, at the next request that gets
// there.
type Point string

// The points.
const (
	Before  Point = "before"  // its effect: dies
	Between Point = "between" // effect and commit: dies
	After   Point = "after"   // the commit, and before the reply is sent: dies
	Drop    Point = "drop"    // after the commit: the connection is closed in the place of the reply
)

// server is one of the processes, seen from within.
type server struct {
	cfg    serverConfig
	ledger *harness.Ledger
	db     *sql.DB
	armed  atomic.Value // Point; empty: none
}

// Serve is the main of a server. It returns when it cannot serve any more; it
// ends with the process that started it, whose end closes its standard input.
func Serve(config string, stdin io.Reader) error {
	s := new(server)
	s.armed.Store(Point(""))
	if err := json.Unmarshal([]byte(config), &s.cfg); err != nil {
		return fmt.Errorf("%s is internal: %w", ServerCommand, err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		os.Exit(0)
	}()
	service, err := s.service()
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /arm/{point}", func(_ http.ResponseWriter, r *http.Request) { s.armed.Store(Point(r.PathValue("point"))) })
	mux.Handle("POST /effects", s.reply(service))
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", s.cfg.Port))
	if err != nil {
		return err
	}
	return harness.ServeHTTP(l, mux)
}

// service is the effect behind its guard, if the mode has one.
func (s *server) service() (http.Handler, error) {
	if s.cfg.Ledger != "" {
		file, err := os.OpenFile(s.cfg.Ledger, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if s.ledger, err = harness.NewLedger(file); err != nil {
			return nil, err
		}
	}
	cfg := idempotency.Config{Required: true, Lease: s.cfg.Lease, StoreTimeout: 10 * time.Second}
	effect := http.HandlerFunc(s.toLedger)
	switch s.cfg.Mode {
	case SQL:
		db, err := sql.Open("pgx", s.cfg.DSN)
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(40)
		db.SetMaxIdleConns(40)
		s.db = db
		store, err := newStore(db)
		if err != nil {
			return nil, err
		}
		cfg.Store, effect = store, s.toDatabase
		cfg.Rerun = func(*http.Request) bool { return true } // all of the effect is in the transaction
	case Redis:
		store, err := redisstore.New(redisstore.Config{Client: redis.NewClient(&redis.Options{Addr: s.cfg.Redis})})
		if err != nil {
			return nil, err
		}
		cfg.Store = store
	case NoKeys:
		return effect, nil
	}
	guard, err := idempotency.New(cfg)
	if err != nil {
		return nil, err
	}
	return guard.Wrap(effect), nil
}

func newStore(db *sql.DB) (*sqlstore.Store, error) {
	return sqlstore.New(sqlstore.Config{DB: db, Dialect: sqlstore.Postgres})
}

// fail does what is armed, if that is at this point.
func (s *server) fail(at Point) bool {
	if !s.armed.CompareAndSwap(at, Point("")) {
		return false
	}
	if at != Drop {
		if self, err := os.FindProcess(os.Getpid()); err == nil {
			_ = self.Kill() // SIGKILL: nothing more of this process runs
		}
		select {}
	}
	return true
}

// reply sends what the service has answered, unless it is to be lost. A ledger
// is told when a request comes and when it is done with, its commit included.
func (s *server) reply(service http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client has gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		attempt, _ := strconv.Atoi(r.Header.Get("X-Retry-Attempt"))
		record := harness.Record{Kind: harness.Begun, Route: harness.Post, ID: string(body), Attempt: max(attempt, 1), Node: s.cfg.Name}
		s.note(record)
		held := httptest.NewRecorder()
		service.ServeHTTP(held, r)
		record.Kind = harness.Ended
		s.note(record)
		s.fail(After)
		if s.fail(Drop) {
			panic(http.ErrAbortHandler)
		}
		for name, values := range held.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(held.Code)
		_, _ = w.Write(held.Body.Bytes())
	})
}

// note writes a record, if there is a ledger. A server that cannot must not go
// on.
func (s *server) note(record harness.Record) {
	if s.ledger == nil {
		return
	}
	if err := s.ledger.Write(record); err != nil {
		fmt.Fprintln(os.Stderr, "ledger:", err)
		os.Exit(1)
	}
}

// toDatabase is an effect, its key and its answer in one transaction.
func (s *server) toDatabase(w http.ResponseWriter, r *http.Request) {
	x := idempotency.From(r.Context())
	err := func() error {
		name, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		tx, err := s.db.BeginTx(r.Context(), nil)
		if err != nil {
			return err
		}
		defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
		s.fail(Before)
		if _, err := tx.ExecContext(r.Context(), `INSERT INTO effects (id, server) VALUES ($1, $2)`, string(name), s.cfg.Name); err != nil {
			return err
		}
		<-time.After(s.cfg.Work)
		s.fail(Between)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(name)
		return x.Commit(tx)
	}()
	if err != nil {
		x.Release() // nothing was carried out, or Commit knows better
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

// toLedger is an effect that has no transaction with its key: a line in a file.
func (s *server) toLedger(w http.ResponseWriter, r *http.Request) {
	name, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.fail(Before)
	s.note(harness.Record{Kind: harness.Applied, Route: harness.Post, ID: string(name), Attempt: 1, Node: s.cfg.Name})
	<-time.After(s.cfg.Work)
	s.fail(Between)
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(name)
}
