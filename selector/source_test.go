package selector

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestCheckNodes(t *testing.T) {
	tests := []struct {
		name  string
		nodes []Node
		want  []string // nothing: valid
	}{
		{"one anonymous", []Node{{}}, nil},
		{"ids", []Node{{ID: "a"}, {ID: "b"}}, nil},
		{"addresses", []Node{{Addr: "a"}, {Addr: "b"}}, nil},
		{"one address, two ids", []Node{{ID: "a", Addr: "x"}, {ID: "b", Addr: "x"}}, nil},
		{"weights at the ends", []Node{{ID: "a", Weight: 0}, {ID: "b", Weight: 1_000_000}}, nil},
		{"none", nil, []string{"nodes: the set is empty"}},
		{"anonymous among others", []Node{{}, {ID: "a"}}, []string{"nodes[0]: want an id or an addr"}},
		{"duplicate id", []Node{{ID: "a"}, {ID: "b"}, {ID: "a"}}, []string{`nodes[2]: duplicate of nodes[0], id "a"`}},
		{"an address that is an id", []Node{{ID: "a"}, {Addr: "a"}}, []string{`nodes[1]: duplicate of nodes[0], id "a"`}},
		{"weight below", []Node{{ID: "a", Weight: -1}}, []string{`nodes[0] "a": weight -1: want 0 (means 1) to 1000000`}},
		{"weight above", []Node{{ID: "a", Weight: 1_000_001}}, []string{`nodes[0] "a": weight 1000001: want 0 (means 1) to 1000000`}},
		{
			"all at once",
			[]Node{{ID: "a", Weight: -1}, {ID: "a"}, {}},
			[]string{`nodes[0] "a": weight -1`, `nodes[1]: duplicate of nodes[0]`, "nodes[2]: want an id"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckNodes(tt.nodes)
			if len(tt.want) == 0 {
				if err != nil {
					t.Fatalf("got %v, want nil", err)
				}
				return
			}
			lines := strings.Split(fmt.Sprint(err), "\n")
			if len(lines) != len(tt.want) {
				t.Fatalf("got %d problems, want %d:\n%v", len(lines), len(tt.want), err)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("problem %d: got %q, want %q", i, lines[i], want)
				}
			}
		})
	}
}

func TestStaticIsACopy(t *testing.T) {
	nodes := []Node{{ID: "a", Meta: map[string]string{"rack": "1"}}, {Addr: "b"}}
	source := Static(nodes...)
	nodes[0].ID, nodes[0].Meta["rack"] = "changed", "changed"
	for range 2 { // a static source may serve two selectors
		r := newRig(t, Config{Source: source})
		a, b := r.sel.Nodes()[0].Node, r.sel.Nodes()[1].Node
		if a.ID != "a" || a.Meta["rack"] != "1" || a.Weight != 1 {
			t.Errorf("got %+v, want the node as it was given, with weight 1", a)
		}
		if b.ID != "b" || b.String() != "b" {
			t.Errorf("got ID %q, want the address", b.ID)
		}
	}
}

func TestReportedNodesAreCopied(t *testing.T) {
	nodes := []Node{{ID: "a", Meta: map[string]string{"rack": "1"}}}
	r := newRig(t, Config{}, nodes...)
	nodes[0].ID, nodes[0].Meta["rack"] = "changed", "changed"
	if a := r.sel.Nodes()[0].Node; a.ID != "a" || a.Meta["rack"] != "1" {
		t.Errorf("got %+v, want the node as it was reported", a)
	}
}

func TestNewRefuses(t *testing.T) {
	broken := &pushed{first: named(1)}
	tests := []struct {
		name string
		cfg  Config
		want []string
	}{
		{"nothing", Config{}, []string{"source: want one"}},
		{"duplicates", Config{Source: Addrs("a", "a")}, []string{"source: nodes[1]: duplicate of nodes[0]"}},
		{"no addresses", Config{Source: Addrs()}, []string{"source: nodes: the set is empty"}},
		{
			"thresholds",
			Config{Source: broken, Ejection: Ejection{FalseAlarm: 99, Excess: .91, Baseline: -1, MaxShare: 1.1}},
			[]string{"ejection.falseAlarm 99: want 100 to", "ejection.excess 0.91: want", "ejection.baseline -1: want", "ejection.maxShare 1.1: want"},
		},
		{"all at once", Config{Ejection: Ejection{MaxShare: -1}}, []string{"source: want one", "ejection.maxShare -1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := New(tt.cfg)
			if err == nil || s != nil {
				t.Fatalf("got %v, %v, want an error", s, err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to say %q", err, want)
				}
			}
		})
	}
	if broken.report != nil {
		t.Error("an invalid configuration watched its source")
	}
}

