package sim

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// What attempts fail with, and the evidence of it, as package httpwrap has it.
var (
	errRefused    = resilience.Mark(errors.New("connection refused"), resilience.NotSent)
	errReset      = resilience.Mark(errors.New("connection reset by peer"), resilience.Ambiguous)
	errFailed     = resilience.Mark(errors.New("status 500"), resilience.Ambiguous)
	errOverloaded = resilience.Mark(errors.New("status 503"), resilience.Ambiguous)
	errTrusted    = resilience.Mark(errors.New("status 503"), resilience.Refused)
	errCut        = resilience.Mark(resilience.ErrAttemptTimeout, resilience.Ambiguous)
	errCutUnsent  = resilience.Mark(resilience.ErrAttemptTimeout, resilience.NotSent)
	errLeft       = resilience.Mark(context.DeadlineExceeded, resilience.Abandoned)
	errLeftUnsent = resilience.Mark(context.DeadlineExceeded, leftUnsent())
)

func leftUnsent() resilience.Outcome {
	o := resilience.Abandoned
	o.Effect = retry.None
	return o
}

// maxReplays is how often httpwrap lets net/http send an attempt again.
const maxReplays = 3

// attempt is one of a call at a node: an exchange, or several. net/http itself
// sends a GET again whose connection, one that was kept, ends before the answer.
func (w *world) attempt(ctx context.Context, c *call, index, number int, rc *resilience.Call) error {
	for replays := 0; ; replays++ {
		kept := *w.conns.at(c.client, index) > 0
		err := w.exchange(ctx, c, index, number, rc)
		if replays > 0 && errors.Is(err, errRefused) {
			err = errReset // what came before may have been carried out
		}
		safe := w.sys.Methods[c.method].Kind == retry.Safe
		if !safe || !kept || replays == maxReplays || !errors.Is(err, errReset) || ctx.Err() != nil {
			return err
		}
	}
}

// exchange is one attempt of a call at a node, on a connection that is kept
// or made. rc is the attempt as our own client has it; nil: another's.
func (w *world) exchange(ctx context.Context, c *call, index, number int, rc *resilience.Call) error {
	n := &w.nodes[index]
	j := w.newJob(c, n, number)
	if rc != nil {
		rc.CutBy(j)
	}
	lead := int64(0) // until the connection stands
	if j.sent = w.conns.take(c.client, index); !j.sent {
		if err := j.through(ctx); err != nil {
			return j.giveUp(ctx)
		}
		if !j.handed && n.refuses() {
			if err := j.wait(ctx, w.now()+w.wire/2); err != nil {
				return j.giveUp(ctx)
			}
			j.drop()
			return errRefused
		}
		if j.sent = true; !j.handed {
			lead = w.wire / 4
		}
	}
	j.life = n.life
	if err := j.through(ctx); err != nil {
		return j.giveUp(ctx)
	}
	if j.life != n.life { // it ended meanwhile
		j.drop()
		return errReset
	}
	n.arrive(j, lead)
	for w.now() < j.replyAt || n.hidden(c.client) {
		if w.now() < j.replyAt {
			if err := j.wait(ctx, j.replyAt); err != nil {
				return j.giveUp(ctx)
			}
		} else if err := j.through(ctx); err != nil {
			return j.giveUp(ctx)
		}
	}
	return j.end()
}

// When TCP sends again what nobody has acknowledged, as measured on Linux 6.18
// over a veth: data after 210 ms, and then at twice the time since; a SYN each
// second, five times (tcp_syn_linear_timeouts), then after twice the pause.
const (
	firstRTO   = int64(210 * time.Millisecond)
	eachSYN    = int64(1024 * time.Millisecond)
	linearSYNs = 5
	dialTime   = int64(30 * time.Second) // net/http's
)

// nextData is when what was lost then is sent next.
func nextData(lost, now int64) int64 {
	after := firstRTO
	for lost+after < now {
		after *= 2
	}
	return lost + after
}

// nextSYN is when a SYN that was lost then is sent next.
func nextSYN(lost, now int64) int64 {
	gap, at := eachSYN, lost
	for k := 0; at < now; k++ {
		if k >= linearSYNs {
			gap *= 2
		}
		at += gap
	}
	return at
}

// through waits until packets come through again, and TCP sends the next; of a
// dial, or until another call's connection becomes idle.
func (j *job) through(ctx context.Context) (err error) {
	n, w := j.node, j.node.w
	if !n.hidden(j.call.client) {
		return nil
	}
	next := nextData
	lost := w.now()
	if !j.sent {
		next = nextSYN
		n.dialers++
		defer func() {
			if n.dialers--; err != nil || j.handed {
				n.orphan(j.call.client, lost)
			}
		}()
	}
	for n.hidden(j.call.client) && !j.handed {
		if err := j.wait(ctx, forever); err != nil {
			return err
		}
		for again := next(lost, w.now()); w.now() < again && !n.hidden(j.call.client) && !j.handed; {
			if err := j.wait(ctx, again); err != nil {
				return err
			}
		}
	}
	return nil
}

