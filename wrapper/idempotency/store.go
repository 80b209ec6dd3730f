package idempotency

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Store keeps what is known of keys. What is promised of it is checked by
// package storetest, which runs against any Store. It must be safe for
// concurrent use, by all the processes that serve the same requests.
//
// A record exists from its reservation until it is released or its lifetime
// is over. Times are those of the store's own clock where it has one.
type Store interface {
	// Reserve makes key its owner's, in one atomic step, if nobody has it:
	// there is no record, or its lifetime is over, or it has no answer, its
	// lease is over and want.Rerun allows to take it over. Otherwise it changes
	// nothing, and reports what there is. Asked again by the same owner (whose
	// first call lost its reply), it finds Reserved again, with the same token.
	//
	// With an error, the reservation may have been made.
	Reserve(ctx context.Context, key Key, want Reservation) (Found, error)

	// Complete keeps the answer of the execution that owns key, for the rest
	// of the record's lifetime; the lease may be over. The answer is the
	// store's from then on, and nobody changes it. It fails with ErrFenced if
	// the key is not the owner's any more. Asked again, it succeeds again.
	Complete(ctx context.Context, key Key, owner Owner, answer []byte) error

	// Abandon ends the lease of the execution that owns key, if it has no
	// answer; otherwise it does nothing. The execution has ended, and nobody
	// knows how.
	Abandon(ctx context.Context, key Key, owner Owner) error

	// Release removes the record, if it is the owner's and has no answer;
	// otherwise it does nothing. The execution has carried out nothing.
	Release(ctx context.Context, key Key, owner Owner) error
}

// TxStore is a Store in a database whose transactions the handler uses too.
type TxStore interface {
	Store

	// CompleteTx is Complete as a part of tx, which it neither commits nor
	// rolls back. It fails with ErrFenced also if there is an answer already: tx
	// would be carried out a second time.
	CompleteTx(ctx context.Context, tx *sql.Tx, key Key, owner Owner, answer []byte) error
}

var (
	// ErrFenced is matched by the error of an execution that does not own its
	// key any more: its lease was over, and another has taken the key over, or
	// the key's lifetime ended.
	ErrFenced = errors.New("idempotency: the key is not this execution's any more")

	// ErrFull is matched by the error of a Store that has no room for another
	// key. Nothing was reserved.
	ErrFull = errors.New("idempotency: the store is full")
)

// Key is a hash over whose request it is, its route and its idempotency key.
type Key [32]byte

// Owner names one execution of one request, uniquely.
type Owner [16]byte

// Reservation is what an execution asks for.
type Reservation struct {
	Owner       Owner
	Fingerprint [32]byte      // of the payload
	Lease       time.Duration // how long the execution may take
	Lifetime    time.Duration // how long the key is remembered
	Rerun       bool          // may it follow an execution whose end is unknown?
}

// Found is what Reserve has found, or made.
type Found struct {
	State State

	// Token is the fencing token of the execution that owns the key. It grows
	// with every reservation of a key. Reserved only.
	Token int64

	// Run counts the executions since the key was free, this one included: more
	// than 1 says that how an earlier one ended is unknown. Reserved only.
	Run int

	Answer  []byte        // what Complete was given; Done only. It must not be changed
	Expires time.Duration // until the record's lifetime is over
}

// State is how a key stands when it is asked for.
type State uint8

// The states.
const (
	Reserved State = iota + 1 // it was free, and is the caller's now
	Running                   // an execution owns it, and its lease is not over
	Lapsed                    // an execution owned it, its lease is over, and nobody knows how it ended
	Done                      // there is an answer
	Mismatch                  // there is a record of another payload
)

var stateNames = [...]string{"none", "reserved", "running", "lapsed", "done", "mismatch"}

// String returns the state in one word.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown state"
}
