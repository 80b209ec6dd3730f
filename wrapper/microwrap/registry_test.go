package microwrap_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go-micro.dev/v5/registry"
	mselector "go-micro.dev/v5/selector"

	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/microwrap"
)

// reports is what a source has reported, in words.
type reports struct {
	mu   sync.Mutex
	list []string
}

func (r *reports) hear(nodes []selector.Node, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := ""
	for _, n := range nodes {
		text += n.ID + "=" + n.Addr + " "
	}
	if err != nil {
		text = "error"
	}
	if n := len(r.list); n == 0 || r.list[n-1] != text {
		r.list = append(r.list, text)
	}
}

func (r *reports) last() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list[len(r.list)-1]
}

func listed(ids ...string) *registry.Service {
	s := &registry.Service{Name: service, Version: "1"}
	for _, id := range ids {
		s.Nodes = append(s.Nodes, &registry.Node{Id: id, Address: id + ":1"})
	}
	return s
}

// The set follows the registry: what it says at once, what its watcher tells
// of, and, at the latest after Resync, what its watcher has lost.
func TestRegistryFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(directory)
		d.set(listed("a", "b"))
		var r reports
		s := &microwrap.RegistrySource{Registry: d, Service: service, Resync: time.Minute}
		if err := s.Watch(r.hear); err != nil {
			t.Fatal(err)
		}
		step := func(want string) {
			t.Helper()
			synctest.Wait()
			if got := r.last(); got != want {
				t.Errorf("reported %q, want %q", got, want)
			}
		}
		step("a=a:1 b=b:1 ")
		d.set(listed("b", "c"))
		step("b=b:1 c=c:1 ")
		d.set(listed("b"), listed("b", "d")) // two versions
		step("b=b:1 d=d:1 ")
		d.mu.Lock()
		d.services = []*registry.Service{listed("e")} // and nobody is told
		d.mu.Unlock()
		step("b=b:1 d=d:1 ")
		<-time.After(time.Minute)
		step("e=e:1 ")
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		n := len(r.list)
		d.set(listed("z"))
		synctest.Wait()
		if len(r.list) != n || len(d.watchers) != 0 {
			t.Errorf("after Close: %q, %d watchers", r.list, len(d.watchers))
		}
	})
}

// A registry that goes away, or forgets the service, empties no set; when it is
// back, the watch goes on with what has changed meanwhile.
func TestRegistryGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(directory)
		d.set(listed("a", "b"))
		failed := 0
		sel, err := selector.New(selector.Config{Source: microwrap.Registry(d, service), OnEvent: func(e selector.Event) {
			if e.Kind == selector.SourceFailed {
				failed++
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = sel.Close() }()
		nodes := func(want ...string) {
			t.Helper()
			synctest.Wait()
			var got []string
			for _, s := range sel.Nodes() {
				got = append(got, s.Node.ID)
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("nodes %v, want %v", got, want)
			}
		}
		nodes("a", "b")
		d.fail(errors.New("unreachable"))
		nodes("a", "b")
		d.breakOff(errors.New("unreachable"))
		nodes("a", "b")
		<-time.After(time.Hour)
		nodes("a", "b")
		if failed == 0 || failed > 4 {
			t.Errorf("%d failures reported in an hour, want each kind once", failed)
		}
		if d.watched < 100 || d.watched > 200 {
			t.Errorf("the watch was begun %d times in an hour, want one every 30 s at last", d.watched)
		}
		d.mu.Lock()
		d.watchErr, d.err = nil, nil
		d.services = []*registry.Service{listed("b", "c")}
		d.mu.Unlock()
		<-time.After(time.Minute)
		nodes("b", "c")
		d.set() // the service is not there any more
		nodes("b", "c")
		d.set(&registry.Service{Name: service}) // it is, without a node
		nodes("b", "c")
		d.set(listed("d"))
		nodes("d")
	})
}

