package sim

import (
	"math"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/retry"
)

// node is a process that serves: workers behind a queue, and what is wrong
// with it.
type node struct {
	w     *world
	index int

	// What the script has done to it; each counts, since faults may overlap.
	// All but down and cut end with the process.
	down, refusing, stopped int
	ending                  int     // it drains: answers say that the connection ends
	cut                     float64 // share of the clients that do not reach it
	ill                     illness
	illOf                   int            // the fault that made it ill; 0: none
	process                 uint32         // counts them
	held                    map[int]uint32 // by fault: to which process it is done; none: to none

	life    uint32 // connections are of one life of the node
	workers int    // that there are now; 0: no bound
	busy    int
	waiting []*job
	jobs    list // all that have come and are not over
	dialers int  // of these, those that dial in vain

	bursts map[int]*burst // by client
}

// burst is failures that come together.
type burst struct {
	left  int
	until int64
}

const burstTime = int64(10 * time.Millisecond)

// forever is the instant that never comes.
const forever = int64(math.MaxInt64)

// job is one attempt at a node.
type job struct {
	prev, next *job
	node       *node
	call       *call
	number     int // of the attempt
	life       uint32
	sent       bool // a connection was obtained
	handed     bool // another's, while it dialled in vain

	caller  clock.Sleeper // who waits; nobody once it has given up
	replyAt int64         // when the caller hears of it; forever: not known yet
	given   bool          // the caller has given up
	cutOff  bool          // by its timeout

	state    state
	frozen   bool  // running, in a node that is stopped
	begun    int64 // when the node sees it
	finish   int64 // when the node is done with it
	effectAt int64
	effect   bool // it has one to come
	fate     fate
	alarm    func() bool // stops what completes it; nil: none
}

// state is how far a job is.
type state uint8

const (
	dialing state = iota // and on the wire in vain
	arrived              // the node is frozen and has not read it
	queued
	running
	over  // the node has answered
	reset // the connection broke
)

// fate is how a job ends.
type fate uint8

const (
	good fate = iota
	failsFirst
	failsAfter // its effect
	overloaded
	lostReply
	silentReply
)

// list is an intrusive list of jobs.
type list struct{ first, last *job }

func (l *list) add(j *job) {
	j.prev, j.next = l.last, nil
	if l.last != nil {
		l.last.next = j
	} else {
		l.first = j
	}
	l.last = j
}

func (l *list) remove(j *job) {
	if j.prev != nil {
		j.prev.next = j.next
	} else {
		l.first = j.next
	}
	if j.next != nil {
		j.next.prev = j.prev
	} else {
		l.last = j.prev
	}
	j.prev, j.next = nil, nil
}

// refuses reports whether nobody listens.
func (n *node) refuses() bool { return n.down > 0 || n.refusing > 0 }

// hidden reports whether packets between the node and a client vanish.
func (n *node) hidden(client int) bool {
	return n.cut > 0 && float64(client) < n.cut*float64(n.w.sys.Clients)
}

// arrive is a request that reaches the node when its connection stands and
// half the wire is behind it.
func (n *node) arrive(j *job, lead int64) {
	j.begun = n.w.now() + lead + n.w.wire/2
	j.replyAt = forever
	if n.stopped > 0 {
		j.state = arrived
		return
	}
	n.enter(j)
}

// enter is a job that the node has read.
func (n *node) enter(j *job) {
	n.w.m.begun(j)
	switch {
	case n.workers == 0 || n.busy < n.workers:
		n.start(j)
	case len(n.waiting) < n.w.sys.Service.Queue:
		j.state = queued
		n.waiting = append(n.waiting, j)
	default:
		j.fate = overloaded
		n.start(j)
	}
}

// start begins the work on a job.
func (n *node) start(j *job) {
	w := n.w
	from := max(w.now(), j.begun)
	if j.fate == overloaded {
		if j.state = over; j.given {
			n.settle(j)
		} else {
			j.reply(from)
		}
		return
	}
	if n.workers > 0 {
		n.busy++
	}
	j.state = running
	m := &w.sys.Methods[j.call.method]
	work := n.luck(j, m)
	j.effect = work > 0 && m.Kind != retry.Safe
	j.effectAt, j.finish = from+work/2, from+work
	if j.effect && n.ill.die != "" {
		n.light(j)
	}
	n.work(j)
}

// work has a job completed when it is finished. Where workers are not counted,
// the caller does that, as long as there is one.
func (n *node) work(j *job) {
	if n.workers == 0 && !j.given {
		j.reply(j.finish)
		return
	}
	j.alarm = n.w.clk.AfterFunc(time.Duration(max(j.finish-n.w.now(), 0)), func() { n.complete(j) })
}

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

// reply has the caller hear of a job that is finished then. It wakes one that
// sleeps; one that is just sending will look.
func (j *job) reply(finish int64) {
	j.replyAt = finish + j.node.w.wire - j.node.w.wire/2
	if j.fate == silentReply {
		j.replyAt = forever
	}
	j.wake(j.replyAt)
}

func (j *job) wake(at int64) {
	d := at
	if at != forever {
		d -= j.node.w.now()
	}
	j.caller.WakeIn(time.Duration(d))
}

// complete is the end of the work on a job.
func (n *node) complete(j *job) {
	j.alarm = nil
	if n.workers > 0 {
		n.busy--
	}
	if j.given {
		n.settle(j)
	} else {
		j.state = over
		j.reply(n.w.now())
	}
	n.admit()
}

// admit lets those who wait begin, as far as there are workers.
func (n *node) admit() {
	for len(n.waiting) > 0 && (n.workers == 0 || n.busy < n.workers) && n.stopped == 0 {
		j := n.waiting[0]
		n.waiting = n.waiting[1:]
		n.start(j)
	}
}

// settle is the end of a job whose caller has gone, or has just been woken.
func (n *node) settle(j *job) {
	if j.effect {
		n.w.apply(j)
	}
	n.jobs.remove(j)
	if j.given {
		n.w.freeJob(j)
	}
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

// resize follows the illness.
func (n *node) resize() {
	all := n.w.sys.Service.Workers
	if all == 0 {
		return
	}
	if n.workers = all; n.ill.capacity > 0 {
		n.workers = max(1, int(math.Round(n.ill.capacity*float64(all))))
	}
	n.admit()
}

// tell wakes those who try in vain: packets come through.
func (n *node) tell() {
	now := n.w.now()
	for j := n.jobs.first; j != nil; j = j.next {
		if j.state == dialing || j.replyAt <= now {
			j.wake(now)
		}
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
