package sim

import (
	"math"
	"time"

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
	orphans []dial

	bursts map[int]*burst // by client
}

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
	orphans := n.orphans
	n.orphans = nil
	for _, d := range orphans {
		if now-d.lost <= dialTime {
			n.orphan(d.client, d.lost)
		}
	}
	for j := n.jobs.first; j != nil; j = j.next {
		if j.state == dialing || j.replyAt <= now {
			j.wake(now)
		}
	}
}
