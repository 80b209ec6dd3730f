package sim

import (
	"math"
	"time"
)

// burst is failures that come together.
type burst struct {
	left  int
	until int64
}

const burstTime = int64(10 * time.Millisecond)

// luck draws what becomes of a job, and how long it takes.
func (n *node) luck(j *job, m *Method) (work int64) {
	w := n.w
	if w.sys.replay != nil {
		work = int64(w.sys.replay.luck(j))
	} else {
		n.doom(j, m)
		work = int64(float64(w.times.at(uniform(w.draw(aboutWork, j)))) * m.Slow)
	}
	switch {
	case j.fate == failsFirst:
		return 0
	case n.ill.slow > 0:
		return int64(float64(work) * n.ill.slow)
	}
	return work
}

// doom draws what becomes of a job, from illness first.
func (n *node) doom(j *job, m *Method) {
	w := n.w
	fails := func(about uint64, share float64) {
		if h := w.draw(about, j); j.fate == good && uniform(h) < share {
			if j.fate = failsFirst; h&1 == 0 {
				j.fate = failsAfter
			}
		}
	}
	if ill := &n.ill; n.illOf != 0 {
		if ill.errors > 0 && (ill.method == "" || ill.method == m.Name) {
			fails(aboutErrors, ill.errors)
		}
		if j.fate == good && ill.lose > 0 && uniform(w.draw(aboutLoss, j)) < ill.lose {
			if j.fate = lostReply; ill.silent {
				j.fate = silentReply
			}
		}
	}
	if m.Errors <= 0 {
		return
	}
	if m.Burst <= 1 {
		fails(aboutHealthyErrors, m.Errors)
		return
	}
	n.burst(j, m, fails)
}

// burst makes failures that come together: each has on average Burst-1 others
// behind it, a geometric number.
func (n *node) burst(j *job, m *Method, fails func(uint64, float64)) {
	w := n.w
	if b := n.bursts[j.call.client]; b != nil {
		if w.now() <= b.until {
			if b.left--; b.left == 0 {
				delete(n.bursts, j.call.client)
			}
			fails(aboutHealthyErrors, 1)
			return
		}
		delete(n.bursts, j.call.client)
	}
	was := j.fate
	fails(aboutHealthyErrors, m.Errors/(m.Burst-m.Errors*(m.Burst-1))) // of those that no burst hits
	if j.fate == was {
		return
	}
	more := int(math.Log(uniform(w.draw(aboutBurst, j))) / math.Log(1-1/m.Burst))
	if more > 0 {
		if n.bursts == nil {
			n.bursts = map[int]*burst{}
		}
		n.bursts[j.call.client] = &burst{more, w.now() + burstTime}
	}
}
