// Package sqlstore keeps idempotency keys in a table of the service's own
// database, so that a handler can commit its effect, its key and its answer in
// one transaction. It needs database/sql and a driver of yours; it is tested on
// PostgreSQL 15 through pgx and SQLite through modernc.org/sqlite.
//
//	store, err := sqlstore.New(sqlstore.Config{DB: db, Dialect: sqlstore.Postgres})
//	err = store.Migrate(ctx)
//	guard, err := idempotency.New(idempotency.Config{
//		Store: store,
//		Rerun: func(*http.Request) bool { return true }, // all effects are in the transaction
//	})
//
//	func order(w http.ResponseWriter, r *http.Request) {
//		x := idempotency.From(r.Context())
//		tx, err := db.BeginTx(r.Context(), nil)
//		… the effect, in tx
//		w.WriteHeader(http.StatusCreated) … the answer
//		err = x.Commit(tx)
//	}
//
// # What is promised
//
// With Commit, effect and key stand or fall together, whatever dies when: a
// server, before or after, or the database. A server that dies before the
// commit leaves a reservation without an effect; with Rerun, the next request runs when the lease
// is over. One that was only slow finds that out in its own transaction: it is
// rolled back, with ErrFenced.
//
// Without Commit, the key is committed after the handler, in a transaction of
// its own: between the two, the effect is there and the answer is not, and a repeat is
// told so (unknown).
//
// What the database loses is lost: with synchronous_commit off (PostgreSQL) or
// synchronous below FULL in WAL mode (SQLite), a power failure takes the last
// commits with it, keys and effects alike, and a replica that takes over may lack both. They are never apart.
//
// # Cost
//
// A new key is one statement, a repeat two; a commit is one more in the
// handler's own transaction. Every 64th reservation of a process also removes
// up to 256 keys that have expired. Times are the database's, so servers' clocks need not agree
// (SQLite's is that of its one machine).
package sqlstore
