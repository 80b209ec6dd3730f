package breaker

import (
	"errors"
	"hash/maphash"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
)

// GroupConfig describes a [Group]. The zero GroupConfig is good.
type GroupConfig struct {
	// Engine makes the breakers. Nil: a Family with the zero Config.
	Engine Engine

	// Max is how many breakers the group holds, up to 1<<24. Default 10 000.
	Max int
}

// Group keeps a breaker for each key: a host, a tenant, a method. It holds at
// most Max of them, whatever keys it is asked for; how long a key may be is for
// the caller to bound. Safe for concurrent use; make one with [NewGroup].
//
// When a new key finds the group full, another goes: of the keys in its shard
// (all of them up to Max 63, some forty beyond) the least recently used of those
// that are idle, which loses nothing; if none is, the least recently used of
// all. What an open breaker loses by eviction is its state: its key starts
// anew, closed and with the shortest open time, when it is next asked for.
// Results of calls that the evicted breaker admitted still go to it, and so to
// nobody, as do the events of those who subscribed to it. Who keeps a breaker
// instead of asking for it again may hold an evicted one.
//
// A breaker of another engine counts as idle if it has a method Idle() bool
// that says so; it is called under the group's lock and must call nobody.
type Group struct {
	engine Engine
	max    int
	seed   maphash.Seed
	shards []shard // a power of two

	grow sync.Mutex   // held to add and to evict, with the shard's lock for the change itself
	n    atomic.Int64 // breakers held; written with grow held
}

type shard struct {
	mu   sync.RWMutex
	m    map[string]*member
	tick atomic.Uint64 // counts changes of who was used last
	_    [24]byte      // a shard is a cache line
}

// member is a breaker and when it was last used, in ticks of its shard.
type member struct {
	b    Breaker
	used atomic.Uint64
}

const (
	defaultMax = 10_000
	shardSize  = 32 // about
)

// NewGroup checks the configuration; the error holds [*FieldError]s.
func NewGroup(cfg GroupConfig) (*Group, error) {
	if cfg.Max == 0 {
		cfg.Max = defaultMax
	}
	var errs []error
	if cfg.Max < 1 || cfg.Max > 1<<24 {
		errs = append(errs, &FieldError{"GroupConfig.Max", cfg.Max, "1 to 16777216 (0: default 10000)"})
	}
	if cfg.Engine == nil {
		f, err := NewFamily(Config{})
		if err != nil {
			errs = append(errs, err)
		}
		cfg.Engine = f
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	n := 1
	for n*shardSize*2 <= cfg.Max {
		n *= 2
	}
	g := &Group{engine: cfg.Engine, max: cfg.Max, seed: maphash.MakeSeed(), shards: make([]shard, n)}
	for i := range g.shards {
		g.shards[i].m = make(map[string]*member)
	}
	return g, nil
}

// Get returns the breaker of the key, made if there is none. For a key that is
// there it allocates nothing and takes a read lock only.
func (g *Group) Get(key string) Breaker {
	i := int(maphash.String(g.seed, key)) & (len(g.shards) - 1)
	s := &g.shards[i]
	s.mu.RLock()
	m := s.m[key]
	s.mu.RUnlock()
	if m == nil {
		m = g.add(i, key)
	}
	s.touch(m)
	return m.b
}

// touch makes m the one used last. It writes only if another was.
func (s *shard) touch(m *member) {
	if m.used.Load() != s.tick.Load() {
		m.used.Store(s.tick.Add(1))
	}
}

// add returns the member for the key, made if nobody else was faster.
func (g *Group) add(i int, key string) *member {
	key = strings.Clone(key)              // it may be a piece of something large
	made := &member{b: g.engine.New(key)} // outside the lock: it is not our code
	s := &g.shards[i]
	g.grow.Lock()
	defer g.grow.Unlock()
	if m := s.m[key]; m != nil {
		return m
	}
	if int(g.n.Load()) >= g.max {
		g.evict(i)
	}
	s.mu.Lock()
	s.m[key] = made
	s.mu.Unlock()
	made.used.Store(s.tick.Add(1))
	g.n.Add(1)
	return made
}

// evict removes one breaker from shard i, or from the next that has any. The
// caller holds g.grow, so that the maps can be read without their locks.
func (g *Group) evict(i int) {
	for len(g.shards[i].m) == 0 {
		i = (i + 1) & (len(g.shards) - 1)
	}
	s := &g.shards[i]
	var victim string
	idle, oldest := false, ^uint64(0)
	for key, m := range s.m {
		mIdle := isIdle(m.b)
		if idle && !mIdle {
			continue
		}
		if used := m.used.Load(); mIdle && !idle || used < oldest {
			victim, idle, oldest = key, mIdle, used
		}
	}
	s.mu.Lock()
	delete(s.m, victim)
	s.mu.Unlock()
	g.n.Add(-1)
}

func isIdle(b Breaker) bool {
	if c, ok := b.(*Circuit); ok {
		return c.Idle()
	}
	i, ok := b.(interface{ Idle() bool })
	return ok && i.Idle()
}

// Len returns how many breakers the group holds.
func (g *Group) Len() int { return int(g.n.Load()) }

// All yields the keys and breakers that the group holds, in no order. What is
// added or evicted meanwhile may or may not be seen. It holds no lock while it
// yields, and does not count as use.
func (g *Group) All() iter.Seq2[string, Breaker] {
	type pair struct {
		key string
		b   Breaker
	}
	return func(yield func(string, Breaker) bool) {
		var page []pair
		for i := range g.shards {
			s := &g.shards[i]
			page = page[:0]
			s.mu.RLock()
			for key, m := range s.m {
				page = append(page, pair{key, m.b})
			}
			s.mu.RUnlock()
			for _, p := range page {
				if !yield(p.key, p.b) {
					return
				}
			}
		}
	}
}
