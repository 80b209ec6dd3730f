package idempotency

import (
	"container/heap"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// MemoryConfig describes a [Memory].
type MemoryConfig struct {
	// MaxBytes is how much the records may take in all, about. When it is
	// used up no new key is taken (ErrFull) until others expire: to forget one early
	// would break what was promised for it. Answers of requests that are
	// running by then are still kept. 0 or less: 64 MiB, which is about 150 000
	// keys with small answers.
	MaxBytes int64
}

// Memory is a Store in the memory of one process, which other processes do not
// see and a restart empties. It has neither goroutines nor timers: what has
// expired is removed by the reservations that come after. Make one by
// [NewMemory].
type Memory struct {
	max    int64
	used   atomic.Int64
	token  atomic.Int64 // the latest
	shards [64]shard
}

// perRecord is what a record takes besides its answer: itself, and its places
// in a map and a heap.
const perRecord = 320

type shard struct {
	mu      sync.Mutex
	records map[Key]*record
	oldest  expiries
	_       [64]byte // shards do not share cache lines
}

type record struct {
	key     Key
	payload [32]byte
	owner   Owner
	token   int64
	run     int
	lease   time.Time // when it ends
	expires time.Time
	answer  []byte // nil: none
	at      int    // in expiries
}

// NewMemory makes a Memory.
func NewMemory(cfg MemoryConfig) *Memory {
	m := &Memory{max: cfg.MaxBytes}
	if m.max <= 0 {
		m.max = 64 << 20
	}
	for i := range m.shards {
		m.shards[i].records = make(map[Key]*record)
	}
	return m
}

func (m *Memory) shard(key Key) *shard { return &m.shards[key[0]%64] }

// Reserve implements [Store].
func (m *Memory) Reserve(_ context.Context, key Key, want Reservation) (Found, error) {
	now := time.Now()
	if m.full() {
		m.sweepAll(now)
	}
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	m.sweep(s, now)
	rec := s.records[key]
	if rec != nil && !now.Before(rec.expires) {
		m.remove(s, rec)
		rec = nil
	}
	run := 1
	if rec != nil {
		found := Found{Expires: rec.expires.Sub(now)}
		switch {
		case rec.payload != want.Fingerprint:
			found.State = Mismatch
			return found, nil
		case rec.answer != nil:
			found.State, found.Answer = Done, rec.answer
			return found, nil
		case rec.owner == want.Owner:
			found.State, found.Token, found.Run = Reserved, rec.token, rec.run
			return found, nil
		case now.Before(rec.lease):
			found.State = Running
			return found, nil
		case !want.Rerun:
			found.State = Lapsed
			return found, nil
		}
		run = rec.run + 1
		m.remove(s, rec)
	} else if m.full() {
		return Found{}, ErrFull
	}
	token := m.next(now)
	rec = &record{
		key: key, payload: want.Fingerprint, owner: want.Owner, token: token, run: run,
		lease: now.Add(want.Lease), expires: now.Add(want.Lifetime),
	}
	s.records[key] = rec
	heap.Push(&s.oldest, rec)
	m.used.Add(perRecord)
	return Found{State: Reserved, Token: token, Run: run, Expires: want.Lifetime}, nil
}

func (m *Memory) full() bool { return m.used.Load()+perRecord > m.max }

// next is a token: the time, for it is to be larger than those of a process
// before this one, or one more than the last.
func (m *Memory) next(now time.Time) int64 {
	for {
		last := m.token.Load()
		token := max(now.UnixMicro(), last+1)
		if m.token.CompareAndSwap(last, token) {
			return token
		}
	}
}

// Complete implements [Store].
func (m *Memory) Complete(_ context.Context, key Key, owner Owner, answer []byte) error {
	now := time.Now()
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.records[key]
	switch {
	case rec == nil || rec.owner != owner || !now.Before(rec.expires):
		return ErrFenced
	case rec.answer != nil: // asked again
		return nil
	case answer == nil:
		answer = []byte{}
	}
	rec.answer = answer
	m.used.Add(int64(len(answer)))
	return nil
}

// Abandon implements [Store].
func (m *Memory) Abandon(_ context.Context, key Key, owner Owner) error {
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if rec := s.records[key]; rec != nil && rec.owner == owner {
		rec.lease = time.Time{}
	}
	return nil
}

// Release implements [Store].
func (m *Memory) Release(_ context.Context, key Key, owner Owner) error {
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if rec := s.records[key]; rec != nil && rec.owner == owner && rec.answer == nil {
		m.remove(s, rec)
	}
	return nil
}

// Len is how many keys are remembered. Some of them may have expired.
func (m *Memory) Len() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += len(s.records)
		s.mu.Unlock()
	}
	return n
}

// sweep removes what has expired, a little at a time: more than a reservation
// adds. Caller holds s.mu.
func (m *Memory) sweep(s *shard, now time.Time) {
	for range 4 {
		if len(s.oldest) == 0 || now.Before(s.oldest[0].expires) {
			return
		}
		m.remove(s, s.oldest[0])
	}
}

// sweepAll is sweep everywhere, since what has expired may be anywhere.
func (m *Memory) sweepAll(now time.Time) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		m.sweep(s, now)
		s.mu.Unlock()
	}
}

// remove forgets a record. Caller holds s.mu.
func (m *Memory) remove(s *shard, rec *record) {
	delete(s.records, rec.key)
	heap.Remove(&s.oldest, rec.at)
	m.used.Add(-perRecord - int64(len(rec.answer)))
}

// expiries is a heap: the record that expires first is its first.
type expiries []*record

func (e expiries) Len() int           { return len(e) }
func (e expiries) Less(i, j int) bool { return e[i].expires.Before(e[j].expires) }
func (e expiries) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].at, e[j].at = i, j
}

// Push implements heap.Interface.
func (e *expiries) Push(x any) {
	rec := x.(*record)
	rec.at = len(*e)
	*e = append(*e, rec)
}

// Pop implements heap.Interface.
func (e *expiries) Pop() any {
	old := *e
	rec := old[len(old)-1]
	old[len(old)-1] = nil
	*e = old[:len(old)-1]
	return rec
}
