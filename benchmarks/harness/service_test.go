package harness

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Service times have the mean and the spread that were asked for, and are the
// same for the same attempt.
func TestServiceTimes(t *testing.T) {
	s := Service{Mean: 10 * time.Millisecond, CV: 0.3, Seed: 5}
	const n = 20_000
	var total, squares float64
	for i := range n {
		x := s.draw(Request{ID: fmt.Sprint("g", i), Attempt: 1}, "a").Seconds() * 1000
		total += x
		squares += x * x
	}
	mean := total / n
	cv := math.Sqrt(squares/n-mean*mean) / mean
	if math.Abs(mean-10) > 0.1 || math.Abs(cv-0.3) > 0.01 {
		t.Errorf("mean %v ms, CV %v; want 10 and 0.3", mean, cv)
	}
	req := Request{ID: "g1", Attempt: 1}
	first := s.draw(req, "a")
	if again := s.draw(req, "a"); again != first {
		t.Errorf("the same attempt draws %v and %v", first, again)
	}
	if second := (Request{ID: "g1", Attempt: 2}); first == s.draw(second, "a") || first == s.draw(req, "b") {
		t.Error("another attempt, or another node, draws the same service time")
	}
	if d := (Service{Mean: time.Second}).draw(req, "a"); d != time.Second {
		t.Errorf("CV 0 draws %v, want the mean", d)
	}
	spread := s.spread()
	if median := spread[len(spread)/2].Seconds() * 1000; !slices.IsSorted(spread) || math.Abs(median-10/math.Sqrt(1.09)) > 0.05 {
		t.Errorf("median of the spread %v, sorted %v", median, slices.IsSorted(spread))
	}
}

// As many work as there are workers, as many wait as there is room, first in
// first out; the next is turned away.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(Service{Workers: 1, Queue: 2})
		if !q.enter() || q.idle() {
			t.Fatal("the first does not get the worker")
		}
		var order []int
		for i := range 2 {
			go func() {
				if !q.enter() {
					t.Error("no room though two may wait")
				}
				order = append(order, i)
			}()
			synctest.Wait()
		}
		if q.enter() {
			t.Error("a third may wait")
		}
		q.leave()
		synctest.Wait()
		if !slices.Equal(order, []int{0}) {
			t.Errorf("order %v, want the one that came first", order)
		}
		q.resize(2) // the other one's turn comes by it
		synctest.Wait()
		if !slices.Equal(order, []int{0, 1}) {
			t.Errorf("order %v", order)
		}
		q.leave()
		q.leave()
		if !q.idle() {
			t.Error("not idle when all have left")
		}
	})
}

// Fewer workers let those at work go on, and take nobody new.
func TestQueueShrinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(Service{Workers: 2, Queue: 1})
		q.enter()
		q.enter()
		q.resize(1)
		in := false
		go func() { in = q.enter() }()
		synctest.Wait()
		q.leave()
		synctest.Wait()
		if in {
			t.Error("two are at work, with one worker")
		}
		q.leave()
		synctest.Wait()
		if !in {
			t.Error("nobody is at work, and one waits")
		}
	})
}

func TestQueueWithoutBounds(t *testing.T) {
	q := newQueue(Service{})
	for range 1000 {
		if !q.enter() {
			t.Fatal("turned away")
		}
	}
}

// What illness hits is what was asked for, and the same for the same attempt.
func TestIllnessDraws(t *testing.T) {
	list := List
	s := Service{Seed: 3}
	sick := Illness{Errors: 0.3, Route: &list, Lose: 0.5}
	const n = 10_000
	fails, after, loses := 0, 0, 0
	for i := range n {
		f := sick.draw(s, Request{Route: List, ID: fmt.Sprint("l", i)}, "a")
		if f != sick.draw(s, Request{Route: List, ID: fmt.Sprint("l", i)}, "a") {
			t.Fatal("the same attempt has two fates")
		}
		if f.fails {
			fails++
			if f.afterEffect {
				after++
			}
		}
		if f.loses {
			loses++
		}
		if sick.draw(s, Request{Route: Get, ID: fmt.Sprint("g", i)}, "a").fails {
			t.Fatal("another method fails")
		}
	}
	for name, share := range map[string][2]float64{
		"errors": {float64(fails) / n, 0.3}, "after their effect": {float64(after) / float64(fails), 0.5}, "lost": {float64(loses) / n, 0.5},
	} {
		if math.Abs(share[0]-share[1]) > 0.03 {
			t.Errorf("%s: %v, want %v", name, share[0], share[1])
		}
	}
	var healthy *Illness
	if f := healthy.draw(s, Request{}, "a"); f != (fate{}) || healthy.slower() != 1 {
		t.Errorf("health: %+v, %v times slower", f, healthy.slower())
	}
}
