package promwrap

import (
	"strings"
	"sync"
	"sync/atomic"
)

// others is the name of what is beyond a bound.
const others = "(others)"

// table is rows by name, of which there are at most so many, and one more for
// the others. A row that is there is found without a lock.
type table[T any] struct {
	most int
	row  func(name string) *T

	rows atomic.Pointer[map[string]*T]
	mu   sync.Mutex // to replace rows
}

func newTable[T any](most int, row func(name string) *T) *table[T] {
	t := &table[T]{most: most, row: row}
	t.rows.Store(&map[string]*T{})
	return t
}

// counters is a table of counters.
func counters(most int) *table[atomic.Uint64] {
	return newTable(most, func(string) *atomic.Uint64 { return new(atomic.Uint64) })
}

// get returns the row of a name, made at its first use.
func (t *table[T]) get(name string) *T {
	if r := (*t.rows.Load())[name]; r != nil {
		return r
	}
	name = strings.ToValidUTF8(name, "\uFFFD") // as Prometheus wants it
	t.mu.Lock()
	defer t.mu.Unlock()
	old := *t.rows.Load()
	if r := old[name]; r != nil {
		return r
	}
	if len(old) >= t.most {
		if r := old[others]; r != nil {
			return r
		}
		name = others
	}
	name = strings.Clone(name) // it may be part of something large
	next := make(map[string]*T, len(old)+1)
	for k, v := range old {
		next[k] = v
	}
	next[name] = t.row(name)
	t.rows.Store(&next)
	return next[name]
}

// list is the rows there are.
func (t *table[T]) list() map[string]*T { return *t.rows.Load() }

// keep drops the rows of names that are not kept.
func (t *table[T]) keep(kept func(name string) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := make(map[string]*T)
	for name, r := range *t.rows.Load() {
		if name == others || kept(name) {
			next[name] = r
		}
	}
	t.rows.Store(&next)
}
