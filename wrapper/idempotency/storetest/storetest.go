// Package storetest is the contract of an idempotency.Store as tests: run it
// against your own.
//
//	func TestContract(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) idempotency.Store { return mystore.New(…) })
//	}
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/wrapper/idempotency"
)

// Run runs the contract. Each of its tests asks open for a store; it may be
// the same one, or another process's view of it, since tests use keys of their own.
// Leases and lifetimes of some 100 ms are waited for.
func Run(t *testing.T, open func(t *testing.T) idempotency.Store) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(*suite)
	}{
		{"a free key is reserved", (*suite).free},
		{"a running key", (*suite).running},
		{"another payload", (*suite).mismatch},
		{"an answer is kept as it is", (*suite).answers},
		{"a store does not share memory", (*suite).memory},
		{"the same owner may ask again", (*suite).again},
		{"a lapsed key", (*suite).lapsed},
		{"a lapsed key is taken over", (*suite).takenOver},
		{"the old owner is fenced", (*suite).fenced},
		{"a late answer is kept", (*suite).late},
		{"an abandoned key", (*suite).abandoned},
		{"a released key is free", (*suite).released},
		{"only the owner", (*suite).stranger},
		{"a key expires", (*suite).expires},
		{"an expired answer", (*suite).expiredAnswer},
		{"one of many wins", (*suite).race},
		{"one of many takes over", (*suite).raceOver},
		{"any history is one of the model's", (*suite).model},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(&suite{T: t, store: open(t)})
		})
	}
}

// suite is one test.
type suite struct {
	*testing.T
	store idempotency.Store
}

const (
	long  = time.Hour // leases and lifetimes that do not end here
	short = 100 * time.Millisecond
)

func unique[T ~[16]byte | ~[32]byte]() (u T) {
	switch p := any(&u).(type) {
	case *idempotency.Key:
		_, _ = rand.Read(p[:])
	case *idempotency.Owner:
		_, _ = rand.Read(p[:])
	case *[32]byte:
		_, _ = rand.Read(p[:])
	}
	return u
}

func newKey() idempotency.Key     { return unique[idempotency.Key]() }
func newOwner() idempotency.Owner { return unique[idempotency.Owner]() }

// want is a reservation of the payload by a new owner.
func want(payload [32]byte) idempotency.Reservation {
	return idempotency.Reservation{Owner: newOwner(), Fingerprint: payload, Lease: long, Lifetime: 2 * long}
}

func (s *suite) reserve(key idempotency.Key, w idempotency.Reservation) idempotency.Found {
	s.Helper()
	found, err := s.store.Reserve(s.Context(), key, w)
	if err != nil {
		s.Fatalf("Reserve: %v", err)
	}
	return found
}

// expect reserves, and fails the test if that ends otherwise.
func (s *suite) expect(state idempotency.State, key idempotency.Key, w idempotency.Reservation) idempotency.Found {
	s.Helper()
	found := s.reserve(key, w)
	if found.State != state {
		s.Fatalf("Reserve: %v, want %v", found.State, state)
	}
	if state == idempotency.Reserved {
		if found.Token <= 0 || found.Run < 1 {
			s.Errorf("token %d, run %d: want both", found.Token, found.Run)
		}
	} else if state != idempotency.Done && len(found.Answer) > 0 {
		s.Errorf("%v with an answer: %q", state, found.Answer)
	}
	return found
}

// until asks until the key stands so.
func (s *suite) until(state idempotency.State, key idempotency.Key, w idempotency.Reservation) idempotency.Found {
	s.Helper()
	for range 1000 {
		found := s.reserve(key, w)
		if found.State == state {
			return found
		}
		<-time.After(10 * time.Millisecond)
	}
	s.Fatalf("in 10 s not %v", state)
	return idempotency.Found{}
}

func (s *suite) complete(key idempotency.Key, owner idempotency.Owner, answer string) {
	s.Helper()
	if err := s.store.Complete(s.Context(), key, owner, []byte(answer)); err != nil {
		s.Fatalf("Complete: %v", err)
	}
}

func (s *suite) done(key idempotency.Key, payload [32]byte, answer string) {
	s.Helper()
	if found := s.expect(idempotency.Done, key, want(payload)); string(found.Answer) != answer {
		s.Errorf("answer %q, want %q", found.Answer, answer)
	}
}

