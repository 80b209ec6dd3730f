package microwrap_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/microwrap"
)

// tally is what callers have seen.
type tally struct {
	mu        sync.Mutex
	calls     int
	failed    []error // of Greet
	ambiguous map[string]bool
	certain   []error         // of Register, without a doubt that they were not carried out
	done      map[string]bool // acknowledged
}

// load makes calls of both kinds from n goroutines until stop is closed.
func load(t *testing.T, c *microwrap.Client, n int, stop <-chan struct{}) (r *tally, wait func()) {
	r = &tally{ambiguous: map[string]bool{}, done: map[string]bool{}}
	var all sync.WaitGroup
	for w := range n {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", w, i)
				_, gerr := call(t, c, "Hello.Greet", Request{ID: id, Sleep: time.Millisecond})
				_, rerr := call(t, c, "Hello.Register", Request{ID: id, Sleep: time.Millisecond}, time.Second)
				r.mu.Lock()
				r.calls++
				if gerr != nil {
					r.failed = append(r.failed, gerr)
				}
				switch {
				case rerr == nil:
					r.done[id] = true
				case resilience.IsAmbiguous(rerr):
					r.ambiguous[id] = true
				default:
					r.certain = append(r.certain, rerr)
				}
				r.mu.Unlock()
			}
		})
	}
	return r, all.Wait
}

// more waits until n more calls have been made.
func (r *tally) more(t *testing.T, n int) {
	t.Helper()
	r.mu.Lock()
	want := r.calls + n
	r.mu.Unlock()
	eventually(t, fmt.Sprintf("%d more calls", n), func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.calls >= want
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); <-time.After(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// judge asserts what is promised: no call that may be repeated has failed,
// nothing was carried out twice, nothing that was acknowledged is missing, and
// what failed is either in doubt or was not carried out.
func (r *tally) judge(t *testing.T, f *fleet, inFlight int) {
	t.Helper()
	effects := f.effects(t)
	for id, n := range effects {
		if n > 1 {
			t.Errorf("%s was carried out %d times", id, n)
		}
	}
	for id := range r.done {
		if effects[id] != 1 {
			t.Errorf("%s was acknowledged, and carried out %d times", id, effects[id])
		}
	}
	if len(r.failed) > 0 {
		t.Errorf("%d of %d repeatable calls failed: %v", len(r.failed), r.calls, r.failed[0])
	}
	if len(r.certain) > 0 {
		t.Errorf("%d calls failed without a doubt: %v", len(r.certain), r.certain[0])
	}
	if len(r.ambiguous) > inFlight {
		t.Errorf("%d calls are in doubt, and at most %d were under way", len(r.ambiguous), inFlight)
	}
	t.Logf("%d calls, %d in doubt", r.calls, len(r.ambiguous))
}

const callers = 8

func disturb(t *testing.T, n int, settings resilience.Settings, during func(f *fleet, c *microwrap.Client, r *tally)) (*fleet, *tally) {
	f := start(t, n)
	c := dial(t, f.reg, microwrap.Config{Default: resilience.Config{Settings: settings}})
	stop := make(chan struct{})
	r, wait := load(t, c, callers, stop)
	func() {
		defer wait()
		defer close(stop)
		r.more(t, 100)
		during(f, c, r)
		r.more(t, 100)
	}()
	return f, r
}

func TestKilled(t *testing.T) {
	f, r := disturb(t, 3, settings(), func(f *fleet, _ *microwrap.Client, r *tally) {
		f.nodes[2].Kill()
		r.more(t, 300)
		if err := f.nodes[2].Start(); err != nil {
			t.Fatal(err)
		}
	})
	r.judge(t, f, callers)
}

// A server that is stopped takes connections and requests, and says nothing.
// Those that must not be repeated wait for it to their deadline; the others are
// made elsewhere. When it goes on it carries out what it was sent.
func TestHung(t *testing.T) {
	s := settings()
	s.AttemptTimeout = 100 * time.Millisecond
	f, r := disturb(t, 3, s, func(f *fleet, c *microwrap.Client, r *tally) {
		send(t, f.nodes[2], syscall.SIGSTOP)
		eventually(t, "ejection", func() bool {
			return slices.ContainsFunc(c.Resilience(service).Selector().Nodes(), func(s selector.Status) bool { return s.Node.ID == "hello-3" && s.Ejected })
		})
		r.more(t, 300)
		send(t, f.nodes[2], syscall.SIGCONT)
	})
	r.judge(t, f, 10*callers)
}

// A server that leaves the registry, ends what it has begun and exits, is
// missed by nobody.
func TestDrained(t *testing.T) {
	f, r := disturb(t, 3, settings(), func(f *fleet, c *microwrap.Client, r *tally) {
		f.list(f.nodes[:2]...)
		eventually(t, "the registry's news", func() bool { return len(ids(c)) == 2 })
		r.more(t, 2*callers) // those that were under way have ended
		f.nodes[2].Stop()
	})
	if len(r.ambiguous) > 0 {
		t.Errorf("%d calls in doubt", len(r.ambiguous))
	}
	r.judge(t, f, 0)
}

// A server that was restarted while connections to it lay idle is not sent a
// request on one of them: it would be lost, and in doubt.
func TestStaleConnections(t *testing.T) {
	f := start(t, 1)
	c := dial(t, f.reg, microwrap.Config{})
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if _, err := call(t, c, "Hello.Register", Request{ID: "a", Sleep: 20 * time.Millisecond}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	f.nodes[0].Kill()
	if err := f.nodes[0].Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new server answers", func() bool {
		ctx := microwrap.WithHint(t.Context(), resilience.Safe(""))
		return c.Call(ctx, c.NewRequest(service, "Hello.Greet", &Request{}), new(Response)) == nil
	})
	for range 20 {
		if _, err := call(t, c, "Hello.Register", Request{ID: "b"}); err != nil {
			t.Fatal(err)
		}
	}
}

// A server that dies at work leaves doubt, and no second effect.
func TestDiesAtWork(t *testing.T) {
	f := start(t, 2)
	c := dial(t, f.reg, microwrap.Config{Default: resilience.Config{Settings: settings()}})
	_, err := call(t, c, "Hello.Register", Request{ID: "a", Die: true})
	var e *resilience.Error
	if !resilience.IsAmbiguous(err) || !errors.As(err, &e) || len(e.Attempts) != 1 {
		t.Errorf("%v", err)
	}
	if got := f.effects(t); got["a"] != 1 {
		t.Errorf("effects %v", got)
	}
	if rsp, err := call(t, c, "Hello.Greet", Request{}); err != nil || rsp.Node == "" {
		t.Errorf("%+v, %v", rsp, err)
	}
}

func send(t *testing.T, n *node, s os.Signal) {
	t.Helper()
	p, err := os.FindProcess(n.Pid())
	if err == nil {
		err = p.Signal(s)
	}
	if err != nil {
		t.Fatal(err)
	}
}
