package idempotency

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"
)

// Execution is the running of one request under its key, as its handler sees
// it: see [From]. Its methods do nothing on a nil Execution, which is that of a
// request without a key, so a handler need not ask.
type Execution struct {
	g     *Guard
	id    string // the key as the client has sent it
	key   Key
	owner Owner
	found Found

	lease lease
	out   output // what it answers: rec, or a protocol's that is not HTTP
	rec   recorder
	body  body

	released atomic.Bool
	fate     fate // the handler's goroutine's
}

// output is what an execution answers, in its protocol.
type output interface {
	close()         // takes the answer away from the handler
	drop()          // takes back what was answered, unless it was sent
	answer() []byte // what is to be kept
	refuses() bool  // it says by itself that nothing was carried out
	sent() bool     // it was too large to be held back: it is not kept
}

// fate is what Commit came to.
type fate uint8

const (
	open      fate = iota // not called
	committed             // the answer is kept
	revoked               // the transaction had no effect
	undecided             // the database did not say; or another execution has the key
)

// lease is the handler's context.
type lease struct {
	span
	x *Execution
}

type executionKey struct{}

// Value implements context.Context.
func (l *lease) Value(key any) any {
	if key == (executionKey{}) {
		return l.x
	}
	return l.Context.Value(key)
}

// body is the request's, which was read before.
type body struct{ bytes.Reader }

// Close implements io.Closer.
func (*body) Close() error { return nil }

// From returns the execution that a handler's context belongs to; nil if its
// request has no key, or runs unguarded.
func From(ctx context.Context) *Execution {
	x, _ := ctx.Value(executionKey{}).(*Execution)
	return x
}

// owner names the next execution.
func (g *Guard) owner() (o Owner) {
	copy(o[:8], g.origin[:])
	binary.BigEndian.PutUint64(o[8:], g.runs.Add(1))
	return o
}

// reserve asks for the key, for a run under ctx's values.
func (x *Execution) reserve(ctx context.Context, want Reservation) (err error) {
	x.lease.x, x.lease.Context, x.lease.until = x, context.WithoutCancel(ctx), time.Now().Add(x.g.cfg.Lease)
	ctx, end := x.patience(x.g.cfg.StoreTimeout)
	defer end()
	x.found, err = x.g.store.Reserve(ctx, x.key, want)
	return err
}

// withdraw takes back a reservation that may have been made in spite of an
// error: then it is of no use to anybody.
func (x *Execution) withdraw() {
	ctx, end := x.patience(x.g.cfg.StoreTimeout / 4)
	defer end()
	_ = x.g.store.Release(ctx, x.key, x.owner)
}

// Key is the idempotency key, without its quotes.
func (x *Execution) Key() string {
	if x == nil {
		return ""
	}
	return x.id
}

// Token is the fencing token: it grows with every execution of a key. What it
// is written to beside an effect can refuse the writes of an execution whose
// lease is over and whose key another has taken: those with a smaller token.
func (x *Execution) Token() int64 {
	if x == nil {
		return 0
	}
	return x.found.Token
}

// Run is 1, or more if the key was run before and nobody knows how that ended:
// Config.Rerun has allowed it. Whoever can, looks what there is before it acts.
func (x *Execution) Run() int {
	if x == nil {
		return 1
	}
	return x.found.Run
}

// Release says that the handler has carried out nothing, and that its answer is
// about now and not about the request (a database that is locked, a user who is not logged
// in yet). It is sent, marked not-executed, and not kept: the next request with the key runs.
func (x *Execution) Release() {
	if x != nil {
		x.released.Store(true)
	}
}

// ErrNoTx is matched by the error of a Commit whose Guard has no [TxStore].
var ErrNoTx = errors.New("idempotency: the store keeps no keys in the database")

// ErrCommitted is matched by the error of a second Commit.
var ErrCommitted = errors.New("idempotency: the key is committed already")