func (s *suite) free() {
	key, w := newKey(), want(unique[[32]byte]())
	found := s.expect(idempotency.Reserved, key, w)
	if found.Run != 1 {
		s.Errorf("run %d, want 1", found.Run)
	}
	if d := w.Lifetime - found.Expires; d < 0 || d > time.Minute {
		s.Errorf("expires in %v of %v", found.Expires, w.Lifetime)
	}
	// Keys that differ in one bit have nothing to do with each other.
	for i := range key {
		other := key
		other[i] ^= 1
		s.expect(idempotency.Reserved, other, want(w.Fingerprint))
	}
}

func (s *suite) running() {
	key, w := newKey(), want(unique[[32]byte]())
	s.expect(idempotency.Reserved, key, w)
	other := want(w.Fingerprint)
	found := s.expect(idempotency.Running, key, other)
	if d := w.Lifetime - found.Expires; d < 0 || d > time.Minute {
		s.Errorf("expires in %v of %v", found.Expires, w.Lifetime)
	}
	other.Rerun = true
	s.expect(idempotency.Running, key, other) // its lease is not over
}

func (s *suite) mismatch() {
	key, w := newKey(), want(unique[[32]byte]())
	other := want(unique[[32]byte]())
	other.Rerun = true
	s.expect(idempotency.Reserved, key, w)
	s.expect(idempotency.Mismatch, key, other)
	s.complete(key, w.Owner, "answer")
	s.expect(idempotency.Mismatch, key, other)
	s.done(key, w.Fingerprint, "answer")

	key = newKey() // and of a lapsed one
	s.expect(idempotency.Reserved, key, w)
	s.abandon(key, w.Owner)
	s.expect(idempotency.Mismatch, key, other)
}

func (s *suite) abandon(key idempotency.Key, owner idempotency.Owner) {
	s.Helper()
	if err := s.store.Abandon(s.Context(), key, owner); err != nil {
		s.Fatalf("Abandon: %v", err)
	}
}

func (s *suite) release(key idempotency.Key, owner idempotency.Owner) {
	s.Helper()
	if err := s.store.Release(s.Context(), key, owner); err != nil {
		s.Fatalf("Release: %v", err)
	}
}

func (s *suite) answers() {
	binary := make([]byte, 1<<20)
	_, _ = rand.Read(binary)
	for _, answer := range []string{"answer", "", "\x00", "\xff\xfe'\"\\\r\n%s$1", string(binary)} {
		key, w := newKey(), want(unique[[32]byte]())
		s.expect(idempotency.Reserved, key, w)
		s.complete(key, w.Owner, answer)
		s.done(key, w.Fingerprint, answer)
		s.complete(key, w.Owner, answer) // asked again
		s.done(key, w.Fingerprint, answer)
		w.Rerun = true
		s.expect(idempotency.Done, key, w) // also for its owner
	}
}

func (s *suite) memory() {
	key, w := newKey(), want(unique[[32]byte]())
	s.expect(idempotency.Reserved, key, w)
	s.complete(key, w.Owner, "answer")
	first := s.expect(idempotency.Done, key, want(w.Fingerprint))
	for range 100 {
		k, o := newKey(), want(w.Fingerprint)
		s.expect(idempotency.Reserved, k, o)
		s.complete(k, o.Owner, "xxxxxx")
	}
	if !bytes.Equal(first.Answer, []byte("answer")) {
		s.Errorf("an answer changed under its reader: %q", first.Answer)
	}
}

func (s *suite) again() {
	key, w := newKey(), want(unique[[32]byte]())
	first := s.expect(idempotency.Reserved, key, w)
	second := s.expect(idempotency.Reserved, key, w)
	if second.Token != first.Token || second.Run != 1 {
		s.Errorf("token %d run %d, then %d run %d", first.Token, first.Run, second.Token, second.Run)
	}
}

func (s *suite) lapsed() {
	key, w := newKey(), want(unique[[32]byte]())
	w.Lease = short
	s.expect(idempotency.Reserved, key, w)
	s.until(idempotency.Lapsed, key, want(w.Fingerprint))
	s.expect(idempotency.Lapsed, key, want(w.Fingerprint))
}

func (s *suite) takenOver() {
	key, w := newKey(), want(unique[[32]byte]())
	w.Lease = short
	token := s.expect(idempotency.Reserved, key, w).Token
	for run := 2; run < 5; run++ {
		next := want(w.Fingerprint)
		next.Rerun, next.Lease = true, short
		found := s.until(idempotency.Reserved, key, next)
		if found.Token <= token || found.Run != run {
			s.Errorf("token %d after %d, run %d: want more, %d", found.Token, token, found.Run, run)
		}
		token = found.Token
	}
}

