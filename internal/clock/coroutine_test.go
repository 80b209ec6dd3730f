package clock

import (
	"context"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"
)

// catch returns what f panicked with.
func catch(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

func explode() { panic(io.ErrUnexpectedEOF) }

func TestPanicComesOutOfWaitAndTheClockGoesOn(t *testing.T) {
	drivers := map[string]func(*Virtual){
		"Wait":     (*Virtual).Wait,
		"RunUntil": func(v *Virtual) { v.RunUntil(epoch.Add(time.Hour)) },
		"Sleep":    func(v *Virtual) { _ = v.Sleep(bg, time.Hour) },
	}
	for name, drive := range drivers {
		t.Run(name, func(t *testing.T) {
			v, j := newJournal(t)
			v.Go(func() {
				_ = v.Sleep(bg, ms)
				defer j.add("deferred")
				explode()
			})
			v.Go(func() {
				_ = v.Sleep(bg, 2*ms)
				j.add("the others go on")
			})
			p, ok := catch(func() { drive(v) }).(*PanicError)
			if !ok {
				t.Fatal("no PanicError")
			}
			if p.Value != any(io.ErrUnexpectedEOF) || !errors.Is(p, io.ErrUnexpectedEOF) {
				t.Errorf("value %v", p.Value)
			}
			if !strings.Contains(p.Error(), "explode") || !strings.Contains(p.Error(), "unexpected EOF") {
				t.Errorf("the message does not tell where: %v", p)
			}
			v.Wait()
			v.Run(func() { j.add("new ones too") })
			j.want(t, "1ms deferred", "2ms the others go on", "2ms new ones too")
			if n := len(v.timers.heap); n != 0 {
				t.Errorf("%d timers remain", n)
			}
		})
	}
}

func TestPanicInACallback(t *testing.T) {
	v, j := newJournal(t)
	v.AfterFunc(ms, func() { panic("boom") })
	v.AfterFunc(2*ms, func() { j.add("next") })
	if got := catch(v.Wait); got != "boom" {
		t.Fatalf("got %v", got)
	}
	v.Wait()
	j.want(t, "2ms next")
}

func TestPanicErrorWithoutAnError(t *testing.T) {
	if err := (&PanicError{Value: "text"}).Unwrap(); err != nil {
		t.Fatal(err)
	}
}

func TestGoexitEndsOnlyItsCoroutine(t *testing.T) {
	v, j := newJournal(t)
	for range 3 {
		v.Go(func() {
			defer func() {
				_ = v.Sleep(bg, ms) // a deferred function may block
				j.add("deferred")
			}()
			_ = v.Sleep(bg, ms)
			runtime.Goexit()
			j.add("unreachable")
		})
	}
	v.Go(func() {
		_ = v.Sleep(bg, 5*ms)
		j.add("another")
	})
	v.Run(runtime.Goexit)
	if v.Parked() != 0 {
		t.Fatalf("%d parked", v.Parked())
	}
	v.Run(func() { j.add("after") })
	j.want(t, "2ms deferred", "2ms deferred", "2ms deferred", "5ms another", "5ms after")
}

func TestGoexitWithAPanicInADeferredFunction(t *testing.T) {
	v, j := newJournal(t)
	v.Go(func() {
		defer panic("late")
		runtime.Goexit()
	})
	v.Go(func() { j.add("another") })
	p, _ := catch(v.Wait).(*PanicError)
	if p == nil || p.Value != "late" {
		t.Fatalf("got %v", p)
	}
	v.Wait()
	j.want(t, "0s another")
}

func TestGoexitInACallbackEndsTheGoroutineThatWaits(t *testing.T) {
	v, j := newJournal(t)
	v.AfterFunc(ms, runtime.Goexit)
	v.Go(func() {
		_ = v.Sleep(bg, 2*ms)
		j.add("later")
	})
	done := make(chan bool)
	go func() {
		returned := false
		defer func() { done <- returned }()
		v.Wait()
		returned = true
	}()
	if <-done {
		t.Fatal("Wait returned")
	}
	v.Wait()
	j.want(t, "2ms later")
}

// goroutines waits for those that are on their way out.
func goroutines(want int) int {
	for range 1000 {
		if runtime.NumGoroutine() <= want {
			break
		}
		runtime.Gosched()
	}
	return runtime.NumGoroutine()
}

func TestNothingIsLeftBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	v := NewVirtual(1)
	for range 100 {
		v.Go(func() { _ = v.Sleep(bg, ms) })
	}
	v.Wait()
	if n := goroutines(before); n > before {
		t.Errorf("after Wait: %d goroutines, %d before", n, before)
	}
	unwound := 0
	for i := range 100 {
		v.Go(func() {
			defer func() { unwound++ }()
			_ = v.Sleep(bg, time.Duration(i)*ms)
			if i%2 == 0 {
				_ = v.Sleep(bg, math.MaxInt64)
			}
		})
	}
	v.Wait()
	if v.Parked() != 50 {
		t.Fatalf("%d parked", v.Parked())
	}
	v.Close()
	v.Close()
	if n := goroutines(before); n > before {
		t.Errorf("after Close: %d goroutines, %d before", n, before)
	}
	if unwound != 100 || v.Parked() != 0 {
		t.Errorf("%d of 100 unwound, %d parked", unwound, v.Parked())
	}
}

