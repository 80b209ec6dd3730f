package news

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
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
	if _, _, err := d.Open(nil, func(n []selector.Node, err error) { got = append(got, fmt.Sprint(n, err)) }); err != nil {
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

// TestOnce: a desk is opened once, and what waits or goes on ends with it.
func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d Desk
		report := func([]selector.Node, error) {}
		own := new(clock.Real)
		ctx, clk, err := d.Open(own, report)
		if err != nil || clk != own || ctx.Err() != nil {
			t.Fatal(clk, err)
		}
		if _, _, err := d.Open(own, report); err == nil {
			t.Error("opened twice")
		}
		did := 0
		d.Later(time.Second, func() { did++ })
		<-time.After(2 * time.Second)
		synctest.Wait()
		d.Later(time.Second, func() { did++ })
		d.Close()
		d.Close()
		d.Later(time.Second, func() { did++ })
		<-time.After(2 * time.Second)
		synctest.Wait()
		if did != 1 || ctx.Err() == nil {
			t.Errorf("did %d things, %v", did, ctx.Err())
		}
		if _, _, err := d.Open(own, report); err == nil {
			t.Error("opened after Close")
		}
		if _, clk, err := new(Desk).Open(nil, report); err != nil || clk != clock.System {
			t.Error(clk, err)
		}
	})
}
