package idempotency

import (
	"context"
	"database/sql"
	"errors"
	"os"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// evidence is where the effects are written down, whatever clients believe.
type evidence interface {
	count(ctx context.Context, r *run) error
	close() error
}

// tell compares the effects of each request with what its client knows.
func (r *run) tell(effects map[string]int) {
	for i, acked := range r.acked {
		n := effects[name(i)]
		r.report.Effects += n
		r.report.Duplicated += max(n-1, 0)
		switch {
		case acked && n == 0:
			r.report.Lost++
		case !acked && n > 0:
			r.report.Ghosts++
		}
	}
}

// database has the effects in a table.
type database struct{ db *sql.DB }

func newDatabase(ctx context.Context, dsn string) (*database, error) {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return nil, err
	}
	d := &database{db}
	if _, err := db.ExecContext(ctx, `CREATE TABLE effects (id TEXT NOT NULL, server TEXT NOT NULL)`); err != nil {
		return nil, err
	}
	store, err := newStore(db)
	if err != nil {
		return nil, err
	}
	return d, store.Migrate(ctx)
}

func (d *database) close() error { return d.db.Close() }

func (d *database) count(ctx context.Context, r *run) error {
	rows, err := d.db.QueryContext(ctx, `SELECT id, COUNT(*) FROM effects GROUP BY id`)
	if err != nil { // the pool has connections to a server that was restarted
		rows, err = d.db.QueryContext(ctx, `SELECT id, COUNT(*) FROM effects GROUP BY id`)
	}
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // its Err is asked
	effects := make(map[string]int)
	for rows.Next() {
		var id string
		var n int
		if err := rows.Scan(&id, &n); err != nil {
			return err
		}
		effects[id] = n
	}
	if err := rows.Err(); err != nil {
		return err
	}
	r.tell(effects)
	return nil
}

// ledgers has them in the servers' files.
type ledgers struct{}

func (ledgers) close() error { return nil }

func (ledgers) count(_ context.Context, r *run) error {
	effects, open := make(map[string]int), make(map[string]int)
	for _, path := range r.ledgers {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		records, _, err := harness.ParseLedger(file)
		err = errors.Join(err, file.Close())
		if err != nil {
			return err
		}
		for _, rec := range records {
			switch rec.Kind {
			case harness.Begun:
				open[rec.ID]++
			case harness.Applied:
				effects[rec.ID]++
			case harness.Ended:
				open[rec.ID]--
			}
		}
	}
	for _, n := range open {
		if n > 0 { // it was never done with: its server was killed
			r.report.Open++
		}
	}
	r.tell(effects)
	return nil
}
