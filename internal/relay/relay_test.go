package relay

import (
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/holdfast-go/holdfast/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// Without a listener nothing is kept.
func TestNobodyListens(t *testing.T) {
	var r Relay[int]
	r.Add(1)
	r.Drain()
	if len(r.queue) != 0 || r.waiting.Load() != 0 {
		t.Errorf("%d events are queued for nobody", len(r.queue))
	}
}

// What a listener adds comes after what is queued, and not within its call.
func TestTheListenerAdds(t *testing.T) {
	var r Relay[int]
	var heard []int
	r.Listen = func(n int) {
		if n < 10 {
			r.Add(10 * n)
			r.Drain()
		}
		heard = append(heard, n)
	}
	r.Add(1)
	r.Add(2)
	r.Drain()
	if want := []int{1, 2, 10, 20}; !slices.Equal(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
	if r.waiting.Load() != 0 {
		t.Errorf("%d waiting, want none", r.waiting.Load())
	}
}

// A listener that panics or ends its goroutine loses its own event only.
func TestTheListenerLeaves(t *testing.T) {
	for name, leave := range map[string]func(){"panic": func() { panic("listener") }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			var r Relay[int]
			var heard []int
			r.Listen = func(n int) {
				heard = append(heard, n)
				if n == 1 {
					leave()
				}
			}
			r.Add(1)
			r.Add(2)
			var wg sync.WaitGroup
			wg.Go(func() {
				defer func() { _ = recover() }()
				r.Drain()
			})
			wg.Wait()
			r.Drain()
			if want := []int{1, 2}; !slices.Equal(heard, want) {
				t.Errorf("heard %v, want %v", heard, want)
			}
		})
	}
}

// Of many who add and drain at once, nothing is lost, and each is heard in its
// own order and alone.
func TestManyTellers(t *testing.T) {
	const tellers, each = 8, 1000
	var r Relay[[2]int]
	var next [tellers]int // no lock: the race detector sees two calls at once
	r.Listen = func(e [2]int) {
		if e[1] != next[e[0]] {
			t.Errorf("heard %v, want %d", e, next[e[0]])
		}
		next[e[0]] = e[1] + 1
	}
	var wg sync.WaitGroup
	for i := range tellers {
		wg.Go(func() {
			for k := range each {
				r.Add([2]int{i, k})
				r.Drain()
			}
		})
	}
	wg.Wait()
	r.Drain()
	for i, n := range next {
		if n != each {
			t.Errorf("heard %d of %d from %d", n, each, i)
		}
	}
}
