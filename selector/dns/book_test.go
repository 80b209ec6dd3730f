package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/selector"
)

// zone is a scripted server, and the times at which it was asked what.
type zone struct {
	t     *testing.T
	mu    sync.Mutex // say and asked
	begin time.Time
	asked map[question][]time.Duration
	say   func(q question) (message, error)
}

func (z *zone) ask(_ context.Context, q question) (message, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked[q] = append(z.asked[q], time.Since(z.begin))
	return z.say(q)
}

func newZone(t *testing.T, say func(q question) (message, error)) *zone {
	return &zone{t: t, begin: time.Now(), asked: make(map[question][]time.Duration), say: say}
}

func a(name, addr string, ttl uint32) record {
	ip := netip.MustParseAddr(addr)
	kind := uint16(typeA)
	if ip.Is6() {
		kind = typeAAAA
	}
	return record{name: name, kind: kind, addr: ip, ttl: ttl}
}

// soa is how long "there is none" holds.
func soa(ttl, minimum uint32) message {
	return message{authority: []record{{name: "test.", kind: typeSOA, ttl: ttl, minimum: minimum}}}
}

// change is done between two questions.
func (z *zone) change(what func()) {
	z.mu.Lock()
	defer z.mu.Unlock()
	what()
}

// within checks that something happened at a time or up to a tenth later.
func within(t *testing.T, what string, got []time.Duration, from, gap time.Duration) {
	t.Helper()
	if len(got) < 3 {
		t.Fatalf("%s asked at %v", what, got)
	}
	for i, at := range got {
		if i > 0 && (at-from < gap || at-from > gap+gap/10) {
			t.Errorf("%s asked again after %v: want %v to a tenth later", what, at-from, gap)
		}
		from = at
	}
}

// TestTTL: every answer is asked for again when its own time is over, within
// the bounds, and not sooner.
func TestTTL(t *testing.T) {
	tests := []struct {
		name        string
		v4, v6      message
		gap4, gap6  time.Duration
		forThatLong time.Duration
	}{
		{"each its own", message{answers: []record{a("x.test.", "10.0.0.1", 30)}}, message{answers: []record{a("x.test.", "fd00::1", 7)}}, 30 * time.Second, 7 * time.Second, 5 * time.Minute},
		{"the shortest of a set", message{answers: []record{a("x.test.", "10.0.0.1", 20), a("x.test.", "10.0.0.2", 30)}}, soa(60, 40), 20 * time.Second, 40 * time.Second, 5 * time.Minute},
		{"bounds", message{answers: []record{a("x.test.", "10.0.0.1", 0)}}, message{answers: []record{a("x.test.", "fd00::1", 86400)}}, time.Second, 5 * time.Minute, 20 * time.Minute},
		{
			"the chain's",
			message{answers: []record{{name: "x.test.", kind: typeCNAME, target: "y.test.", ttl: 5}, a("y.test.", "10.0.0.1", 30)}},
			soa(3, 40), 5 * time.Second, 3 * time.Second, 5 * time.Minute,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := newZone(t, func(q question) (message, error) {
					if q.kind == typeA {
						return tt.v4, nil
					}
					return tt.v6, nil
				})
				reports := 0
				s := &Source{Host: "x.test", Port: 1, Clock: new(clock.Real), answers: z.ask}
				if err := s.Watch(func([]selector.Node, error) { reports++ }); err != nil {
					t.Fatal(err)
				}
				<-time.After(tt.forThatLong)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				within(t, "A", z.asked[question{"x.test.", typeA}], 0, tt.gap4)
				within(t, "AAAA", z.asked[question{"x.test.", typeAAAA}], 0, tt.gap6)
				if reports != 1 {
					t.Errorf("%d reports of a set that did not change", reports)
				}
			})
		})
	}
}

// TestFailureKeeps: what was known stays while nobody answers, or half of it
// is not answered; the pauses grow, and trouble is told of once.
func TestFailureKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failing := errors.New("server failure")
		var fail4, fail6 bool
		v6 := "fd00::1"
		z := newZone(t, nil)
		z.say = func(q question) (message, error) {
			switch {
			case q.kind == typeA && fail4, q.kind == typeAAAA && fail6:
				return message{}, failing
			case q.kind == typeA:
				return message{answers: []record{a(q.name, "10.0.0.1", 3)}}, nil
			}
			return message{answers: []record{a(q.name, v6, 2)}}, nil
		}
		var got []told
		s := &Source{Host: "x.test", Port: 1, Clock: new(clock.Real), answers: z.ask}
		if err := s.Watch(func(nodes []selector.Node, err error) { got = append(got, told{nodes, err}) }); err != nil {
			t.Fatal(err)
		}
		z.change(func() { fail4, v6 = true, "fd00::2" })
		<-time.After(10 * time.Second)
		z.change(func() { fail6, z.asked = true, make(map[question][]time.Duration) })
		<-time.After(10 * time.Minute)
		synctest.Wait()
		if n := len(z.asked[question{"x.test.", typeA}]); n < 20 || n > 50 {
			t.Errorf("asked %d times in ten minutes of failures: want pauses of 15 s to 30 s", n)
		}
		z.change(func() { fail4, fail6 = false, false })
		<-time.After(time.Minute)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want := []string{
			"[10.0.0.1:1 [fd00::1]:1] <nil>",
			"[10.0.0.1:1 [fd00::2]:1] <nil>", "[] server failure", // half of it
		}
		if len(got) != len(want) {
			t.Fatalf("%d reports, want %d: %v", len(got), len(want), got)
		}
		for i, r := range got {
			if text := fmt.Sprint(addrs(r.nodes), r.err); text != want[i] {
				t.Errorf("report %d: %s, want %s", i, text, want[i])
			}
		}
	})
}

