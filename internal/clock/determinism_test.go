package clock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// chaos is a program of many coroutines that sleep, spawn, time out, cancel,
// wait and exit at random, and write down each step. Half of what they make
// goes through package context, whose children are kept in a map.
type chaos struct {
	v     *Virtual
	log   bytes.Buffer
	ids   int
	stops []func(error) // of anybody's context
	tally map[string]int
}

func (c *chaos) step(id int, what string, args ...any) {
	c.tally[what]++
	fmt.Fprintf(&c.log, "%d %d %s %v\n", c.v.now, id, what, args)
}

func (c *chaos) pick(n int) int { return int(c.v.Rand() % uint64(n)) }

func (c *chaos) spawn(parent context.Context, steps int) {
	id := c.ids
	c.ids++
	c.v.Go(func() {
		defer c.step(id, "end")
		ctx := parent
		for range steps {
			ctx = c.act(ctx, parent, id)
		}
	})
}

// act takes one step under ctx and returns the context of the next.
func (c *chaos) act(ctx, parent context.Context, id int) context.Context {
	v := c.v
	switch c.pick(12) {
	default:
		err := v.Sleep(ctx, Jitter(v, time.Millisecond))
		c.step(id, "sleep", err, context.Cause(ctx))
		if err != nil {
			return parent
		}
	case 0:
		if c.ids < 1500 {
			c.spawn(ctx, 5)
			c.step(id, "spawn", c.ids)
		}
	case 1:
		child, stop := v.WithTimeout(ctx, Jitter(v, 3*time.Millisecond))
		c.stops = append(c.stops, func(error) { stop() })
		c.step(id, "timeout")
		return child
	case 2:
		child, stop := v.WithCancel(context.WithValue(ctx, ctxKey{}, id))
		c.stops = append(c.stops, stop)
		c.step(id, "cancellable")
		return child
	case 3:
		child, stop := context.WithCancelCause(ctx)
		c.stops = append(c.stops, stop)
		c.step(id, "foreign")
		return context.WithValue(child, ctxKey{}, id)
	case 4, 5:
		if n := len(c.stops); n > 0 {
			i := c.pick(n)
			c.stops[i](fmt.Errorf("by %d", id))
			c.stops[i] = c.stops[n-1]
			c.stops = c.stops[:n-1]
			c.step(id, "cancel", i)
		}
	case 6:
		stop := v.AfterFunc(Jitter(v, time.Millisecond), func() { c.step(id, "callback") })
		if c.pick(3) == 0 {
			c.step(id, "stop", stop())
		}
	case 7:
		switch c.pick(40) {
		case 0:
			c.step(id, "goexit")
			runtime.Goexit()
		case 1:
			c.step(id, "wait")
			v.Wait()
			c.step(id, "waited")
		case 2:
			c.step(id, "panic")
			panic(errChaos)
		}
	}
	return ctx
}

var errChaos = errors.New("chaos")

func runChaos(seed uint64) *chaos {
	c := &chaos{v: NewVirtual(seed), tally: make(map[string]int)}
	defer c.v.Close()
	n := 1000
	if raceEnabled {
		n = 200 // the detector's cost grows with their square
	}
	for range n {
		c.spawn(context.Background(), 30)
	}
	for {
		p := catch(c.v.Wait)
		if p == nil {
			break
		}
		if err, ok := p.(error); !ok || !errors.Is(err, errChaos) {
			panic(p)
		}
		c.step(-1, "recovered")
	}
	c.step(-1, "over", c.v.Parked(), len(c.v.timers.heap), len(c.v.foreign.list))
	return c
}

func TestSameSeedSameTrace(t *testing.T) {
	first, second := runChaos(1), runChaos(1)
	a, b := bytes.Split(first.log.Bytes(), []byte("\n")), bytes.Split(second.log.Bytes(), []byte("\n"))
	for i := range min(len(a), len(b)) {
		if !bytes.Equal(a[i], b[i]) {
			t.Fatalf("step %d: %s, then %s", i, a[i], b[i])
		}
	}
	if len(a) != len(b) {
		t.Fatalf("%d steps, then %d", len(a), len(b))
	}
	if bytes.Equal(first.log.Bytes(), runChaos(2).log.Bytes()) {
		t.Error("another seed, the same trace")
	}
	for _, what := range []string{
		"sleep", "spawn", "timeout", "cancellable", "foreign", "cancel", "callback", "stop",
		"goexit", "wait", "waited", "panic", "recovered", "end",
	} {
		if first.tally[what] < 3 {
			t.Errorf("the program hardly does %q: %d", what, first.tally[what])
		}
	}
	if first.tally["end"] != first.ids || first.v.Parked() != 0 {
		t.Errorf("%d of %d ended, %d parked", first.tally["end"], first.ids, first.v.Parked())
	}
	t.Logf("%d steps, %v", len(a), first.tally)
}
