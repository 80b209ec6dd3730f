package idempotency

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"slices"
	"time"
)

// Request is one with a key, of a protocol that is not HTTP, for [Guard.Do].
type Request struct {
	Tenant  string // whose it is: see Config.Tenant
	Route   string // what is asked for, protocol included: "grpc /orders.Orders/Create"
	Key     string
	Payload []byte // what must be equal in a repeat
	Rerun   bool   // it may follow an execution whose end is unknown: see Config.Rerun
}

// Result is what became of it.
type Result struct {
	Status  string        // one of the words, or Mismatched; empty: it was run, and its answer kept unless Err says otherwise
	Answer  []byte        // what is to be sent; nil where there is none: Status says why. It must not be changed
	Expires time.Duration // how long the key is remembered yet; 0: it is not
	Err     error         // the store's: it could not be reached, it is full, or ErrFenced at the commit
}

// Mismatched is the Status of a Request whose key was used for another
// payload. HTTP says not-executed, by a status of its own.
const Mismatched = "mismatch"

// Do is what Wrap is made of, for other protocols: run carries the request
// out, unless its key is known, and returns the answer in a form that can be
// sent again, or releases the key (see [Execution.Release], which run's context
// leads to). With Config.FailOpen, and a store that cannot be reached, the
// context leads to no execution. Of cfg it uses Store, Lifetime, Lease,
// FailOpen, StoreTimeout and MaxAnswer. A panic in run goes on.
func (g *Guard) Do(ctx context.Context, req Request, run func(context.Context) (answer []byte, release bool)) Result {
	m := &message{max: g.cfg.MaxAnswer}
	x := &Execution{g: g, id: req.Key, key: req.scoped(), owner: g.owner(), out: m}
	err := x.reserve(ctx, Reservation{
		Owner: x.owner, Fingerprint: sha256.Sum256(req.Payload), Lease: g.cfg.Lease, Lifetime: g.cfg.Lifetime, Rerun: req.Rerun,
	})
	switch {
	case errors.Is(err, ErrFull):
		return Result{Status: NotExecuted, Err: err}
	case err != nil && g.cfg.FailOpen:
		answer, _ := run(ctx)
		return Result{Answer: answer, Err: err}
	case err != nil:
		x.withdraw()
		return Result{Status: NotExecuted, Err: err}
	}
	known := Result{Expires: x.found.Expires}
	switch x.found.State {
	case Reserved:
		return x.carryOut(m, run)
	case Running:
		known.Status = InProgress
	case Lapsed:
		known.Status = Unknown
	case Mismatch:
		return Result{Status: Mismatched}
	case Done:
		known.Answer, known.Status, known.Err = parseMessage(x.found.Answer)
	default:
		return Result{Status: NotExecuted, Err: errAnswer}
	}
	return known
}

func (x *Execution) carryOut(m *message, run func(context.Context) ([]byte, bool)) Result {
	returned := false
	defer func() {
		x.lease.end(context.Canceled)
		if !returned { // a panic, or runtime.Goexit: it goes on
			_, _ = x.lost()
		}
	}()
	answer, release := run(&x.lease)
	returned = true
	if release {
		x.Release()
	}
	if x.fate != committed {
		m.set(answer)
	}
	word, err := x.settle()
	switch word {
	case InProgress:
		return Result{Status: word, Expires: x.found.Expires, Err: err}
	case NotExecuted:
		return Result{Status: word, Answer: answer, Err: err}
	}
	return Result{Status: word, Answer: m.sends(answer), Expires: x.g.cfg.Lifetime, Err: err}
}

func (req *Request) scoped() Key {
	var room [512]byte
	b := room[:0]
	for _, part := range [...]string{req.Tenant, req.Route, req.Key} {
		b = appendString(b, part)
	}
	return sha256.Sum256(b)
}

// ErrNoAnswer is matched by the error of CommitAnswer without one.
var ErrNoAnswer = errors.New("idempotency: want an answer to commit, got none")

// CommitAnswer is Commit for a Request of [Guard.Do]: answer is what its run
// is about to return.
func (x *Execution) CommitAnswer(tx *sql.Tx, answer []byte) error {
	if x == nil {
		return tx.Commit()
	}
	m, ok := x.out.(*message)
	if !ok || answer == nil {
		return errors.Join(ErrNoAnswer, rollback(tx))
	}
	if x.fate != committed {
		m.set(answer)
	}
	return x.Commit(tx)
}

const kindMessage = 'M' // all that follows is the answer

// message is the answer to a Request.
type message struct {
	max  int64
	kept []byte // as it is kept; nil: there is none
	cut  bool
}

func (m *message) set(answer []byte) {
	m.cut = int64(len(answer)) > max(m.max, 0)
	if m.kept = []byte{kindCut}; !m.cut {
		m.kept = append([]byte{kindMessage}, answer...)
	}
}

// sends is what is sent: what was committed goes before what the handler has
// returned later.
func (m *message) sends(answer []byte) []byte {
	if m.cut {
		return answer
	}
	return m.kept[1:]
}

func (m *message) close()         {}
func (m *message) drop()          { m.kept = nil }
func (m *message) answer() []byte { return slices.Clip(m.kept) }
func (m *message) refuses() bool  { return false } // run says so
func (m *message) sent() bool     { return m.cut }

func parseMessage(b []byte) (answer []byte, word string, err error) {
	switch {
	case len(b) > 0 && b[0] == kindMessage:
		return b[1:], Replayed, nil
	case len(b) > 0 && b[0] == kindCut:
		return nil, NotKept, nil
	}
	return nil, Unknown, errAnswer
}