func TestCloseUnwindsStubbornCoroutines(t *testing.T) {
	v := NewVirtual(1)
	ctx, cancel := v.WithCancel(bg)
	var inDefer error
	v.Go(func() {
		defer cancel(nil)                     // wakes the other, too late
		defer v.Go(func() { t.Error("ran") }) // starts nothing
		defer func() { inDefer = v.Sleep(bg, ms) }()
		for {
			_ = v.Sleep(bg, ms) // ignores every error
		}
	})
	v.Go(func() {
		_ = v.Sleep(ctx, time.Hour)
		t.Error("woken by a closed clock")
	})
	v.Go(func() {
		v.Wait()
		t.Error("woken in Wait by a closed clock")
	})
	v.RunUntil(epoch.Add(10 * ms))
	v.Go(func() { t.Error("queued, and ran after all") })
	v.AfterFunc(0, func() { t.Error("queued callback ran") })
	v.Close()
	if !errors.Is(inDefer, ErrDeadlock) {
		t.Errorf("Sleep while unwinding: %v", inDefer)
	}
	if len(v.workers) != 0 || len(v.timers.heap) != 0 {
		t.Errorf("%d workers, %d timers", len(v.workers), len(v.timers.heap))
	}

	// What a closed clock does: nothing, and it says so where it can.
	v.Run(func() { t.Error("ran") })
	v.AfterFunc(0, func() { t.Error("ran") })
	v.AfterFunc(ms, func() { t.Error("ran") })
	v.RunUntil(epoch.Add(time.Hour))
	late, stop := v.WithTimeout(bg, ms)
	defer stop()
	if late.Err() != nil {
		t.Error("a context expired on a closed clock")
	}
	if got := v.Now().Sub(epoch); got != 10*ms {
		t.Errorf("time went on to %v", got)
	}
}

func TestCloseFromInside(t *testing.T) {
	for _, callback := range []bool{false, true} {
		before := runtime.NumGoroutine()
		v, j := newJournal(t)
		v.Go(func() {
			defer j.add("unwound")
			_ = v.Sleep(bg, time.Hour)
			t.Error("woken")
		})
		if callback {
			v.AfterFunc(ms, v.Close)
		} else {
			v.Go(func() {
				_ = v.Sleep(bg, ms)
				v.Close()
				j.add("up to the next Sleep")
				_ = v.Sleep(bg, ms)
				t.Error("slept on a closed clock")
			})
		}
		v.RunUntil(epoch.Add(time.Hour)) // stands still at the Close
		want := []string{"1ms up to the next Sleep", "1ms unwound"}
		if callback {
			want = want[1:]
		}
		j.add("closed")
		want = append(want, "1ms closed")
		j.want(t, want...)
		if n := goroutines(before); n > before {
			t.Errorf("%d goroutines, %d before", n, before)
		}
	}
}

func TestCloseThenPanic(t *testing.T) {
	before := runtime.NumGoroutine()
	v := NewVirtual(1)
	v.Go(func() { _ = v.Sleep(bg, time.Hour) })
	v.Go(func() {
		v.Close()
		panic("boom")
	})
	if p, ok := catch(v.Wait).(*PanicError); !ok || p.Value != "boom" {
		t.Fatalf("got %v", p)
	}
	if n := goroutines(before); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

func TestPanicWhileClosing(t *testing.T) {
	v := NewVirtual(1)
	unwound := 0
	for range 3 {
		v.Go(func() {
			defer func() {
				unwound++
				panic("boom")
			}()
			_ = v.Sleep(bg, math.MaxInt64)
		})
	}
	v.Wait()
	if p, ok := catch(v.Close).(*PanicError); !ok || p.Value != "boom" {
		t.Fatalf("got %v", p)
	}
	if unwound != 3 || v.Parked() != 0 {
		t.Errorf("%d unwound, %d parked", unwound, v.Parked())
	}
	v.Close()
}

func TestWorkersAreReused(t *testing.T) {
	v, _ := newJournal(t)
	most := 0
	v.Run(func() {
		for range 1000 {
			v.Go(func() { _ = v.Sleep(context.Background(), ms) })
			_ = v.Sleep(bg, 3*ms)
			most = max(most, len(v.workers))
		}
	})
	if most != 2 {
		t.Errorf("%d workers for two coroutines at a time", most)
	}
}