func (s *suite) fenced() {
	key, w := newKey(), want(unique[[32]byte]())
	s.expect(idempotency.Reserved, key, w)
	s.abandon(key, w.Owner)
	next := want(w.Fingerprint)
	next.Rerun = true
	s.expect(idempotency.Reserved, key, next)

	s.refused(key, w.Owner)
	s.abandon(key, w.Owner)
	s.release(key, w.Owner)
	s.expect(idempotency.Running, key, want(w.Fingerprint)) // nothing came of these
	s.complete(key, next.Owner, "next")
	s.refused(key, w.Owner)
	s.done(key, w.Fingerprint, "next")
}

func (s *suite) refused(key idempotency.Key, owner idempotency.Owner) {
	s.Helper()
	if err := s.store.Complete(s.Context(), key, owner, []byte("stale")); !errors.Is(err, idempotency.ErrFenced) {
		s.Errorf("Complete: %v, want ErrFenced", err)
	}
}

func (s *suite) late() {
	key, w := newKey(), want(unique[[32]byte]())
	s.expect(idempotency.Reserved, key, w)
	s.abandon(key, w.Owner)
	s.expect(idempotency.Lapsed, key, want(w.Fingerprint))
	s.complete(key, w.Owner, "late")
	s.done(key, w.Fingerprint, "late")
}

func (s *suite) abandoned() {
	key, w := newKey(), want(unique[[32]byte]())
	s.abandon(key, w.Owner) // there is nothing
	s.expect(idempotency.Reserved, key, w)
	s.abandon(key, w.Owner)
	s.abandon(key, w.Owner)
	s.expect(idempotency.Lapsed, key, want(w.Fingerprint))
	s.complete(key, w.Owner, "answer")
	s.abandon(key, w.Owner)
	s.done(key, w.Fingerprint, "answer")
}

func (s *suite) released() {
	key, w := newKey(), want(unique[[32]byte]())
	s.release(key, w.Owner) // there is nothing
	s.expect(idempotency.Reserved, key, w)
	s.release(key, w.Owner)
	s.release(key, w.Owner)
	s.refused(key, w.Owner)
	other := want(unique[[32]byte]()) // any payload
	if found := s.expect(idempotency.Reserved, key, other); found.Run != 1 {
		s.Errorf("run %d, want 1", found.Run)
	}
	s.complete(key, other.Owner, "answer")
	s.release(key, other.Owner) // too late
	s.done(key, other.Fingerprint, "answer")
}

func (s *suite) stranger() {
	key, w := newKey(), want(unique[[32]byte]())
	s.refused(key, w.Owner) // there is nothing
	s.expect(idempotency.Reserved, key, w)
	nobody := newOwner()
	s.refused(key, nobody)
	s.release(key, nobody)
	s.abandon(key, nobody)
	s.expect(idempotency.Running, key, want(w.Fingerprint))
	s.complete(key, w.Owner, "answer")
	s.refused(key, nobody)
	s.done(key, w.Fingerprint, "answer")
}

func (s *suite) expires() {
	key, w := newKey(), want(unique[[32]byte]())
	w.Lease, w.Lifetime = short, short
	first := s.expect(idempotency.Reserved, key, w)
	other := want(unique[[32]byte]()) // any payload, and no Rerun
	found := s.until(idempotency.Reserved, key, other)
	if found.Run != 1 || found.Token <= first.Token {
		s.Errorf("run %d, token %d after %d; want 1, and more", found.Run, found.Token, first.Token)
	}
	s.refused(key, w.Owner)
}

func (s *suite) expiredAnswer() {
	key, w := newKey(), want(unique[[32]byte]())
	w.Lease, w.Lifetime = time.Second, time.Second
	s.expect(idempotency.Reserved, key, w)
	s.complete(key, w.Owner, "answer")
	s.until(idempotency.Reserved, key, want(unique[[32]byte]()))
}

