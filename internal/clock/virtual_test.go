package clock

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

const ms = time.Millisecond

var bg = context.Background()

// journal collects what happened and when.
type journal struct {
	v     *Virtual
	lines []string
}

func (j *journal) add(format string, args ...any) {
	j.lines = append(j.lines, fmt.Sprintf("%v ", j.v.Now().Sub(epoch))+fmt.Sprintf(format, args...))
}

func (j *journal) want(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(j.lines, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(j.lines, "\n"), strings.Join(want, "\n"))
	}
}

func newJournal(t *testing.T) (*Virtual, *journal) {
	v := NewVirtual(1)
	t.Cleanup(v.Close)
	return v, &journal{v: v}
}

func TestSameInstantRunsInTheOrderOfScheduling(t *testing.T) {
	v, j := newJournal(t)
	v.Go(func() {
		_ = v.Sleep(bg, 5*ms)
		j.add("first sleeper")
		v.Go(func() { j.add("spawned by the first") })
		v.AfterFunc(0, func() { j.add("called by the first") })
	})
	v.AfterFunc(5*ms, func() { j.add("callback, before the second was armed") })
	v.Go(func() {
		_ = v.Sleep(bg, 5*ms)
		j.add("second sleeper")
	})
	v.Go(func() {
		_ = v.Sleep(bg, 0)
		_ = v.Sleep(bg, -1)
		j.add("did not block")
	})
	v.Wait()
	j.want(t,
		"0s did not block",
		// Armed from outside, before the coroutines took their first step.
		"5ms callback, before the second was armed",
		"5ms first sleeper",
		"5ms second sleeper",
		"5ms spawned by the first",
		"5ms called by the first",
	)
}

func TestGoFromOutsideAndInsideIsFIFO(t *testing.T) {
	v, j := newJournal(t)
	for i := range 3 {
		v.Go(func() {
			j.add("%d", i)
			v.Go(func() { j.add("%d's child", i) })
		})
	}
	v.Wait()
	j.want(t, "0s 0", "0s 1", "0s 2", "0s 0's child", "0s 1's child", "0s 2's child")
}

func TestSleepFromOutsideDrivesTheLoop(t *testing.T) {
	v, j := newJournal(t)
	v.Go(func() {
		for range 3 {
			_ = v.Sleep(bg, 10*ms)
			j.add("tick")
		}
	})
	if err := v.Sleep(bg, 15*ms); err != nil {
		t.Fatal(err)
	}
	j.add("outside")
	ctx, cancel := v.WithTimeout(bg, 8*ms)
	defer cancel()
	if err := v.Sleep(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	j.add("outside timed out")
	v.Wait()
	j.want(t, "10ms tick", "15ms outside", "20ms tick", "23ms outside timed out", "30ms tick")
}

func TestSleepFromOutsideStopsAtTheCancellation(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		v, j := newJournal(t)
		ctx, cancel := v.WithCancel(bg)
		if foreign {
			ctx, cancel = context.WithCancelCause(bg)
		}
		v.Go(func() {
			_ = v.Sleep(bg, 10*ms)
			cancel(nil)
			_ = v.Sleep(bg, 10*ms) // alone: must not run ahead of the one outside
			j.add("coroutine")
		})
		if err := v.Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		j.add("outside")
		v.Wait()
		j.want(t, "10ms outside", "20ms coroutine")
	}
}

// TestSleepFromOutsideLeavesNothingBehind: what a finished Sleep had
// registered must not stop a later Wait.
func TestSleepFromOutsideLeavesNothingBehind(t *testing.T) {
	rows := map[string]func(v *Virtual, ctx context.Context, cancel context.CancelCauseFunc){
		"over, then cancelled": func(v *Virtual, ctx context.Context, cancel context.CancelCauseFunc) {
			_ = v.Sleep(ctx, 10*ms)
			if ctx.(*virtualCtx).subs.first != nil {
				t.Error("it still hangs on the context")
			}
			cancel(nil)
		},
		"cancelled at the instant at which it is over": func(v *Virtual, ctx context.Context, cancel context.CancelCauseFunc) {
			v.AfterFunc(10*ms, func() { cancel(nil) })
			if err := v.Sleep(ctx, 10*ms); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		},
		"cancelled, and a panic": func(v *Virtual, ctx context.Context, cancel context.CancelCauseFunc) {
			v.Go(func() {
				_ = v.Sleep(bg, 10*ms)
				cancel(nil)
				panic("boom")
			})
			if catch(func() { _ = v.Sleep(ctx, time.Hour) }) == nil {
				t.Error("no panic")
			}
		},
	}
	for name, sleep := range rows {
		t.Run(name, func(t *testing.T) {
			v, j := newJournal(t)
			ctx, cancel := v.WithCancel(bg)
			sleep(v, ctx, cancel)
			v.Go(func() {
				_ = v.Sleep(bg, 10*ms)
				j.add("still runs")
			})
			v.Wait()
			j.want(t, "20ms still runs")
		})
	}
}

func TestSleepThatCannotEnd(t *testing.T) {
	v, _ := newJournal(t)
	check := func(name string, err error) {
		t.Helper()
		if !errors.Is(err, ErrDeadlock) {
			t.Errorf("%s: got %v, want ErrDeadlock", name, err)
		}
	}
	check("nothing left", v.Sleep(bg, math.MaxInt64))
	var inCallback error
	v.AfterFunc(ms, func() { inCallback = v.Sleep(bg, ms) })
	v.Wait()
	check("callback", inCallback)
	v.Close()
	check("closed", v.Sleep(bg, ms))
}