// Commit commits tx, and with it the key and the answer, which is what the
// handler has written by now: it writes first, commits last, and writes no
// more. Without a key it just commits tx. The store's database must be the one
// that tx is of.
//
// With an error, what was written is taken back, so that the handler can
// begin anew with another transaction, or answer otherwise. If tx certainly had
// no effect, that answer is sent as after Release, and the key is free. If nobody knows,
// or another execution has the key (ErrFenced), the client is told in-progress
// instead: it asks again, and finds out.
//
// An answer over Config.MaxAnswer has been sent in part before it is committed; if
// that fails, the connection is broken off.
func (x *Execution) Commit(tx *sql.Tx) error {
	if x == nil {
		return tx.Commit()
	}
	if x.fate == committed {
		return errors.Join(ErrCommitted, rollback(tx))
	}
	x.out.close()
	if err := x.completeTx(tx); err != nil {
		x.out.drop()
		err = errors.Join(err, rollback(tx))
		if x.fate = revoked; errors.Is(err, ErrFenced) {
			x.fate = undecided
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		x.out.drop()
		x.fate = undecided
		return err
	}
	x.fate = committed
	return nil
}

// completeTx does not stop at the end of the lease: as long as nobody has taken
// the key over, it is not too late.
func (x *Execution) completeTx(tx *sql.Tx) error {
	store, ok := x.g.store.(TxStore)
	if !ok {
		return ErrNoTx
	}
	ctx, end := x.patience(x.g.cfg.StoreTimeout)
	defer end()
	return store.CompleteTx(ctx, tx, x.key, x.owner, x.out.answer())
}

// rollback ends tx. That it has ended already is no error.
func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}

// settle decides what becomes of an execution whose handler has returned, and
// returns the word for it.
func (x *Execution) settle() (word string, err error) {
	x.out.close()
	switch {
	case x.fate == undecided:
		return InProgress, x.abandon() // asking again finds out at once
	case x.fate == committed:
	case x.fate == revoked || x.released.Load() || x.out.refuses():
		return NotExecuted, x.release()
	default:
		err = x.complete(x.out.answer())
	}
	if x.out.sent() {
		return NotKept, err
	}
	return "", err
}

// lost is settle for a handler that did not return.
func (x *Execution) lost() (word string, err error) {
	x.out.close()
	switch {
	case x.fate == committed:
		return "", nil
	case x.fate == revoked || x.released.Load():
		return NotExecuted, x.release()
	}
	return Unknown, x.abandon()
}

func (x *Execution) abandon() error {
	return x.persist(func(ctx context.Context) error { return x.g.store.Abandon(ctx, x.key, x.owner) })
}

func (x *Execution) release() error {
	return x.persist(func(ctx context.Context) error { return x.g.store.Release(ctx, x.key, x.owner) })
}

func (x *Execution) complete(answer []byte) error {
	return x.persist(func(ctx context.Context) error { return x.g.store.Complete(ctx, x.key, x.owner, answer) })
}

// persist has the store do what can be repeated, until it has: something was
// done, and should not be forgotten for a connection that was lost.
func (x *Execution) persist(do func(context.Context) error) error {
	ctx, end := x.patience(x.g.cfg.StoreTimeout)
	defer end()
	for pause := 5 * time.Millisecond; ; pause *= 2 {
		err := do(ctx)
		if err == nil || errors.Is(err, ErrFenced) {
			return err
		}
		if until, ok := ctx.Deadline(); !ok || time.Until(until) <= pause {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// patience is a context for the store, with the request's values and an end of
// its own. A Memory waits for nobody, and needs none.
func (x *Execution) patience(d time.Duration) (ctx context.Context, end func()) {
	if x.g.local {
		return x.lease.Context, func() {}
	}
	s := &span{Context: x.lease.Context, until: time.Now().Add(d)}
	return s, func() { s.end(context.Canceled) }
}