// dial is one that nobody waits for any more. net/http lets it go on, for
// others.
type dial struct {
	client int
	lost   int64
}

// orphan lets a dial go on.
func (n *node) orphan(client int, lost int64) {
	now := n.w.now()
	if n.hidden(client) {
		for len(n.orphans) > 0 && now-n.orphans[0].lost > dialTime {
			n.orphans = n.orphans[1:]
		}
		n.orphans = append(n.orphans, dial{client, lost})
		return
	}
	n.w.clk.AfterFunc(time.Duration(max(1, nextSYN(lost, now)-now)), func() {
		switch {
		case n.refuses():
		case n.hidden(client):
			n.orphan(client, lost)
		default:
			n.w.idle(n, client)
		}
	})
}

// idle is a connection that nobody uses: who dials in vain does.
func (w *world) idle(n *node, client int) {
	if !n.hand(client) {
		w.conns.put(client, n.index)
	}
}

// hand gives an idle connection to the first who dials the node in vain, as
// net/http does.
func (n *node) hand(client int) bool {
	if n.dialers == 0 {
		return false
	}
	for j := n.jobs.first; j != nil; j = j.next {
		if j.state == dialing && !j.sent && !j.handed && j.call.client == client && !j.cutOff {
			j.handed = true
			j.wake(n.w.now())
			return true
		}
	}
	return false
}

// wait sleeps until then, or until somebody wakes it. It fails if the caller
// gives up.
func (j *job) wait(ctx context.Context, until int64) error {
	w := j.node.w
	d := time.Duration(forever)
	if until != forever {
		d = time.Duration(until - w.now())
	}
	if !j.cutOff {
		j.caller = w.clk.Sleeper()
		err := w.clk.Sleep(ctx, d)
		j.caller = clock.Sleeper{}
		if err != nil {
			return err
		}
	}
	if j.cutOff {
		return errCut
	}
	return nil
}

// Cut implements resilience.Cutter, as httpwrap's attempts do.
func (j *job) Cut(error) bool {
	if j.sent && !j.call.repeatable() {
		return false
	}
	j.cutOff = true
	j.caller.WakeIn(0)
	return true
}

// giveUp leaves the attempt, whose connection is lost by that.
func (j *job) giveUp(ctx context.Context) error {
	sent := j.sent
	j.node.leave(j)
	switch {
	case ctx.Err() == nil && sent:
		return errCut
	case ctx.Err() == nil:
		return errCutUnsent
	case sent:
		return errLeft
	}
	return errLeftUnsent
}

// leave is a caller that gives up. A node that is at work goes on.
func (n *node) leave(j *job) {
	j.given = true
	switch {
	case j.state == dialing:
		j.drop()
	case j.state == reset || n.answered(j, n.w.now()):
		n.settle(j)
	case j.state == running && n.workers == 0 && !j.frozen:
		n.work(j)
	}
}

// drop is an attempt of which the node knows nothing.
func (j *job) drop() {
	j.node.jobs.remove(j)
	j.node.w.freeJob(j)
}

// end reads the answer.
func (j *job) end() error {
	n, w, fate, broken := j.node, j.node.w, j.fate, j.state == reset
	n.settle(j)
	if !broken && fate != lostReply && j.life == n.life && n.ending == 0 && !n.refuses() {
		w.idle(n, j.call.client)
	}
	w.freeJob(j)
	switch {
	case broken, fate == lostReply:
		return errReset
	case fate == failsFirst, fate == failsAfter:
		return errFailed
	case fate == overloaded && w.sys.Client.Settings.TrustRefusals:
		return errTrusted
	case fate == overloaded:
		return errOverloaded
	}
	return nil
}

// conns counts the idle connections of each client to each node.
type conns struct {
	idle    []uint8
	clients int
}

// maxIdle is httpwrap's and the harness's MaxIdleConnsPerHost.
const maxIdle = 64

func (c *conns) at(client, node int) *uint8 { return &c.idle[node*c.clients+client] }

func (c *conns) take(client, node int) bool {
	k := c.at(client, node)
	if *k == 0 {
		return false
	}
	*k--
	return true
}

func (c *conns) put(client, node int) {
	if k := c.at(client, node); *k < maxIdle {
		*k++
	}
}

func (c *conns) drop(node int) { clear(c.idle[node*c.clients : (node+1)*c.clients]) }
