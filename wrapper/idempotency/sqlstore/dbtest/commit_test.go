package dbtest

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/wrapper/idempotency"
	"github.com/holdfast-go/holdfast/wrapper/idempotency/sqlstore"
)

// shop is a service whose effect, key and answer are one transaction. Its
// hooks stop it at the places where it could die.
type shop struct {
	t  testing.TB
	db database

	begun  func(run int64)             // before anything
	effect func(run int64, tx *sql.Tx) // between effect and commit
	runs   atomic.Int64
	errs   chan error // what Commit returned
	pad    int        // bytes of answer
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := idempotency.From(r.Context())
	run := s.runs.Add(1)
	if s.begun != nil {
		s.begun(run)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	tx, err := s.db.BeginTx(s.t.Context(), nil)
	if err != nil {
		s.t.Error(err)
		x.Release()
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	if _, err := tx.ExecContext(s.t.Context(), `INSERT INTO effects (id, run) VALUES ($1, $2)`, string(body), x.Run()); err != nil {
		s.t.Error(err)
	}
	if s.effect != nil {
		s.effect(run, tx)
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, "order %s%s", body, strings.Repeat(".", s.pad))
	err = x.Commit(tx)
	if s.errs != nil {
		s.errs <- err
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func always(*http.Request) bool { return true }

func (s *shop) guard(store *sqlstore.Store, lease time.Duration) http.Handler {
	g, err := idempotency.New(idempotency.Config{
		Store: store, Rerun: always, Lease: lease, StoreTimeout: 30 * time.Second, MaxAnswer: 1000,
		OnEvent: func(e idempotency.Event) {
			if e.Err != nil {
				s.t.Errorf("event %q: %v", e.Status, e.Err)
			}
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return g.Wrap(s)
}

func ask(t testing.TB, h http.Handler, id string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/orders", strings.NewReader(id))
	r.Header.Set(idempotency.HeaderKey, `"`+id+`"`)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func word(w *httptest.ResponseRecorder) string { return w.Header().Get(idempotency.HeaderStatus) }

// together: effect and key are there together, and the answer is replayed.
func together(t *testing.T, s *shop, store *sqlstore.Store) {
	h := s.guard(store, time.Minute)
	first, second := ask(t, h, "a"), ask(t, h, "a")
	if first.Code != 201 || second.Code != 201 || word(second) != idempotency.Replayed || second.Body.String() != "order a" {
		t.Errorf("%d, then %d %q %q", first.Code, second.Code, word(second), second.Body)
	}
	if n := s.db.effects(t, "a"); n != 1 {
		t.Errorf("%d effects", n)
	}
}

// slowIsFenced: an execution whose lease ended, and whose key another has
// taken, finds out in its own transaction, which is rolled back; its client is
// told to ask again.
func slowIsFenced(t *testing.T, s *shop, store *sqlstore.Store) {
	slow, go1 := make(chan struct{}), make(chan struct{})
	s.errs = make(chan error, 2)
	s.begun = func(run int64) {
		if run == 1 {
			close(slow)
			<-go1
		}
	}
	h := s.guard(store, 50*time.Millisecond)
	var first *httptest.ResponseRecorder
	var wait sync.WaitGroup
	wait.Go(func() { first = ask(t, h, "a") })
	<-slow
	second := ask(t, h, "a")
	for second.Code == http.StatusConflict {
		<-time.After(10 * time.Millisecond)
		second = ask(t, h, "a")
	}
	if err := <-s.errs; second.Code != 201 || word(second) != "" || err != nil {
		t.Errorf("second: %d %q %v", second.Code, word(second), err)
	}
	close(go1)
	wait.Wait()
	if err := <-s.errs; !errors.Is(err, idempotency.ErrFenced) || first.Code != 409 || word(first) != idempotency.InProgress {
		t.Errorf("first: %d %q %v", first.Code, word(first), err)
	}
	if n := s.db.effects(t, "a"); n != 1 {
		t.Errorf("%d effects", n)
	}
	if w := ask(t, h, "a"); word(w) != idempotency.Replayed {
		t.Errorf("at the end: %d %q", w.Code, word(w))
	}
}

// diesBeforeCommit: what was begun is gone with its transaction, and the
// next request runs at once, since the panic was seen.
func diesBeforeCommit(t *testing.T, s *shop, store *sqlstore.Store) {
	s.effect = func(run int64, tx *sql.Tx) {
		if run == 1 {
			if err := tx.Rollback(); err != nil { // as the database does for a client that is gone
				t.Error(err)
			}
			panic("killed")
		}
	}
	h := s.guard(store, time.Minute)
	func() {
		defer func() { _ = recover() }()
		ask(t, h, "a")
		t.Error("the panic did not pass")
	}()
	if n := s.db.effects(t, "a"); n != 0 {
		t.Errorf("%d effects of a transaction that was rolled back", n)
	}
	if w := ask(t, h, "a"); w.Code != 201 || s.db.effects(t, "a") != 1 {
		t.Errorf("%d, %d effects", w.Code, s.db.effects(t, "a"))
	}
}

// crowd: many requests with few keys, through two guards, while executions
// outlive their leases: each key has one effect, and each client learns of it.
func crowd(t *testing.T, s *shop, store *sqlstore.Store) {
	s.begun = func(run int64) {
		if run%5 == 0 {
			<-time.After(60 * time.Millisecond)
		}
	}
	guards := []http.Handler{s.guard(store, 30*time.Millisecond), s.guard(store, 30*time.Millisecond)}
	var clients sync.WaitGroup
	for c := range 6 {
		clients.Go(func() {
			for i := range 10 {
				w := ask(t, guards[(c+i)%2], fmt.Sprint(i))
				for w.Code == http.StatusConflict {
					<-time.After(5 * time.Millisecond)
					w = ask(t, guards[(c+i)%2], fmt.Sprint(i))
				}
				if w.Code != 201 || w.Body.String() != fmt.Sprint("order ", i) {
					t.Errorf("key %d: %d %q", i, w.Code, w.Body)
				}
			}
		})
	}
	clients.Wait()
	for i := range 10 {
		if n := s.db.effects(t, fmt.Sprint(i)); n != 1 {
			t.Errorf("key %d: %d effects", i, n)
		}
	}
}

// noKey: without a key, Commit commits.
func noKey(t *testing.T, s *shop, store *sqlstore.Store) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/orders", strings.NewReader("a"))
	w := httptest.NewRecorder()
	s.guard(store, time.Minute).ServeHTTP(w, r)
	if w.Code != 201 || s.db.effects(t, "a") != 1 {
		t.Errorf("%d, %d effects", w.Code, s.db.effects(t, "a"))
	}
}

// commitBreaks: the connection is lost before the commit: no effect, and
// the key is free again.
func commitBreaks(t *testing.T, s *shop, store *sqlstore.Store) {
	s.errs = make(chan error, 2)
	s.effect = func(run int64, tx *sql.Tx) {
		if run == 1 {
			if err := tx.Rollback(); err != nil {
				t.Error(err)
			}
		}
	}
	h := s.guard(store, time.Minute)
	if w := ask(t, h, "a"); w.Code != 500 || word(w) != idempotency.NotExecuted || !errors.Is(<-s.errs, sql.ErrTxDone) {
		t.Errorf("%d %q", w.Code, word(w))
	}
	if w := ask(t, h, "a"); w.Code != 201 || <-s.errs != nil || s.db.effects(t, "a") != 1 {
		t.Errorf("then %d, %d effects", w.Code, s.db.effects(t, "a"))
	}
}

// undecided: the database fails at the commit itself, and the handler does
// not know what became of it: the client asks again and finds out.
func undecided(t *testing.T, s *shop, store *sqlstore.Store) {
	db := s.db
	if db.dialect != sqlstore.Postgres {
		return // it has no constraint that only the commit looks at, but foreign keys
	}
	_, err := db.ExecContext(t.Context(), `CREATE TABLE once (id INT UNIQUE DEFERRABLE INITIALLY DEFERRED)`)
	if err != nil {
		t.Fatal(err)
	}
	s.errs = make(chan error, 3)
	s.effect = func(run int64, tx *sql.Tx) {
		if run == 1 {
			if _, err := tx.ExecContext(t.Context(), `INSERT INTO once VALUES (1), (1)`); err != nil {
				t.Error(err)
			}
		}
	}
	h := s.guard(store, time.Minute)
	if w := ask(t, h, "a"); w.Code != 409 || word(w) != idempotency.InProgress || <-s.errs == nil {
		t.Errorf("%d %q", w.Code, word(w))
	}
	if w := ask(t, h, "a"); w.Code != 201 || <-s.errs != nil || db.effects(t, "a") != 1 {
		t.Errorf("then %d, %d effects", w.Code, db.effects(t, "a"))
	}

	// An answer that was too large to be held back was sent: it is broken off.
	s.runs.Store(0)
	s.pad = 2000
	func() {
		defer func() {
			if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
				t.Error("an answer that is not true was sent to its end")
			}
		}()
		ask(t, h, "b")
	}()
	if err := <-s.errs; err == nil {
		t.Error("the commit did not fail")
	}
	if w := ask(t, h, "b"); w.Code != 201 || db.effects(t, "b") != 1 {
		t.Errorf("then %d, %d effects", w.Code, db.effects(t, "b"))
	}
	if err := <-s.errs; err != nil {
		t.Error(err)
	}
	if w := ask(t, h, "b"); w.Code != 409 || word(w) != idempotency.NotKept {
		t.Errorf("then %d %q", w.Code, word(w))
	}
}

// repeatedCommit: an execution that begins anew after a commit that it
// takes for lost does not carry out its effect twice.
func repeatedCommit(t *testing.T, s *shop, store *sqlstore.Store) {
	key, want := idempotency.Key{1}, idempotency.Reservation{Owner: idempotency.Owner{1}, Lease: time.Minute, Lifetime: time.Hour}
	if found, err := store.Reserve(t.Context(), key, want); err != nil || found.State != idempotency.Reserved {
		t.Fatal(found, err)
	}
	for i, fenced := range []bool{false, true} {
		tx, err := s.db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		err = store.CompleteTx(t.Context(), tx, key, want.Owner, []byte("answer"))
		if errors.Is(err, idempotency.ErrFenced) != fenced {
			t.Errorf("commit %d: %v", i+1, err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

// sweep: keys that have expired are removed by what comes after.
func sweep(t *testing.T, s *shop, store *sqlstore.Store) {
	for i := range 300 {
		want := idempotency.Reservation{Owner: idempotency.Owner{1}, Lease: time.Microsecond, Lifetime: time.Microsecond}
		if _, err := store.Reserve(t.Context(), idempotency.Key{byte(i), byte(i >> 8)}, want); err != nil {
			t.Fatal(err)
		}
	}
	var n int
	table := strings.Fields(store.Schema())[5]
	if err := s.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM `+table).Scan(&n); err != nil || n > 128 {
		t.Errorf("%d of 300 expired keys are left: %v", n, err)
	}
}

// TestConfig: all that is wrong, at once.
func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := sqlstore.New(sqlstore.Config{Table: "keys; DROP TABLE effects"})
	for _, part := range []string{"db:", "dialect 0", "table"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v: want %s", err, part)
		}
	}
}

// TestNoTxStore: Commit with a store that is elsewhere carries out nothing.
func TestNoTxStore(t *testing.T) {
	t.Parallel()
	s := &shop{t: t, db: sqlite(t), errs: make(chan error, 1)}
	g, err := idempotency.New(idempotency.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if w := ask(t, g.Wrap(s), "a"); w.Code != 500 || word(w) != idempotency.NotExecuted || !errors.Is(<-s.errs, idempotency.ErrNoTx) || s.db.effects(t, "a") != 0 {
		t.Errorf("%d, %d effects", w.Code, s.db.effects(t, "a"))
	}
}