// A source that fails to start is closed.
func TestNewClosesASourceThatFails(t *testing.T) {
	source := &failing{}
	if _, err := New(Config{Source: source}); !errors.Is(err, errSource) {
		t.Errorf("got %v, want it to match the source's error", err)
	}
	if source.closed != 1 {
		t.Errorf("closed %d times, want once", source.closed)
	}
}

type failing struct{ pushed }

func (f *failing) Watch(func([]Node, error)) error { return errSource }

func TestNoNodesYetAndNoMore(t *testing.T) {
	r := newRig(t, Config{})
	if _, err := r.sel.Pick(Call{}); !errors.Is(err, ErrNoNodes) {
		t.Errorf("before the first report: got %v, want ErrNoNodes", err)
	}
	r.source.report(named(2), nil)
	p := r.pick(Call{})
	for range 2 {
		if err := r.sel.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if r.source.closed != 1 {
		t.Errorf("source closed %d times, want once", r.source.closed)
	}
	if _, err := r.sel.Pick(Call{}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got %v, want ErrClosed", err)
	}
	p.Done(Report{}) // must still be possible
	r.forget()
	r.source.report(named(3), nil)
	if err := r.sel.Update(Config{}); err != nil {
		t.Fatal(err)
	}
	if len(r.sel.Nodes()) != 0 || len(r.events) != 0 {
		t.Errorf("a report after Close was heard: %v, %v", r.sel.Nodes(), r.events)
	}
}

// The last good set stays, and each failure is told.
func TestTheLastGoodSetStays(t *testing.T) {
	r := newRig(t, Config{}, named(3)...)
	tests := []struct {
		name  string
		nodes []Node
		err   error
		want  string
	}{
		{"error", nil, errSource, errSource.Error()},
		{"error and nodes", named(1), errSource, errSource.Error()},
		{"empty", nil, nil, "nodes: the set is empty"},
		{"duplicate", []Node{{ID: "a"}, {ID: "a"}}, nil, "duplicate"},
		{"negative weight", []Node{{ID: "a", Weight: -3}}, nil, "weight -3"},
	}
	for _, tt := range tests {
		r.forget()
		r.source.report(tt.nodes, tt.err)
		if n := len(r.sel.Nodes()); n != 3 {
			t.Fatalf("%s: %d nodes, want the 3 there were", tt.name, n)
		}
		if len(r.events) != 1 || r.events[0].Kind != SourceFailed || !strings.Contains(fmt.Sprint(r.events[0].Err), tt.want) {
			t.Errorf("%s: got events %+v, want one SourceFailed with %q", tt.name, r.events, tt.want)
		}
		if !r.events[0].At.Equal(r.clk.Now()) {
			t.Errorf("%s: at %v, want now", tt.name, r.events[0].At)
		}
	}
	r.run(10, Call{}, well)
}

func TestUpdateKeepsNodesAndRefusesNonsense(t *testing.T) {
	r := newRig(t, Config{}, named(3)...)
	r.run(300, Call{}, down("a"))
	wantIDs(t, "ejected", r.ejected(), "a")
	if err := r.sel.Update(Config{Ejection: Ejection{Excess: 2}}); err == nil {
		t.Error("got nil, want an error that names excess")
	}
	if err := r.sel.Update(Config{Strategy: Random{}, Zone: "z", SlowStart: time.Minute, Ejection: Ejection{FalseAlarm: 1e9}}); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "ejected", r.ejected(), "a")
	if got := r.status("a").Threshold; got < 20.7 || got > 20.8 { // ln 1e9
		t.Errorf("threshold %v, want that of the update", got)
	}
}
