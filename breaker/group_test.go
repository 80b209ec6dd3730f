package breaker

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func newGroup(t *testing.T, cfg GroupConfig) *Group {
	t.Helper()
	g, err := NewGroup(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// keys returns what the group holds, sorted.
func keys(g *Group) string {
	var all []string
	for key := range g.All() {
		all = append(all, key)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestGroupKeepsBreakers(t *testing.T) {
	g := newGroup(t, GroupConfig{})
	a := g.Get("a")
	if g.Get("a") != a || g.Get("b") == a {
		t.Error("not one breaker a key")
	}
	if c, ok := a.(*Circuit); !ok || c.Key() != "a" {
		t.Errorf("the default engine makes %T", a)
	}
	if g.Len() != 2 || keys(g) != "a b" {
		t.Errorf("%d breakers: %s", g.Len(), keys(g))
	}
}

func TestGroupEviction(t *testing.T) {
	for _, row := range []struct {
		name  string
		max   int
		steps string // a letter is a Get, after ! it is tripped, after ? it fails once
		want  string
	}{
		{"the first to come", 3, "a b c d", "b c d"},
		{"least recently used", 3, "a b c a d", "a c d"},
		{"exactly so", 3, "a b c b a c d", "a c d"},
		{"open ones stay", 3, "!a !b c d e", "a b e"},
		{"failures on record stay", 3, "?a b c d", "a c d"},
		{"the oldest when none is idle", 3, "!a !b !c !d", "b c d"},
		{"again", 3, "!a !b !c a !d", "a c d"},
		{"one", 1, "!a b", "b"},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := newGroup(t, GroupConfig{Max: row.max})
			for step := range strings.FieldsSeq(row.steps) {
				b := g.Get(strings.TrimLeft(step, "!?"))
				switch step[0] {
				case '!':
					b.(Tripper).Trip(Reason{})
				case '?':
					p, _, _ := b.TryAcquire(time.Now())
					p.Done(Report{Result: Failure})
				}
			}
			if got := keys(g); got != row.want {
				t.Errorf("holds %s, want %s", got, row.want)
			}
		})
	}
}

func TestGroupForgetsTheStateOfTheEvicted(t *testing.T) {
	g := newGroup(t, GroupConfig{Max: 1})
	old := g.Get("a")
	old.(Tripper).Trip(Reason{})
	g.Get("b")
	if got := g.Get("a").State(); got != Closed {
		t.Errorf("%v, want closed: evicted breakers start anew", got)
	}
	if old.State() != Open {
		t.Error("the evicted breaker changed")
	}
}

// foreign is a breaker of another engine; idle says so itself.
type foreign struct {
	Breaker
	key  string
	idle bool
}

func (f *foreign) Idle() bool { return f.idle }

type foreignEngine struct{}

func (foreignEngine) New(key string) Breaker {
	return &foreign{key: key, idle: strings.HasPrefix(key, "idle")}
}

func TestGroupOfAnotherEngine(t *testing.T) {
	g := newGroup(t, GroupConfig{Engine: foreignEngine{}, Max: 2})
	if b, ok := g.Get("busy").(*foreign); !ok || b.key != "busy" {
		t.Fatalf("the engine was not asked: %v", b)
	}
	g.Get("idle")
	g.Get("new")
	if got := keys(g); got != "busy new" {
		t.Errorf("holds %s, want the idle one evicted", got)
	}
}

func TestGroupConfigCheck(t *testing.T) {
	for max, want := range map[int]string{-1: "GroupConfig.Max", 1<<24 + 1: "GroupConfig.Max", 0: "", 1: "", 300: ""} {
		if _, err := NewGroup(GroupConfig{Max: max}); fieldsOf(err) != want {
			t.Errorf("Max %d: %v", max, err)
		}
	}
}

func TestGroupAcrossGoroutines(t *testing.T) {
	const maximum = 300
	g := newGroup(t, GroupConfig{Max: maximum})
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for i := range 5_000 {
				key := fmt.Sprint(i % 500)
				b := g.Get(key)
				if b.(*Circuit).Key() != key {
					t.Errorf("the breaker of %q is that of %q", key, b.(*Circuit).Key())
				}
				if i%7 == 0 {
					b.(Tripper).Trip(Reason{})
				}
				if n := g.Len(); n > maximum {
					t.Errorf("%d breakers, want at most %d", n, maximum)
				}
				if i%1000 == 0 {
					for range g.All() {
						break
					}
				}
			}
		})
	}
	wg.Wait()
	n := 0
	for range g.All() {
		n++
	}
	if n != maximum || g.Len() != maximum {
		t.Errorf("%d breakers and Len %d, want %d", n, g.Len(), maximum)
	}
}

// All goroutines that ask for a new key at once get the same breaker.
func TestGroupMakesOneBreakerAKey(t *testing.T) {
	for range 200 {
		g := newGroup(t, GroupConfig{})
		got := make([]Breaker, 8)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() { got[i] = g.Get("x") })
		}
		wg.Wait()
		for _, b := range got[1:] {
			if b != got[0] {
				t.Fatal("two breakers for one key")
			}
		}
	}
}
