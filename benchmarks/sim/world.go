package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/resilience"
)

// world is one run.
type world struct {
	sys   System
	seed  uint64
	clk   *clock.Virtual
	begin int64 // of the run, as the clock has it
	wire  int64
	times times

	nodes   []node
	clients []client
	conns   conns
	m       measure

	observer func(client int) resilience.Observer // nil: nobody listens

	arrivals stream
	shares   []float64 // of the methods, summed up
	highest  float64   // rate
	due      int64
	alarm    clock.Alarm // of the next arrival
	arrive   func()
	calls    uint64

	freeCalls []*call
	freeJobs  []*job
}

// client makes calls: ours, or a peer.
type client interface {
	do(ctx context.Context, c *call) error
	close()
}

// call is one request of the load.
type call struct {
	w      *world
	id     uint64
	due    int64
	method int
	client int

	applied int  // effects
	jobs    int  // that are not over
	ended   bool // the caller has its answer
	ok      bool

	run     func()          // the whole of it; made once, as the next two
	attempt resilience.Func // one of it, by our own client
	end     func()          // of the term
	term    clock.Term      // the caller's timeout
}

func (c *call) repeatable() bool { return c.w.sys.Methods[c.method].Kind.Repeatable() }

func newWorld(s System, seed uint64, observer func(int) resilience.Observer) (*world, error) {
	w := &world{
		sys: s, seed: hash(seed), clk: clock.NewVirtual(seed), wire: max(0, int64(s.Wire)), times: timesOf(s.Service),
		nodes: make([]node, s.Nodes), conns: conns{make([]uint8, s.Nodes*s.Clients), s.Clients},
		arrivals: stream{seed: hash(seed, 1)}, highest: s.Rate, observer: observer,
	}
	w.begin = w.clk.Mono()
	for i := range w.nodes {
		w.nodes[i] = node{w: w, index: i, workers: s.Service.Workers, held: map[int]uint32{}}
	}
	total := 0.0
	for _, m := range s.Methods {
		total += m.Share
		w.shares = append(w.shares, total)
	}
	for _, g := range s.Surges {
		w.highest = max(w.highest, s.Rate*g.Times)
	}
	w.m.prepare(w)
	w.m.r.Seed = seed
	dial, err := w.maker()
	for i := 0; err == nil && i < s.Clients; i++ {
		var c client
		if c, err = dial(i); err == nil {
			w.clients = append(w.clients, c)
		}
	}
	if err != nil {
		w.close()
		return nil, err
	}
	if s.Nodes*s.Clients >= manyPairs {
		hugePages()
	}
	return w, nil
}

// manyPairs of client and node do not fit in the processor's caches.
const manyPairs = 20_000

// now is the present, from the beginning of the run.
func (w *world) now() int64 { return w.clk.Mono() - w.begin }

// run runs it all.
func (w *world) run() (*Result, error) {
	defer w.close()
	w.script()
	w.arrive = w.arrival
	w.next()
	w.clk.Wait()
	return w.m.result(), nil
}

func (w *world) close() {
	for _, c := range w.clients {
		c.close()
	}
	w.clk.Close()
}

// next schedules the next arrival.
func (w *world) next() {
	if r := w.sys.replay; r != nil {
		if w.calls == uint64(len(r.requests)) {
			return
		}
		w.due = int64(r.requests[w.calls].Due)
		w.wait()
		return
	}
	for {
		gap := exp(w.arrivals.next(), float64(time.Second)/w.highest)
		w.due += max(1, int64(gap))
		if w.due >= int64(w.sys.Total()) {
			return
		}
		// Thinned, it is still Poisson.
		if w.highest == w.sys.Rate && len(w.sys.Surges) == 0 || uniform(w.arrivals.next())*w.highest < w.rate(time.Duration(w.due)) {
			break
		}
	}
	w.wait()
}

