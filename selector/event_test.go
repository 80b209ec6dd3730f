package selector

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// A listener may call the selector; what that causes is heard afterwards.
func TestAListenerCallsBack(t *testing.T) {
	var r *rig
	var heard []string
	depth := 0
	r = newRig(t, Config{OnEvent: func(e Event) {
		if depth++; depth > 1 {
			t.Error("a listener was called while it was at work")
		}
		defer func() { depth-- }()
		heard = append(heard, e.Kind.String())
		if e.Kind != Ejected || e.Node.ID != "a" {
			return
		}
		if err := r.sel.Eject("b", "because of a"); err != nil {
			t.Error(err)
		}
		r.source.report(nil, errSource)
		r.sel.Nodes()
		p := r.pick(errand)
		p.Done(Report{Result: breaker.Failure, Start: r.clk.Now()})
		heard = append(heard, "end of a's")
	}}, named(5)...)
	if err := r.sel.Eject("a", ""); err != nil {
		t.Fatal(err)
	}
	want := []string{"nodes changed", "ejected", "end of a's", "ejected", "source failed"}
	if !slices.Equal(heard, want) {
		t.Errorf("heard %q, want %q", heard, want)
	}
}

// A listener that panics loses its own event, and nothing else.
func TestAListenerPanics(t *testing.T) {
	var heard []string
	panics := 0
	r := newRig(t, Config{OnEvent: func(e Event) {
		heard = append(heard, fmt.Sprint(e.Kind, e.Node))
		if e.Kind == Ejected {
			panics++
			panic("listener")
		}
	}}, named(5)...)
	r.run(100, payment, well)
	recovered := 0
	for range 300 {
		func() {
			defer func() {
				if got := recover(); got != nil {
					recovered++
					if got != "listener" {
						t.Errorf("recovered %v, want the listener's own panic", got)
					}
				}
			}()
			r.run(1, payment, down("a"))
		}()
	}
	if panics != 1 || recovered != 1 {
		t.Fatalf("%d panics and %d recovered, want one that came out of Done", panics, recovered)
	}
	wantIDs(t, "ejected", r.ejected(), "a")
	for _, s := range r.sel.Nodes() {
		if s.InFlight != 0 {
			t.Errorf("%s: %d in flight after the panic", s.Node, s.InFlight)
		}
	}
	r.source.report(nil, errSource)
	if last := heard[len(heard)-1]; last != "source failed <nil>" {
		t.Errorf("heard %q last, want the event after the panic", last)
	}
	r.pass(time.Minute)
	r.run(2, errand, well)
	wantIDs(t, "ejected after a probe", r.ejected())
}
