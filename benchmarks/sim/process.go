package sim

import (
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// What can be done to a node's process.

// kill ends the process: what it works on is lost, connections break, and what
// was done to it is over.
func (n *node) kill() {
	if n.down++; n.down > 1 {
		return
	}
	n.shut()
	now := n.w.now()
	for j := n.jobs.first; j != nil; {
		next := j.next
		n.lose(j, now)
		j = next
	}
	n.process++
	n.busy, n.waiting = 0, nil
	n.refusing, n.stopped, n.ending = 0, 0, 0
	n.ill, n.illOf = illness{}, 0
	clear(n.bursts)
	n.resize()
}

// answered reports whether the node has done with a job, whether or not its
// caller has heard of it.
func (n *node) answered(j *job, now int64) bool {
	return j.state == over || j.state == running && n.workers == 0 && !j.frozen && j.finish <= now
}

// lose is a job of a process or a connection that ends.
func (n *node) lose(j *job, now int64) {
	if j.state == dialing || j.state == reset || n.answered(j, now) {
		return
	}
	if j.alarm != nil {
		j.alarm()
		j.alarm = nil
	}
	if j.effect && !j.frozen && j.effectAt <= now {
		n.w.apply(j)
	}
	if j.state != arrived && j.begun > now { // it was on the wire
		n.w.m.unbegun(j)
	}
	j.effect, j.frozen = false, false
	j.state = reset
	if j.given {
		n.jobs.remove(j)
		n.w.freeJob(j)
		return
	}
	j.replyAt = now + n.w.wire/2
	j.wake(j.replyAt)
}

// revive starts a process that knows nothing of before.
func (n *node) revive() {
	if n.down--; n.down == 0 {
		n.shut()
	}
}

// shut ends idle connections, and makes those in use end after their answer.
func (n *node) shut() {
	n.life++
	n.w.conns.drop(n.index)
}

// refuse closes the port. Requests on the wire to a connection in the moment
// of its end are not seen.
func (n *node) refuse() {
	n.refusing++
	n.shut()
	now := n.w.now()
	for j := n.jobs.first; j != nil; {
		next := j.next
		if j.state != dialing && j.state != arrived && j.begun > now && !n.answered(j, now) {
			n.unread(j)
			n.lose(j, now)
		}
		j = next
	}
	n.admit()
}

// unread takes a job away from the workers.
func (n *node) unread(j *job) {
	switch {
	case j.state == running && n.workers > 0:
		n.busy--
	case j.state == queued:
		for i, x := range n.waiting {
			if x == j {
				n.waiting = append(n.waiting[:i:i], n.waiting[i+1:]...)
				break
			}
		}
	}
}

// stop freezes the process: the work of others goes on, its own does not.
func (n *node) stop() {
	if n.stopped++; n.stopped > 1 {
		return
	}
	now := n.w.now()
	for j := n.jobs.first; j != nil; j = j.next {
		if j.state == running && j.finish > now {
			n.freeze(j, now)
		}
	}
}

func (n *node) freeze(j *job, now int64) {
	j.frozen = true
	if j.alarm != nil {
		j.alarm()
		j.alarm = nil
	}
	if j.effect && j.effectAt <= now {
		n.w.apply(j)
	}
	j.replyAt = forever
	j.wake(forever)
}

// resume lets it go on: timers that ran out meanwhile have, as for any process
// that was stopped.
func (n *node) resume() {
	if n.stopped--; n.stopped > 0 {
		return
	}
	n.admit()
	now := n.w.now()
	for j := n.jobs.first; j != nil; {
		next := j.next
		switch {
		case j.frozen:
			j.frozen = false
			j.effectAt, j.finish = max(j.effectAt, now), max(j.finish, now)
			n.work(j)
		case j.state == arrived:
			j.begun = now
			n.enter(j)
		}
		j = next
	}
}

// fuseTime is how long a node that shall die of the next effect waits for one,
// as in package harness.
const fuseTime = 300 * time.Millisecond

// arm lights what is under way, and kills the node from outside if nothing
// else does.
func (n *node) arm() {
	of := n.illOf
	for j := n.jobs.first; j != nil; j = j.next {
		if j.state == running && j.effect && j.effectAt > n.w.now() {
			n.light(j)
		}
	}
	n.w.clk.AfterFunc(fuseTime, func() { n.blow(of) })
}

// light has the job kill the node at the point.
func (n *node) light(j *job) {
	of, at := n.illOf, j.finish
	if n.ill.die != harness.AfterAnswer {
		at = j.effectAt
	}
	before := n.ill.die == harness.BeforeEffect
	c, number := j.call, j.number
	n.w.clk.AfterFunc(time.Duration(at-n.w.now()), func() {
		if j.call != c || j.number != number || j.node != n || j.frozen || j.state != running && j.state != over {
			return // it came to another end
		}
		if before && n.illOf == of {
			j.effect = false
		}
		n.blow(of)
	})
}

// blow kills the node, if nothing has yet.
func (n *node) blow(of int) {
	if n.illOf != of || n.ill.die == "" {
		return
	}
	n.w.m.died(n.index, of)
	n.kill()
	n.held[of] = n.process // it ends with the fault
}
