package breaker

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// heapOf returns the bytes of heap that produce leaves behind.
func heapOf(t *testing.T, produce func() any) uint64 {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector changes sizes")
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	kept := produce()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(kept)
	return after.HeapAlloc - before.HeapAlloc
}

func TestSizeOfABreaker(t *testing.T) {
	const n = 20_000
	pointer := uint64(8) // of the slice that holds them
	f, err := NewFamily(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		most uint64
		make func() *Circuit
	}{
		{"New", 256, func() *Circuit {
			c, err := New("x", Config{})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}},
		{"Family.New", 64, func() *Circuit { return f.New("x").(*Circuit) }},
		{"Family.New, busy", 64, func() *Circuit {
			c := f.New("x").(*Circuit)
			p, _ := c.Acquire()
			p.Done(Report{Result: Failure})
			return c
		}},
		{"Family.New, has been open", 256, func() *Circuit {
			c := f.New("x").(*Circuit)
			c.Trip(Reason{})
			c.Reset(Reason{})
			return c
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := heapOf(t, func() any {
				all := make([]*Circuit, n)
				for i := range all {
					all[i] = row.make()
				}
				return all
			})/n - pointer
			t.Logf("%d bytes", got)
			if got > row.most {
				t.Errorf("%d bytes a breaker, want at most %d", got, row.most)
			}
		})
	}
}

func TestGroupIsBounded(t *testing.T) {
	const keys = 1_000_000
	var g *Group
	got := heapOf(t, func() any {
		var err error
		if g, err = NewGroup(GroupConfig{Max: 10_000}); err != nil {
			t.Fatal(err)
		}
		for i := range keys {
			b := g.Get(fmt.Sprintf("tenant-%d", i))
			if i%3 == 0 { // some are not idle
				b.(Tripper).Trip(Reason{})
			}
		}
		return g
	})
	t.Logf("%d bytes for %d breakers", got, g.Len())
	if got > 8<<20 {
		t.Errorf("%d bytes after %d keys, want at most 8 MB", got, keys)
	}
	if g.Len() != 10_000 {
		t.Errorf("%d breakers, want 10000", g.Len())
	}
}

func TestAdmissionAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := newRig(t, Config{Rule: CUSUM{}, Ramp: time.Second})
	g, err := NewGroup(GroupConfig{})
	if err != nil {
		t.Fatal(err)
	}
	g.Get("there")
	free := func(name string, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
	try := func() {
		p, _, _ := r.TryAcquire(r.clock.Now())
		p.Done(Report{Result: Success})
	}
	free("a healthy call", try)
	free("a healthy Acquire", func() { p, _ := r.Acquire(); p.Done(Report{Result: Success}) })
	free("a failure and what takes it off the record", func() {
		for i := range 10 {
			p, _, _ := r.TryAcquire(time.Time{})
			p.Done(Report{Result: []Result{Failure, Success}[min(i, 1)]})
		}
	})
	free("Get", func() { g.Get("there") })
	r.Trip(Reason{})
	free("a rejection", try)
	r.Circuit.fam.onEvent = nil // events may allocate
	r.advance(time.Second)
	free("a probe", func() {
		p, _, _ := r.TryAcquire(r.clock.Now())
		p.Done(Report{})
	})
	r.admit()
	free("a rejection in half-open", try)
	r.Reset(Reason{})
	r.ontoRamp()
	free("the ramp", try)
	w, err := New("x", Config{Rule: Rate{}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New("x", Config{Rule: Count{}})
	if err != nil {
		t.Fatal(err)
	}
	free("a windowed call", func() {
		for _, b := range []*Circuit{w, c} {
			p, _, _ := b.TryAcquire(time.Time{})
			p.Done(Report{Result: Success})
		}
	})
}

// ontoRamp takes a closed breaker through open onto the ramp, without events.
func (r *rig) ontoRamp() {
	r.Trip(Reason{})
	r.advance(2 * r.fam.set.Load().openMax)
	p, _, _ := r.TryAcquire(r.clock.Now())
	p.Done(Report{Result: Success})
	r.want(Closed)
}
