package harness

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Hello is the service behind the experiments, without a protocol: a [Stack]
// gives it one, and [OverHTTP] is the usual one. It is safe for concurrent
// use.
type Hello struct {
	node    string
	ledger  *Ledger
	gate    *gate
	service Service
	effects string // directory with one file a key; empty: keys are not kept
	queue   queue
	illness atomic.Pointer[Illness]
	fuse    atomic.Int32 // the armed fail point; 0: none
	ending  atomic.Bool  // it drains

	mu   sync.Mutex
	late *hdrhistogram.Histogram // by how much service times were overdrawn: the machine's fault
}

func newHello(cfg roleConfig, ledger *Ledger, g *gate) *Hello {
	return &Hello{
		node: cfg.Node.ID, ledger: ledger, gate: g, service: cfg.Service, effects: cfg.Effects, queue: newQueue(cfg.Service), late: newHistogram(),
	}
}

// sicken gives it an illness in place of what it had.
func (h *Hello) sicken(i Illness) {
	h.illness.Store(&i)
	if h.service.Workers > 0 {
		left := h.service.Workers
		if i.Capacity > 0 {
			left = max(1, int(math.Round(i.Capacity*float64(left))))
		}
		h.queue.resize(left)
	}
	h.fuse.Store(int32(max(0, slices.Index(points, i.Die))))
}

// Request is one attempt of a call, as it arrived.
type Request struct {
	Route   Route
	ID      string
	Attempt int    // as the client numbers it; 0: it does not tell
	Key     string // of a POST whose effect is carried out once a key; empty: each time
	Peer    string // remote address of its connection, by which a lost reply is lost; empty: not known
}

// What [Hello.Serve] fails with, besides a request that no ledger can hold.
var (
	ErrOverloaded = errors.New("overloaded: nothing was done") // HTTP 503
	ErrFailed     = errors.New("failed")                       // HTTP 500: it may have been carried out
	ErrReplyLost  = errors.New("the reply is lost")            // the connection is closed by now
)

// Node is the ID of the instance.
func (h *Hello) Node() string { return h.node }

// Healthy is what its health endpoint says. It knows only whether it drains,
// as such endpoints do.
func (h *Hello) Healthy() bool { return !h.ending.Load() }

// Open reports whether it takes new connections: it neither drains nor
// refuses. A server whose connections live on, each with many requests, has to
// say goodbye on them when it does not.
func (h *Hello) Open() bool { return h.Healthy() && h.gate.open() }

// Multiplexed is for servers that serve several requests of a connection at
// once: it is to be called when one begins, and done when it ends, before its
// answer is written. Without it a connection is taken to be idle after each
// answer.
func (h *Hello) Multiplexed(peer string) (done func()) { return h.gate.serving(peer) }

// Serve carries out one attempt of a call and returns its answer, the node's
// ID. It keeps the ledger. As many services do, it goes on when its caller has
// gone.
func (h *Hello) Serve(ctx context.Context, req Request) (string, error) {
	r := Record{Route: req.Route, ID: req.ID, Attempt: req.Attempt, Node: h.node}
	if err := h.write(Begun, r); err != nil {
		return "", err
	}
	if !h.queue.enter() {
		return "", errors.Join(ErrOverloaded, h.write(Refused, r))
	}
	ill := h.illness.Load()
	fate := ill.draw(h.service, req, h.node)
	if fate.fails && !fate.afterEffect {
		h.queue.leave()
		return "", errors.Join(ErrFailed, h.write(Failed, r))
	}
	err := h.carryOut(r, req, time.Duration(float64(h.service.draw(req, h.node))*ill.slower()))
	h.queue.leave()
	if err != nil {
		return "", err
	}
	switch {
	case fate.fails:
		return "", errors.Join(ErrFailed, h.write(Failed, r))
	case fate.loses && ill.Silent:
		if err := h.write(Unheard, r); err != nil {
			return "", err
		}
		<-ctx.Done()
		return "", ErrReplyLost
	case fate.loses:
		err := h.write(Unheard, r)
		h.gate.drop(req.Peer)
		return "", errors.Join(ErrReplyLost, err)
	}
	h.blowAfterAnswer(req)
	if err := h.write(Ended, r); err != nil {
		return "", err
	}
	return h.node, nil
}

// carryOut works, with the effect of a POST half way.
func (h *Hello) carryOut(r Record, req Request, work time.Duration) error {
	if req.Route != Post {
		h.work(work)
		return nil
	}
	h.work(work / 2)
	h.blow(BeforeEffect)
	if err := h.apply(r, req.Key); err != nil {
		return err
	}
	h.blow(AfterEffect)
	h.work(work - work/2)
	return nil
}

func (h *Hello) write(k Kind, r Record) error {
	r.Kind = k
	return h.ledger.Write(r)
}

// work takes d, and keeps how much more it took.
func (h *Hello) work(d time.Duration) {
	begin := time.Now()
	<-time.After(d)
	late := time.Since(begin) - d
	h.mu.Lock()
	defer h.mu.Unlock()
	_ = h.late.RecordValue(clampMicros(late))
}

// lateness is what 99 % of the service times were overdrawn by less than.
func (h *Hello) lateness() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Duration(h.late.ValueAtPercentile(99)) * time.Microsecond
}

// apply carries out the effect. With a key it and the key are committed
// together, by making a file that must be new, which no kill can cut in two:
// the ledger is told by whoever made it, as a database would tell by its rows.
func (h *Hello) apply(r Record, key string) error {
	if key == "" || h.effects == "" {
		return h.write(Applied, r)
	}
	if !word(key) {
		return fmt.Errorf("key %q: want 1 to 64 characters of a-z A-Z 0-9 . _ -", key)
	}
	f, err := os.OpenFile(filepath.Join(h.effects, key), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return h.write(Replayed, r)
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), h.write(Applied, r))
}

// Point is where in a request hello can be made to fate.
type Point string

// The points of a POST, and of any request.
const (
	BeforeEffect Point = "before-effect"
	AfterEffect  Point = "after-effect" // and before the answer
	AfterAnswer  Point = "after-answer" // when it is written
)

var points = []Point{"", BeforeEffect, AfterEffect, AfterAnswer}

// blow kills the process with SIGKILL if this point is armed.
func (h *Hello) blow(p Point) {
	if n := h.fuse.Load(); n > 0 && points[n] == p {
		suicide()
	}
}

func (h *Hello) blowAfterAnswer(req Request) {
	if n := h.fuse.Load(); n > 0 && points[n] == AfterAnswer && req.Route == Post {
		h.gate.afterWrite(req.Peer, suicide)
	}
}

// suicide ends the process as an outside SIGKILL would, and does not return.
func suicide() {
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Signal(syscall.SIGKILL)
	}
	if err != nil {
		os.Exit(137)
	}
	select {}
}
