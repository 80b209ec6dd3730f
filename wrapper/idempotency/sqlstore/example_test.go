package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"

	"github.com/holdfast-go/holdfast/wrapper/idempotency"
	"github.com/holdfast-go/holdfast/wrapper/idempotency/sqlstore"
)

// The order, its key and its answer are committed together, so each order is
// made once, whatever dies when.
func Example() {
	var db *sql.DB // your service's, opened with your driver

	serve := func(ctx context.Context) error {
		store, err := sqlstore.New(sqlstore.Config{DB: db, Dialect: sqlstore.Postgres})
		if err != nil {
			return err
		}
		if err := store.Migrate(ctx); err != nil {
			return err
		}
		guard, err := idempotency.New(idempotency.Config{
			Store: store,
			Rerun: func(*http.Request) bool { return true }, // every effect is in the transaction
		})
		if err != nil {
			return err
		}
		http.Handle("POST /orders", guard.Wrap(orders(db)))
		return nil
	}
	fmt.Println(serve(context.Background()))
	// Output:
	// sqlstore: db: want one, got nil
}

func orders(db *sql.DB) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := idempotency.From(r.Context())
		tx, err := db.BeginTx(r.Context(), nil)
		if err != nil {
			x.Release() // nothing was done: the request may come again
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
		if _, err := tx.ExecContext(r.Context(), `INSERT INTO orders (item) VALUES ($1)`, r.FormValue("item")); err != nil {
			x.Release()
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintln(w, "ordered")
		if err := x.Commit(tx); err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
		}
	})
}