// crowd has n reserve the key at the same time, and returns what they found.
func (s *suite) crowd(n int, key idempotency.Key, w func() idempotency.Reservation) map[idempotency.State]int {
	s.Helper()
	var (
		crowd  sync.WaitGroup
		mu     sync.Mutex
		states = make(map[idempotency.State]int)
		gate   = make(chan struct{})
	)
	for range n {
		w := w()
		crowd.Go(func() {
			<-gate
			found, err := s.store.Reserve(context.WithoutCancel(s.Context()), key, w)
			if err != nil {
				s.Errorf("Reserve: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			states[found.State]++
		})
	}
	close(gate)
	crowd.Wait()
	return states
}

func (s *suite) race() {
	payload := unique[[32]byte]()
	for range 10 {
		key := newKey()
		got := s.crowd(16, key, func() idempotency.Reservation { return want(payload) })
		if got[idempotency.Reserved] != 1 || got[idempotency.Running] != 15 {
			s.Errorf("16 at once: %v, want one reserved, the others running", got)
		}
		got = s.crowd(16, newKey(), func() idempotency.Reservation { return want(unique[[32]byte]()) })
		if got[idempotency.Reserved] != 1 || got[idempotency.Mismatch] != 15 {
			s.Errorf("16 payloads at once: %v, want one reserved, the others a mismatch", got)
		}
	}
}

func (s *suite) raceOver() {
	for range 10 {
		key, w := newKey(), want(unique[[32]byte]())
		s.expect(idempotency.Reserved, key, w)
		s.abandon(key, w.Owner)
		got := s.crowd(16, key, func() idempotency.Reservation {
			next := want(w.Fingerprint)
			next.Rerun = true
			return next
		})
		if got[idempotency.Reserved] != 1 || got[idempotency.Running] != 15 {
			s.Errorf("16 at once: %v, want one reserved, the others running", got)
		}
		s.refused(key, w.Owner)
	}
}

// model plays random histories on few keys against the few lines that a store
// comes to when time stands still.
func (s *suite) model() {
	type record struct {
		payload   [32]byte
		owner     idempotency.Owner
		token     int64
		run       int
		lapsed    bool
		completed bool
		answer    string
	}
	var (
		keys     = []idempotency.Key{newKey(), newKey(), newKey()}
		payloads = [][32]byte{unique[[32]byte](), unique[[32]byte]()}
		owners   = []idempotency.Owner{newOwner(), newOwner(), newOwner(), newOwner()}
		records  = make(map[idempotency.Key]*record)
		random   [4]byte
		history  []byte
	)
	for range 400 {
		_, _ = rand.Read(random[:])
		history = slices.Concat(history, []byte{' ', "RRRRCAAX"[random[0]%8], '0' + random[1]%3, 'a' + random[2]%4})
		key, owner, payload := keys[random[1]%3], owners[random[2]%4], payloads[min(random[3]%8, 1)]
		rec := records[key]
		mine := rec != nil && rec.owner == owner
		switch op := random[0] % 8; op {
		case 0, 1, 2, 3:
			if mine && rec.lapsed {
				continue // an owner is one execution, and does not ask when it has ended
			}
			w := idempotency.Reservation{Owner: owner, Fingerprint: payload, Lease: long, Lifetime: 2 * long, Rerun: op > 1}
			found := s.reserve(key, w)
			state := idempotency.Reserved
			switch {
			case rec == nil:
				rec = &record{payload: payload, owner: owner, token: found.Token, run: 1}
				records[key] = rec
			case rec.payload != payload:
				state = idempotency.Mismatch
			case rec.completed:
				state = idempotency.Done
			case mine: // asked again
			case !rec.lapsed:
				state = idempotency.Running
			case !w.Rerun:
				state = idempotency.Lapsed
			default:
				if found.Token <= rec.token {
					s.Errorf("token %d after %d", found.Token, rec.token)
				}
				*rec = record{payload: payload, owner: owner, token: found.Token, run: rec.run + 1}
			}
			if found.State != state {
				s.Fatalf("Reserve: %v, want %v, after %s", found.State, state, history)
			}
			if state == idempotency.Reserved && (found.Token != rec.token || found.Run != rec.run) {
				s.Fatalf("token %d run %d, want %d, %d, after %s", found.Token, found.Run, rec.token, rec.run, history)
			}
			if string(found.Answer) != rec.answer && state == idempotency.Done {
				s.Fatalf("answer %q, want %q", found.Answer, rec.answer)
			}
		case 4:
			answer := string(random[:])
			err := s.store.Complete(s.Context(), key, owner, []byte(answer))
			if errors.Is(err, idempotency.ErrFenced) == mine || (mine && err != nil) {
				s.Fatalf("Complete: %v; its own: %v", err, mine)
			}
			if mine && !rec.completed {
				rec.completed, rec.answer = true, answer
			}
		case 5, 6:
			s.abandon(key, owner)
			if mine {
				rec.lapsed = true
			}
		case 7:
			s.release(key, owner)
			if mine && !rec.completed {
				delete(records, key)
			}
		}
	}
}
