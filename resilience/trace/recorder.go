package trace

import (
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// Recorder writes the attempts that it hears of to files. It is an Observer of
// any number of clients, safe for concurrent use; make one by [New] and end it
// by Close, after the clients.
type Recorder struct {
	clk    *clock.Real // what it spawns, for Close to wait for
	every  uint64
	flush  time.Duration
	bins   []bin
	free   chan *batch
	full   chan *batch
	tick   chan struct{} // it is time to write what there is
	done   chan struct{} // closed by Close
	closed sync.Once
	files  *files
	err    error // the first of the files, for Close

	written, sampled, lost atomic.Uint64
}

var _ resilience.Observer = (*Recorder)(nil)

// longest is how many bytes of a name are kept.
const longest = 128

// entry is an attempt that waits to be written.
type entry struct {
	start, latency           int64
	node                     *selector.Node
	service, method, outcome string
	attempt, calls           int32
	result                   breaker.Result
}

// batch is as many as are handed over at once.
type batch struct {
	n    int
	list [batchSize]entry
}

const batchSize = 128

// bin is where attempts are put down; there are several, so that few wait for
// each other.
type bin struct {
	mu     sync.Mutex
	filled *batch // nil: none yet, or none was free
	closed bool
	_      [64 - 8 - 8 - 8]byte // a cache line
}

// New makes a Recorder and its first file. The error lists everything wrong
// with cfg, or says why there can be no file.
func New(cfg Config) (*Recorder, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	f := &files{dir: cfg.Dir, size: cfg.FileBytes, keep: cfg.Files, client: cfg.Client, clk: clock.System}
	if err := os.MkdirAll(cfg.Dir, 0o750); err != nil {
		return nil, err
	}
	if err := f.open(); err != nil {
		return nil, err
	}
	r := newRecorder(cfg)
	r.files = f
	r.clk.Go(r.write)
	return r, nil
}

func newRecorder(cfg Config) *Recorder {
	batches := cfg.Buffer / batchSize
	r := &Recorder{
		clk: &clock.Real{}, every: uint64(cfg.Every), flush: cfg.Flush,
		bins: make([]bin, min(4, batches/2)),
		free: make(chan *batch, batches), full: make(chan *batch, batches),
		tick: make(chan struct{}, 1), done: make(chan struct{}),
	}
	all := make([]batch, batches)
	for i := range all {
		r.free <- &all[i]
	}
	return r
}

// Observe implements resilience.Observer: attempts are recorded, all else is
// not.
func (r *Recorder) Observe(e resilience.Event) {
	if e.Kind != resilience.AttemptDone {
		return
	}
	luck, calls := clock.System.Rand(), int32(1)
	if e.Err == nil && r.every > 1 {
		if luck>>32*r.every>>32 != 0 {
			r.sampled.Add(1)
			return
		}
		calls = int32(r.every)
	}
	b := &r.bins[luck%uint64(len(r.bins))]
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.filled == nil {
		if b.filled = r.takeFree(b.closed); b.filled == nil {
			r.lost.Add(1)
			return
		}
	}
	x := &b.filled.list[b.filled.n]
	x.start, x.latency = e.Start.UnixNano(), int64(e.Elapsed)
	x.node, x.service, x.method, x.outcome = e.Node, short(e.Service), short(e.Method), short(e.Outcome.Name)
	x.attempt, x.calls, x.result = int32(min(e.Attempt, 1<<30)), calls, e.Outcome.Node
	if b.filled.n++; b.filled.n == batchSize {
		r.full <- b.filled // there is room for all that exist
		b.filled = nil
	}
}

// Of returns what a recorder records of an event, without the client's name;
// false if that is nothing.
func Of(e resilience.Event) (x Record, ok bool) {
	if e.Kind != resilience.AttemptDone {
		return x, false
	}
	x = Record{
		Start: e.Start, Service: e.Service, Method: e.Method, Outcome: e.Outcome.Name, Result: e.Outcome.Node,
		Latency: e.Elapsed, Attempt: e.Attempt, Calls: 1,
	}
	if e.Node != nil {
		x.Node = e.Node.ID
	}
	return x, true
}

func (r *Recorder) takeFree(closed bool) *batch {
	if closed {
		return nil
	}
	select {
	case b := <-r.free:
		return b
	default:
		return nil
	}
}

// short bounds a name, and what a part of it keeps alive.
func short(s string) string {
	if len(s) <= longest {
		return s
	}
	return strings.Clone(s[:longest])
}

// Counters returns what the recorder has come to. Attempts that wait to be
// written are in none of them.
func (r *Recorder) Counters() Counters {
	return Counters{Written: r.written.Load(), Sampled: r.sampled.Load(), Lost: r.lost.Load()}
}

// Close writes what waits and closes the file. It returns what went wrong with
// the files, from the beginning. Attempts that end later are lost.
func (r *Recorder) Close() error {
	r.closed.Do(func() { close(r.done) })
	r.clk.Wait()
	return r.err
}

// write writes what comes, until Close.
func (r *Recorder) write() {
	stop := r.arm()
	defer func() { stop() }()
	told := uint64(0) // of those lost
	for {
		last := false
		select {
		case b := <-r.full:
			r.put(b)
			continue
		case <-r.tick:
			stop = r.arm()
		case <-r.done:
			last = true
		}
		r.sweep(last)
		if lost := r.lost.Load(); lost > told {
			if err := r.files.lost(lost - told); err != nil {
				r.fail(err)
			} else {
				told = lost
			}
		}
		if last {
			r.fail(r.files.close())
			return
		}
		r.fail(r.files.flush())
	}
}

func (r *Recorder) arm() (stop func() bool) {
	return r.clk.AfterFunc(r.flush, func() {
		select {
		case r.tick <- struct{}{}:
		default:
		}
	})
}

// sweep writes the batches that are full, and those that are not.
func (r *Recorder) sweep(last bool) {
	for i := range r.bins {
		b := &r.bins[i]
		b.mu.Lock()
		filled := b.filled
		b.filled, b.closed = nil, last
		b.mu.Unlock()
		if filled != nil {
			r.full <- filled
		}
	}
	for len(r.full) > 0 {
		r.put(<-r.full)
	}
}

// put writes a batch and gives it back.
func (r *Recorder) put(b *batch) {
	for i := range b.list[:b.n] {
		if err := r.files.record(&b.list[i]); err != nil {
			r.fail(err)
			r.lost.Add(1)
			continue
		}
		r.written.Add(1)
	}
	clear(b.list[:b.n])
	b.n = 0
	r.free <- b
}

// fail keeps the first error.
func (r *Recorder) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}