// A watch that ends at once, again and again, is not begun in a tight loop.
func TestRegistryWatchPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(directory)
		d.set(listed("a"))
		s := microwrap.Registry(d, service)
		if err := s.Watch(func([]selector.Node, error) {}); err != nil {
			t.Fatal(err)
		}
		for range 600 {
			synctest.Wait()
			d.breakOff(nil)
			<-time.After(100 * time.Millisecond)
		}
		if d.watched > 15 {
			t.Errorf("the watch was begun %d times in a minute", d.watched)
		}
		_ = s.Close()
	})
}

// stops counts how often watchers are stopped.
type stops struct {
	*directory
	n atomic.Int32
}

type stopped struct {
	registry.Watcher
	n *atomic.Int32
}

func (s *stops) Watch(opts ...registry.WatchOption) (registry.Watcher, error) {
	w, err := s.directory.Watch(opts...)
	return stopped{w, &s.n}, err
}

func (s stopped) Stop() {
	s.n.Add(1)
	s.Watcher.Stop()
}

// A watcher is stopped once: those of go-micro's own registries panic when two
// do it at a time.
func TestRegistryStopsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &stops{directory: new(directory)}
		d.set(listed("a"))
		s := microwrap.Registry(d, service)
		if err := s.Watch(func([]selector.Node, error) {}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		d.breakOff(nil)
		<-time.After(time.Second)
		synctest.Wait()
		if n := d.n.Load(); n != 1 {
			t.Errorf("a watcher that has ended was stopped %d times", n)
		}
		_ = s.Close()
		synctest.Wait()
		if n := d.n.Load(); n != 2 {
			t.Errorf("the watcher that Close ends was stopped %d times", n-1)
		}
	})
}

func TestRegistryMisused(t *testing.T) {
	d := new(directory)
	hear := func([]selector.Node, error) {}
	for name, s := range map[string]*microwrap.RegistrySource{
		"no registry":   {Service: service},
		"no service":    {Registry: d},
		"a short time":  {Registry: d, Service: service, Resync: time.Millisecond},
		"not there":     {Registry: d, Service: service},
		"not reachable": {Registry: &directory{err: errDown}, Service: service},
	} {
		if err := s.Watch(hear); err == nil {
			t.Errorf("%s: no error", name)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (&microwrap.RegistrySource{Registry: &directory{err: errDown}, Service: service}).Watch(hear); !errors.Is(err, errDown) {
		t.Error(err)
	}
	d.set(listed("a"))
	s := &microwrap.RegistrySource{Registry: d, Service: service}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if err := s.Watch(hear); err == nil {
		t.Error("a closed source can be watched")
	}
	s = &microwrap.RegistrySource{Registry: d, Service: service, Filters: []mselector.Filter{mselector.FilterVersion("2")}}
	if err := s.Watch(hear); !errors.Is(err, mselector.ErrNoneAvailable) {
		t.Error(err)
	}
	s = &microwrap.RegistrySource{Registry: d, Service: service}
	if err := s.Watch(hear); err != nil {
		t.Fatal(err)
	}
	if err := s.Watch(hear); err == nil {
		t.Error("a source can be watched twice")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// The client follows its registry; connections to a node that has left end.
func TestClientFollows(t *testing.T) {
	t.Parallel()
	a, _ := wire(t, good)
	b, _ := wire(t, good)
	d := at(a, b)
	c := dial(t, d, microwrap.Config{})
	for range 4 {
		if _, err := call(t, c, "Hello.Greet", Request{}); err != nil {
			t.Fatal(err)
		}
	}
	d.set(at(b).services...)
	eventually(t, "the registry's news", func() bool { return fmt.Sprint(ids(c)) == fmt.Sprint([]string{b}) })
	// Another registry begins anew.
	other := at(a)
	if err := c.Init(registryOption(other)...); err != nil {
		t.Fatal(err)
	}
	if _, err := call(t, c, "Hello.Greet", Request{}); err != nil || fmt.Sprint(ids(c)) != fmt.Sprint([]string{a}) {
		t.Error(ids(c), err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := call(t, c, "Hello.Greet", Request{}); !errors.Is(err, microwrap.ErrClosed) {
		t.Error(err)
	}
}
