package clock

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTimersModel arms, disarms and pops at random beside a sorted slice.
func TestTimersModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		var h timers
		var model []due
		span := 1 + rng.Int64N(100) // small spans make ties
		for range 500 {
			switch k := rng.IntN(10); {
			case k < 5:
				tm := new(timer)
				at := rng.Int64N(span)
				h.arm(tm, at)
				model = append(model, due{at: at, seq: h.seq, t: tm})
			case k < 7 && len(model) > 0:
				i := rng.IntN(len(model))
				h.disarm(model[i].t)
				h.disarm(model[i].t) // twice is once
				model = slices.Delete(model, i, i+1)
			case len(model) > 0:
				i := 0
				for j := range model {
					if model[j].before(model[i]) {
						i = j
					}
				}
				if got := h.heap[0]; got != model[i] || h.next() != model[i].at {
					t.Fatalf("round %d: the top is %v, want %v", round, got, model[i])
				}
				h.disarm(model[i].t)
				model = slices.Delete(model, i, i+1)
			}
			if len(h.heap) != len(model) {
				t.Fatalf("round %d: %d armed, want %d", round, len(h.heap), len(model))
			}
			for i, d := range h.heap {
				if d.t.pos != i+1 {
					t.Fatalf("round %d: timer at %d says %d", round, i, d.t.pos-1)
				}
			}
		}
	}
}

func TestTimersForever(t *testing.T) {
	var h timers
	var tm timer
	h.arm(&tm, forever)
	if len(h.heap) != 0 || tm.pos != 0 || h.next() != forever {
		t.Fatal("an instant that never comes takes a place in the heap")
	}
}

type numbered int

func (numbered) fire(*Virtual) {}

func TestQueueKeepsOrderWhileItGrowsAndWraps(t *testing.T) {
	var q queue
	in, out := 0, 0
	for round := range 300 {
		for range round % 37 {
			q.push(numbered(in))
			in++
		}
		for range min(q.n, round%31) {
			if got := q.pop(); got != numbered(out) {
				t.Fatalf("got %v, want %d", got, out)
			}
			out++
		}
	}
	for ; q.n > 0; out++ {
		if got := q.pop(); got != numbered(out) {
			t.Fatalf("got %v, want %d", got, out)
		}
	}
	if out != in || in < 1000 {
		t.Fatalf("%d in, %d out", in, out)
	}
}