func TestWaitReturnsThoughCoroutinesAreParkedForever(t *testing.T) {
	v, j := newJournal(t)
	ctx, cancel := v.WithCancel(bg)
	for range 3 {
		v.Go(func() { j.add("%v", v.Sleep(ctx, math.MaxInt64)) })
	}
	v.Go(func() { _ = v.Sleep(bg, ms) })
	v.Wait()
	if got := v.Parked(); got != 3 {
		t.Fatalf("%d parked, want 3", got)
	}
	if got := v.Now().Sub(epoch); got != ms {
		t.Fatalf("an endless sleep moved the clock to %v", got)
	}
	cancel(nil)
	v.Wait()
	j.want(t, "1ms context canceled", "1ms context canceled", "1ms context canceled")
	if got := v.Parked(); got != 0 {
		t.Fatalf("%d parked, want 0", got)
	}
}

func TestWaitInACoroutine(t *testing.T) {
	v, j := newJournal(t)
	v.AfterFunc(time.Hour, func() {}) // timers are nobody to wait for
	v.Run(func() {
		for i := range 3 {
			v.Go(func() {
				_ = v.Sleep(bg, time.Duration(i)*ms)
				j.add("worker %d", i)
			})
		}
		v.Go(func() {
			v.Wait()
			j.add("another in Wait")
		})
		v.Wait()
		j.add("waited")
		v.Wait()
		j.add("waited for the other")
		v.Wait()
		j.add("alone")
		v.Go(func() { _ = v.Sleep(bg, math.MaxInt64) })
		v.AfterFunc(2*time.Hour, func() { j.add("timer") })
		v.Wait()
		j.add("the rest is parked for good")
	})
	j.want(t, "0s worker 0", "1ms worker 1", "2ms worker 2", "2ms waited", "2ms another in Wait",
		"2ms waited for the other", "2ms alone", "2h0m0.002s timer", "2h0m0.002s the rest is parked for good")
}

func TestAfterFunc(t *testing.T) {
	v, j := newJournal(t)
	stop := v.AfterFunc(2*ms, func() { j.add("never") })
	late := v.AfterFunc(ms, func() { j.add("ran") })
	now := v.AfterFunc(-ms, func() { j.add("never either") })
	if !now() || now() {
		t.Error("stop before the present instant's turn: want true, then false")
	}
	v.AfterFunc(ms, func() {
		if !stop() || stop() {
			t.Error("stop of a pending call: want true, then false")
		}
	})
	endless := v.AfterFunc(math.MaxInt64, func() { j.add("the end of time") })
	_ = v.Sleep(bg, 5*ms)
	if late() {
		t.Error("stop after the call: want false")
	}
	v.Wait()
	if !endless() {
		t.Error("stop of an endless one: want true")
	}
	j.want(t, "1ms ran")
}

func TestRunUntil(t *testing.T) {
	v, j := newJournal(t)
	v.Go(func() {
		for range 4 {
			_ = v.Sleep(bg, 10*ms)
			j.add("tick")
			v.Go(func() { j.add("child") })
		}
	})
	v.RunUntil(epoch.Add(20 * ms))
	j.add("twenty")
	v.RunUntil(epoch.Add(25 * ms))
	j.add("twenty-five")
	v.RunUntil(epoch) // the past
	v.Go(func() {
		v.RunUntil(epoch.Add(33 * ms))
		j.add("from a coroutine")
	})
	v.AfterFunc(0, func() { v.RunUntil(epoch.Add(time.Hour)) })
	v.Wait()
	j.want(t, "10ms tick", "10ms child", "20ms tick", "20ms child", "20ms twenty", "25ms twenty-five",
		"30ms tick", "30ms child", "33ms from a coroutine", "40ms tick", "40ms child")
}

func TestRunUntilStopsALoneSleeper(t *testing.T) {
	v, j := newJournal(t)
	v.Go(func() {
		for range 2 {
			_ = v.Sleep(bg, 10*ms)
			j.add("tick")
		}
	})
	v.RunUntil(epoch.Add(15 * ms))
	j.add("fifteen")
	v.Wait()
	j.want(t, "10ms tick", "15ms fifteen", "20ms tick")
}

func TestRandIsTheSeeds(t *testing.T) {
	a, b, c := NewVirtual(7), NewVirtual(7), NewVirtual(8)
	same := 0
	for range 100 {
		x := a.Rand()
		if x != b.Rand() {
			t.Fatal("one seed, two sequences")
		}
		if x == c.Rand() {
			same++
		}
	}
	if same > 0 {
		t.Fatal("two seeds, one sequence")
	}
}

func TestSleepDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	v, _ := newJournal(t)
	ctx, cancel := v.WithTimeout(bg, time.Hour)
	defer cancel()
	for range 10 {
		v.Go(func() {
			for v.Sleep(ctx, time.Duration(1+v.Rand()%1000)) == nil {
			}
		})
	}
	_ = v.Sleep(bg, ms) // the steady state
	seq := v.timers.seq
	if n := testing.AllocsPerRun(100, func() { v.RunUntil(v.Now().Add(10 * time.Microsecond)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if slept := v.timers.seq - seq; slept < 10_000 {
		t.Fatalf("only %d sleeps", slept)
	}
}

func TestCancelledTimersLeaveAtOnce(t *testing.T) {
	v, _ := newJournal(t)
	v.Run(func() {
		for range 10_000 {
			ctx, cancel := v.WithTimeout(bg, time.Hour)
			stop := v.AfterFunc(time.Hour, func() {})
			v.Go(func() { _ = v.Sleep(ctx, time.Hour) })
			_ = v.Sleep(bg, ms)
			cancel()
			stop()
			_ = v.Sleep(ctx, ms)
			if n := len(v.timers.heap); n > 2 {
				t.Errorf("%d timers armed", n)
				return
			}
		}
	})
	if n := len(v.timers.heap); n != 0 {
		t.Errorf("%d timers remain", n)
	}
}