// wait has the next call come when it is due.
func (w *world) wait() {
	w.alarm.Set(w.clk, w.begin+w.due, time.Duration(w.due-w.now()), w.arrive)
}

func (w *world) rate(at time.Duration) float64 {
	for _, g := range w.sys.Surges {
		if at >= g.From && at < g.To {
			return w.sys.Rate * g.Times
		}
	}
	return w.sys.Rate
}

// arrival is a call that is due.
func (w *world) arrival() {
	c := w.newCall()
	c.id, c.due = w.calls, w.due
	w.calls++
	if w.sys.replay != nil {
		w.sys.replay.fill(c)
	} else {
		w.ask(c)
	}
	w.m.due(c)
	w.next()
	if r := w.sys.replay; r != nil {
		if late := r.lag.behind(uniform(hash(w.seed, aboutLag, c.id))); late > 0 {
			w.clk.AfterFunc(late, func() { w.clk.Go(c.run) })
			return
		}
	}
	w.clk.Go(c.run)
}

// ask draws what a call is.
func (w *world) ask(c *call) {
	h := w.arrivals.next()
	c.client = int(h >> 32 * uint64(w.sys.Clients) >> 32)
	c.method = 0
	for at := uniform(h<<32) * w.shares[len(w.shares)-1]; c.method < len(w.shares)-1 && at >= w.shares[c.method]; {
		c.method++
	}
}

func (w *world) newCall() *call {
	if n := len(w.freeCalls); n > 0 {
		c := w.freeCalls[n-1]
		w.freeCalls = w.freeCalls[:n-1]
		return c
	}
	c := &call{w: w}
	c.run, c.end = c.make, c.term.End
	c.attempt = func(ctx context.Context, rc *resilience.Call) error {
		return w.attempt(ctx, c, nodeIndex(rc.Node.ID), rc.Attempt, rc)
	}
	return c
}

// make makes the call.
func (c *call) make() {
	ctx, cancel := context.Background(), func() {}
	switch t := c.w.sys.Timeout; {
	case t <= 0:
	case c.w.sys.Client.Stack == Holdfast: // which keeps no context
		ctx, cancel = c.term.Begin(ctx, c.w.clk, t), c.end
	default:
		ctx, cancel = c.w.clk.WithTimeout(ctx, t)
	}
	err := c.w.clients[c.client].do(ctx, c)
	cancel()
	c.ended, c.ok = true, err == nil
	c.w.m.done(c)
	c.release()
}

// release puts the call back when nothing needs it any more.
func (c *call) release() {
	if c.ended && c.jobs == 0 {
		c.applied, c.ended, c.ok = 0, false, false
		c.w.freeCalls = append(c.w.freeCalls, c)
	}
}

// apply is the effect of an attempt. A server that keeps keys has it once.
func (w *world) apply(j *job) {
	j.effect = false
	c := j.call
	if c.applied > 0 && w.keyed(c) {
		return
	}
	c.applied++
	w.m.applied(c)
}

func (w *world) newJob(c *call, n *node, number int) *job {
	var j *job
	if k := len(w.freeJobs); k > 0 {
		j = w.freeJobs[k-1]
		w.freeJobs = w.freeJobs[:k-1]
		*j = job{}
	} else {
		j = new(job)
	}
	j.node, j.call, j.number, j.replyAt = n, c, number, forever
	c.jobs++
	n.jobs.add(j)
	return j
}

func (w *world) freeJob(j *job) {
	c := j.call
	c.jobs--
	c.release()
	w.freeJobs = append(w.freeJobs, j)
}

// nodeName is what the harness calls its instances.
func nodeName(i int) string { return fmt.Sprintf("hello-%d", i+1) }

// nodeIndex is the inverse of nodeName.
func nodeIndex(id string) int {
	i := 0
	for _, c := range []byte(id[len("hello-"):]) {
		i = 10*i + int(c-'0')
	}
	return i - 1
}
