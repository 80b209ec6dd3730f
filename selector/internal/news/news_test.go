package news

import (
	"errors"
	"fmt"
	"testing"

	"github.com/holdfast-go/holdfast/selector"
)

// TestTell, step by step.
func TestTell(t *testing.T) {
	one := []selector.Node{{ID: "a", Addr: "x"}}
	moved := []selector.Node{{ID: "a", Addr: "y"}}
	heavy := []selector.Node{{ID: "a", Addr: "y", Weight: 2}}
	meta := []selector.Node{{ID: "a", Addr: "y", Weight: 2, Meta: map[string]string{"k": "v"}}}
	zone := []selector.Node{{ID: "a", Addr: "y", Weight: 2, Zone: "z"}}
	broken, other := errors.New("broken"), errors.New("other")
	tests := []struct {
		name  string
		nodes []selector.Node
		err   error
		want  int // reports
	}{
		{"the first", one, nil, 1},
		{"the same", one, nil, 0},
		{"another address", moved, nil, 1},
		{"another weight", heavy, nil, 1},
		{"other data", meta, nil, 1},
		{"another zone", zone, nil, 1},
		{"none", nil, nil, 0},
		{"trouble", nil, broken, 1},
		{"the same trouble", zone, broken, 0},
		{"other trouble, other nodes", one, other, 2},
		{"all is well", one, nil, 0},
		{"trouble again", one, other, 1},
	}
	var d Desk
	var got []string
	if err := d.Open(func(n []selector.Node, err error) { got = append(got, fmt.Sprint(n, err)) }, nil); err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		got = nil
		if d.Tell(tt.nodes, tt.err); len(got) != tt.want {
			t.Errorf("%s: %d reports, want %d: %q", tt.name, len(got), tt.want, got)
		}
	}
	got = nil
	d.Close()
	if d.Tell(moved, broken); len(got) != 0 {
		t.Errorf("after Close: %q", got)
	}
}

// TestOnce: a desk is opened once, ends once, and not after that.
func TestOnce(t *testing.T) {
	var d Desk
	ends := 0
	report := func([]selector.Node, error) {}
	if err := d.Open(report, func() { ends++ }); err != nil {
		t.Fatal(err)
	}
	if d.Open(report, nil) == nil {
		t.Error("opened twice")
	}
	did := 0
	d.Unless(func() { did++ })
	d.Close()
	d.Close()
	d.Unless(func() { did++ })
	if ends != 1 || did != 1 {
		t.Errorf("ended %d times, did %d", ends, did)
	}
	if new(Desk).Open(report, nil) != nil {
		t.Error("not opened")
	}
	if d.Open(report, nil) == nil {
		t.Error("opened after Close")
	}
}
