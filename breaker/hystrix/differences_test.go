package hystrix

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/afex/hystrix-go/hystrix"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
)

// side is a circuit: the library's or the native one.
type side struct {
	// ask asks for a call. end says what became of it: nil if it was turned
	// away, and then the short circuit has been reported.
	ask func() (end func(outcome))
	// turnedAway asks, is rejected, and reports it when its fallback has ended.
	turnedAway func() (fallbackEnded func())
}

// call makes calls, one after another, that end so. Those that are turned away
// end nothing.
func (s side) call(n int, o outcome) {
	for range n {
		if end := s.ask(); end != nil {
			end(o)
		}
	}
}

// admits reports whether a call that says nothing passes.
func (s side) admits() bool {
	end := s.ask()
	return end != nil
}

// wait lets time pass in a bubble.
func wait(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // synctest bubble

// differences show each Difference. Played on the library they end with the harm
// it does.
var differences = []struct {
	name   string // what the library does
	about  defect
	cfg    CommandConfig
	admits func(s side) bool
	ours   bool // what the native breaker does; the library does the other
}{
	{"a success from before closes it within the sleep window", oldSuccess, CommandConfig{RequestVolumeThreshold: 2}, func(s side) bool {
		old := s.ask()
		s.call(2, failed)
		s.admits()
		old(succeeded)
		return s.admits()
	}, false},
	{"successes from before excuse what fails now", oldSuccess, CommandConfig{RequestVolumeThreshold: 3}, func(s side) bool {
		var old []func(outcome)
		for range 10 {
			old = append(old, s.ask())
		}
		s.call(3, failed)
		s.admits()
		wait(6 * time.Second)
		s.call(1, succeeded)
		wait(12 * time.Second)
		s.call(2, failed)
		for _, end := range old {
			end(succeeded)
		}
		s.call(1, failed)
		return s.admits()
	}, false},
	{"a success opens it", judgedWhenAsked, CommandConfig{RequestVolumeThreshold: 4}, func(s side) bool {
		s.call(3, failed)
		s.call(1, succeeded)
		return s.admits()
	}, true},
	{"it opens long after the last failure, for another sleep window", judgedWhenAsked, CommandConfig{RequestVolumeThreshold: 4}, func(s side) bool {
		s.call(4, failed)
		wait(8 * time.Second)
		return s.admits()
	}, true},
	{"it opens because old successes are forgotten, without anything new", judgedWhenAsked, CommandConfig{RequestVolumeThreshold: 2}, func(s side) bool {
		s.call(5, succeeded)
		wait(5 * time.Second)
		s.call(2, failed)
		wait(6 * time.Second)
		return s.admits()
	}, true},
	{"it forgets that everything failed, if nobody asks for a while", judgedWhenAsked, CommandConfig{RequestVolumeThreshold: 4, SleepWindow: 60_000}, func(s side) bool {
		s.call(4, failed)
		wait(20 * time.Second)
		return s.admits()
	}, false},
	{"errors of a second ago too many open it, with four of four calls well", lateErrors, CommandConfig{RequestVolumeThreshold: 4}, func(s side) bool {
		s.call(7, succeeded)
		s.call(3, failed)
		wait(10 * time.Second)
		s.call(4, succeeded)
		return s.admits()
	}, true},
	{"calls that are given up look healthy: every other has failed, and it stays closed", cancelled, CommandConfig{RequestVolumeThreshold: 4}, func(s side) bool {
		for range 10 {
			s.call(3, wasCancelled)
			s.call(1, failed)
		}
		return s.admits()
	}, false},
	{"a probe that is given up costs another sleep window", cancelled, CommandConfig{RequestVolumeThreshold: 2}, func(s side) bool {
		s.call(2, failed)
		s.admits()
		wait(6 * time.Second)
		s.call(1, wasCancelled)
		return s.admits()
	}, true},
	{"a burst that finds the pool full opens the circuit of a healthy service", turnedAway, CommandConfig{RequestVolumeThreshold: 4}, func(s side) bool {
		s.call(4, wasRejected)
		return s.admits()
	}, true},
	{"short circuits whose fallbacks are slow open it again", turnedAway, CommandConfig{RequestVolumeThreshold: 4}, func(s side) bool {
		s.call(4, failed)
		s.admits()
		var slow []func()
		for range 5 {
			slow = append(slow, s.turnedAway())
		}
		wait(6 * time.Second)
		s.call(1, succeeded)
		for _, ended := range slow {
			ended()
		}
		return s.admits()
	}, true},
	{"a second probe goes out while the first still waits", probesStart, CommandConfig{RequestVolumeThreshold: 2, SleepWindow: 1000, Timeout: 60_000}, func(s side) bool {
		s.call(2, failed)
		s.admits()
		wait(1500 * time.Millisecond)
		s.ask()
		wait(1500 * time.Millisecond)
		return s.admits()
	}, false},
	{"a probe that failed slowly is followed by another at once", probesStart, CommandConfig{RequestVolumeThreshold: 2, SleepWindow: 1000, Timeout: 60_000}, func(s side) bool {
		s.call(2, failed)
		s.admits()
		wait(1500 * time.Millisecond)
		end := s.ask()
		wait(1100 * time.Millisecond)
		end(failed)
		return s.admits()
	}, false},
	{"the success that closed it makes the requests enough, so that one failure opens it again", probeCounts, CommandConfig{RequestVolumeThreshold: 2}, func(s side) bool {
		s.call(2, failed)
		s.admits()
		wait(6 * time.Second)
		s.call(1, succeeded)
		s.call(1, failed)
		return s.admits()
	}, true},
}

func TestDifferences(t *testing.T) {
	type saw struct{ Library, Ours bool }
	all := inBubble(t, func() (all []saw) {
		for i, d := range differences {
			wait(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // the windows move by the second
			all = append(all, saw{d.admits(theLibrary(fmt.Sprint(i), d.cfg)), d.admits(theNative(d.cfg))})
		}
		return all
	})
	shown := map[Difference]bool{}
	for i, d := range differences {
		t.Run(d.name, func(t *testing.T) {
			if all[i].Ours != d.ours {
				t.Errorf("the native breaker admits: %v, want %v", all[i].Ours, d.ours)
			}
			if all[i].Library == d.ours {
				t.Errorf("the library admits: %v, want %v, or there is no difference", all[i].Library, !d.ours)
			}
		})
		shown[difference[d.about]] = true
	}
	for _, d := range Differences() {
		if !shown[d] {
			t.Errorf("not shown: %s", d)
		}
	}
}

func theLibrary(name string, cfg CommandConfig) side {
	hystrix.ConfigureCommand(name, cfg)
	cb, _, _ := hystrix.GetCircuit(name)
	report := func(o outcome) {
		_ = cb.ReportEvent([]string{string(o)}, time.Now(), 0)
		synctest.Wait()
	}
	return side{
		ask: func() func(outcome) {
			if !cb.AllowRequest() {
				report(shortCircuited)
				return nil
			}
			return report
		},
		turnedAway: func() func() {
			if cb.AllowRequest() {
				panic("admitted")
			}
			return func() { report(shortCircuited) }
		},
	}
}

func theNative(cfg CommandConfig) side {
	bc, _, err := Native(cfg)
	if err != nil {
		panic(err)
	}
	bc.Clock = bubbleClock{clock.System}
	b, err := breaker.New("x", bc)
	if err != nil {
		panic(err)
	}
	ask := func() func(outcome) {
		p, _, ok := b.TryAcquire(time.Now())
		if !ok {
			return nil
		}
		return func(o outcome) { p.Done(breaker.Report{Result: resultOf[o]}) }
	}
	return side{ask: ask, turnedAway: func() func() {
		if ask() != nil {
			panic("admitted")
		}
		return func() {}
	}}
}

// resultOf is what a native breaker is told; what is not here is Ignored.
var resultOf = map[outcome]breaker.Result{succeeded: breaker.Success, failed: breaker.Failure}
