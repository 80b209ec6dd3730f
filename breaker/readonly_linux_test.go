package breaker

import (
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// onReadOnlyPage returns a copy of the circuit, and of its family, in memory
// that faults when written to.
func onReadOnlyPage(t *testing.T, c *Circuit) *Circuit {
	t.Helper()
	page, err := syscall.Mmap(-1, 0, syscall.Getpagesize(), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(page); err != nil {
			t.Error(err)
		}
		runtime.KeepAlive(c) // holds what the copy points to
	})
	family, circuit := (*Family)(unsafe.Pointer(&page[0])), (*Circuit)(unsafe.Pointer(&page[1024]))
	raw := func(p unsafe.Pointer, n uintptr) []byte { return unsafe.Slice((*byte)(p), n) }
	copy(raw(unsafe.Pointer(family), unsafe.Sizeof(*family)), raw(unsafe.Pointer(c.fam), unsafe.Sizeof(*family)))
	copy(raw(unsafe.Pointer(circuit), unsafe.Sizeof(*circuit)), raw(unsafe.Pointer(c), unsafe.Sizeof(*circuit)))
	circuit.fam = family
	if err := syscall.Mprotect(page, syscall.PROT_READ); err != nil {
		t.Fatal(err)
	}
	return circuit
}

// faults runs f and reports whether it panicked, be it by a write fault or by
// the dead clock.
func faults(f func()) (panicked any) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { panicked = recover() }()
	f()
	return nil
}

func TestHealthyPathWritesNothingAndReadsNoClock(t *testing.T) {
	healthy := func(c *Circuit) func() {
		return func() {
			now := time.Now()
			for range 1000 {
				p, _, ok := c.TryAcquire(now)
				if !ok {
					t.Error("rejected")
				}
				p.Done(Report{Result: Success, Start: now, Elapsed: time.Millisecond})
				p, err := c.Acquire()
				if err != nil {
					t.Error(err)
				}
				p.Done(Report{Result: Success})
				p, _, _ = c.TryAcquire(now)
				p.Done(Report{Result: Ignored})
				if c.State() != Closed || !c.Idle() {
					t.Error("not healthy")
				}
			}
		}
	}
	for _, rule := range []Rule{CUSUM{}, Consecutive{}, Never{}} {
		for name, cfg := range map[string]Config{
			"plain": {Rule: rule, Clock: deadClock{}},
			"slow":  {Rule: rule, Clock: deadClock{}, SlowCall: time.Second},
		} {
			t.Run(rule.String()+"/"+name, func(t *testing.T) {
				made, err := New("x", cfg)
				if err != nil {
					t.Fatal(err)
				}
				c := onReadOnlyPage(t, made)
				if p := faults(healthy(c)); p != nil {
					t.Fatalf("serial: %v", p)
				}
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(func() {
						if p := faults(healthy(c)); p != nil {
							t.Errorf("parallel: %v", p)
						}
					})
				}
				wg.Wait()

				// The proof can fail: what must write does fault here.
				if raceEnabled {
					return
				}
				c = onReadOnlyPage(t, &Circuit{fam: livelyFamily(t, cfg)})
				p, _, _ := c.TryAcquire(time.Now())
				if faults(func() { p.Done(Report{Result: Failure}) }) == nil {
					t.Error("a failure did not fault: the page is not read-only")
				}
				p, _, _ = made.TryAcquire(time.Now())
				if faults(func() { p.Done(Report{Result: Failure}) }) == nil {
					t.Error("a failure did not panic: the clock is not dead")
				}
			})
		}
	}
}

// livelyFamily is of the same configuration with a clock that works.
func livelyFamily(t *testing.T, cfg Config) *Family {
	t.Helper()
	cfg.Clock = nil
	f, err := NewFamily(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestHealthyPathAfterRecovery(t *testing.T) {
	// The fast path comes back once failures are off the record and the ramp is
	// over; a circuit that has been through that passes the same proof.
	clk := newHandClock()
	made, err := New("x", Config{Clock: clk})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Circuit: made, t: t, clock: clk}
	r.call(4, Failure)
	r.want(Open)
	r.advance(time.Second)
	r.call(1, Success)
	r.advance(10 * time.Second)
	r.call(1, Failure)
	r.call(10, Success)
	c := onReadOnlyPage(t, made)
	if p := faults(func() {
		p, err := c.Acquire()
		if err != nil {
			t.Error(err)
		}
		p.Done(Report{Result: Success})
	}); p != nil {
		t.Fatal(p)
	}
}