// TestServiceGlue: addresses that come with a service's answer are not asked
// for; others are, and names that nobody asked about do not count.
func TestServiceGlue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := func(target string, port uint16) record {
			return record{name: "_s._tcp.test.", kind: typeSRV, ttl: 60, target: target, port: port, weight: 5}
		}
		z := newZone(t, func(q question) (message, error) {
			switch q {
			case question{"_s._tcp.test.", typeSRV}:
				return message{
					answers: []record{srv("a.test.", 1), srv("b.test.", 2), srv("a.test.", 3), srv(".", 4), srv("c.test.", 0)},
					extra:   []record{a("a.test.", "10.0.0.1", 60), a("a.test.", "10.0.0.2", 60), a("evil.test.", "10.0.0.9", 1)},
				}, nil
			case question{"b.test.", typeA}:
				return message{answers: []record{a("b.test.", "10.0.0.3", 60)}}, nil
			}
			return message{code: codeNoName}, nil
		})
		var nodes []selector.Node
		s := &Source{SRV: "_s._tcp.test", Network: "ip4", Clock: new(clock.Real), answers: z.ask}
		if err := s.Watch(func(n []selector.Node, err error) { nodes = n }); err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		if got := fmt.Sprint(addrs(nodes)); got != "[10.0.0.1:1 10.0.0.2:1 10.0.0.1:3 10.0.0.2:3 10.0.0.3:2]" {
			t.Error(got)
		}
		if err := selector.CheckNodes(nodes); err != nil {
			t.Error(err)
		}
		if len(z.asked) != 2 {
			t.Errorf("asked %v", z.asked)
		}
	})
}

// TestTooManyNodes: what is made of answers is bounded, whoever has made them
// up.
func TestTooManyNodes(t *testing.T) {
	say := func(_ context.Context, q question) (message, error) {
		m := message{}
		for i := range 500 {
			if r := (record{name: q.name, kind: q.kind, ttl: 60}); q.kind == typeSRV {
				r.target, r.port = fmt.Sprintf("t%03d.test.", i), 1
				m.answers = append(m.answers, r)
			} else {
				m.answers = append(m.answers, a(q.name, fmt.Sprintf("10.0.%d.%d", i>>8, i&255), 60))
			}
		}
		return m, nil
	}
	var nodes []selector.Node
	var problem error
	s := &Source{SRV: "_s._tcp.test", Network: "ip4", answers: say}
	err := s.Watch(func(n []selector.Node, err error) {
		if err == nil {
			nodes = n
		} else {
			problem = err
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	if len(nodes) == 0 || len(nodes) > maxNodes || problem == nil {
		t.Errorf("%d nodes, problem %v: want at most %d, and to be told", len(nodes), problem, maxNodes)
	}
}

// TestNoService: a service that says it is not there has no nodes, which is an
// error.
func TestNoService(t *testing.T) {
	say := func(context.Context, question) (message, error) {
		return message{answers: []record{{name: "_s._tcp.test.", kind: typeSRV, target: ".", port: 1}}}, nil
	}
	s := &Source{SRV: "_s._tcp.test", answers: say}
	if err := s.Watch(func([]selector.Node, error) { t.Error("reported") }); !isNotFound(err) {
		t.Error(err)
	}
}

// TestEndlessAliases: a circle of CNAMEs ends.
func TestEndlessAliases(t *testing.T) {
	say := func(_ context.Context, q question) (message, error) {
		other := map[string]string{"a.test.": "b.test.", "b.test.": "a.test."}[q.name]
		return message{answers: []record{{name: q.name, kind: typeCNAME, target: other}}}, nil
	}
	s := &Source{Host: "a.test", Port: 1, answers: say}
	if err := s.Watch(func([]selector.Node, error) { t.Error("reported") }); err == nil || isNotFound(err) {
		t.Error(err)
	}
}
