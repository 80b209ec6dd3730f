package breaker

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// say writes an event as "closed→open".
func say(e Event) string { return fmt.Sprintf("%v→%v", e.From, e.To) }

func TestListenersMayCallTheBreaker(t *testing.T) {
	var c *Circuit
	var heard []string
	clk := newHandClock()
	c, err := New("x", Config{Rule: Consecutive{N: 1}, Clock: clk, Ramp: -1, OnEvent: func(e Event) {
		heard = append(heard, say(e))
		if got := c.State(); len(heard) == 1 && got != Open {
			t.Errorf("the listener sees %v, want open", got)
		}
		c.Snapshot()
		c.SetShadow(false)
		c.Subscribe(func(Event) {})()
		c.TryAcquire(clk.Now())
		switch len(heard) {
		case 1: // open: all of these must come out after this event, in order
			c.Reset(Reason{})
			c.Trip(Reason{})
			c.Force(ForcedClosed, "")
		case 4:
			c.Force(Auto, "")
			p, _, _ := c.TryAcquire(clk.Now())
			p.Done(Report{Result: Failure})
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	p, _, _ := c.TryAcquire(clk.Now())
	p.Done(Report{Result: Failure})
	want := []string{"closed→open", "open→closed", "closed→open", "open→closed", "closed→closed", "closed→open"}
	if !slices.Equal(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
	if c.ext.bus != nil {
		t.Error("delivery is not over")
	}
}

func TestSubscribe(t *testing.T) {
	var heard []string
	r := newRig(t, Config{Clock: newHandClock(), OnEvent: func(Event) { heard = append(heard, "config") }})
	var second func()
	first := r.Subscribe(func(Event) {
		heard = append(heard, "first")
		second() // before it hears this event
	})
	second = r.Subscribe(func(Event) { heard = append(heard, "second") })
	third := r.Subscribe(func(Event) { heard = append(heard, "third") })
	if r.Idle() {
		t.Error("a breaker with subscribers is idle")
	}
	r.Trip(Reason{})
	third()
	first()
	first()
	r.Subscribe(nil)()
	r.Reset(Reason{})
	if want := []string{"config", "first", "third", "config"}; !slices.Equal(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
	if !r.Idle() {
		t.Error("not idle although nobody listens any more")
	}
}

// A listener that panics or ends its goroutine must not cost the others their
// events, nor the breaker its listeners or its lock.
func TestListenerThatDoesNotReturn(t *testing.T) {
	for name, leave := range map[string]func(){
		"panic":  func() { panic("listener") },
		"goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			var c *Circuit
			var heard []string
			c, err := New("x", Config{OnEvent: func(e Event) {
				heard = append(heard, "a "+say(e))
				if e.To == Open {
					c.Reset(Reason{}) // queued behind this one
					leave()
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			c.Subscribe(func(e Event) { heard = append(heard, "b "+say(e)) })
			var recovered any
			var wg sync.WaitGroup
			wg.Go(func() { // Goexit needs a goroutine to end
				defer func() { recovered = recover() }()
				c.Trip(Reason{})
				t.Error("the listener's exit did not reach the caller")
			})
			wg.Wait()
			if name == "panic" && recovered != "listener" {
				t.Errorf("recovered %v, want the listener's panic", recovered)
			}
			want := []string{"a closed→open", "b closed→open", "a open→closed", "b open→closed"}
			if !slices.Equal(heard, want) {
				t.Errorf("heard %v, want %v", heard, want)
			}
			c.Force(ForcedClosed, "") // the lock is free and delivery goes on
			if got := heard[len(heard)-1]; got != "b closed→closed" {
				t.Errorf("last heard %q", got)
			}
		})
	}
}

// Whoever causes them, a listener hears the transitions one at a time and each
// begins where the one before it ended.
func TestEventsAreInOrderAcrossGoroutines(t *testing.T) {
	var c *Circuit
	var mu sync.Mutex
	last, n, inside := Closed, 0, 0
	c, err := New("x", Config{OnEvent: func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		if inside++; inside != 1 {
			t.Error("two events at once")
		}
		if e.From != last {
			t.Errorf("%s after one that led to %v", say(e), last)
		}
		last = e.To
		n++
		inside--
	}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				c.Trip(Reason{})
				c.Reset(Reason{})
			}
		})
	}
	wg.Wait()
	c.Trip(Reason{})
	if n < 501 || last != Open {
		t.Errorf("%d events, the last to %v", n, last)
	}
}

func TestEventOfShadowAndOpenTime(t *testing.T) {
	r := newRig(t, Config{OpenFor: 3 * time.Second})
	r.SetShadow(true)
	r.Trip(Reason{})
	if e := r.last(); !e.Shadow || e.OpenFor != 3*time.Second || !e.At.Equal(epoch) {
		t.Errorf("event %+v", e)
	}
}
