package harness

import (
	"fmt"
	"sync"
	"time"
)

// Phase is a part of the experiment.
type Phase string

// The phases. A request belongs to the one in which it was due.
const (
	Before Phase = "before" // all is well
	Down   Phase = "down"   // the fault is in force
	Back   Phase = "back"   // it is undone
)

// Phases are all phases, in order.
var Phases = [...]Phase{Before, Down, Back}

// teller tells Config.Progress how one stack's run stands.
type teller struct {
	listen func(Progress)
	mu     sync.Mutex
	p      Progress
	start  time.Time // of the load
	count  func() (sent, failed int)
	done   chan struct{}
	wg     sync.WaitGroup
}

func newTeller(listen func(Progress), stack string, d time.Duration) *teller {
	return &teller{listen: listen, p: Progress{Stack: stack, Phase: Before, Elapsed: -1, Duration: d}, done: make(chan struct{})}
}

func (t *teller) say(format string, args ...any) { t.tell("", fmt.Sprintf(format, args...)) }

func (t *teller) phase(p Phase, format string, args ...any) { t.tell(p, fmt.Sprintf(format, args...)) }

// entry tells of a node that the client under test has ejected or readmitted.
func (t *teller) entry(e Entry) {
	notice := e.Node + ": " + string(e.Kind)
	if e.Detail != "" {
		notice += " (" + e.Detail + ")"
	}
	t.tell("", notice)
}

func (t *teller) tell(phase Phase, notice string) {
	if t.listen == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if phase != "" {
		t.p.Phase = phase
	}
	p := t.p
	p.Notice = notice
	if t.count != nil {
		p.Elapsed = time.Since(t.start)
		p.Sent, p.Failed = t.count()
	}
	t.listen(p)
}

// begin reports regularly from now on.
func (t *teller) begin(start time.Time, count func() (sent, failed int)) {
	t.mu.Lock()
	t.start, t.count = start, count
	t.mu.Unlock()
	t.wg.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				t.tell("", "")
			case <-t.done:
				return
			}
		}
	})
}

// end reports the end of the load.
func (t *teller) end() { t.tell("", "load ended") }

// close stops the reports.
func (t *teller) close() {
	close(t.done)
	t.wg.Wait()
}
