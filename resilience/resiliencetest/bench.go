package resiliencetest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// Bench is a small world for one test: nodes, the source that reports them,
// a clock, and a record of what happened. Make one by [New]; it needs no
// closing. Inside [Bench.Run] its methods need no locks; it must not be used
// from outside while Run is under way.
type Bench struct {
	clk   *clock.Virtual
	begin time.Time

	nodes   map[string]*node
	set     []selector.Node
	sources []*source

	mu     sync.Mutex // an Observer promises to be safe
	events []resilience.Event
}

// New returns a bench without nodes, at time zero. The seed decides every
// random choice the client makes.
func New(seed uint64) *Bench {
	clk := clock.NewVirtual(seed)
	return &Bench{clk: clk, begin: clk.Now(), nodes: make(map[string]*node)}
}

// Client is resilience.New on the bench: where Nodes, Clock and Observer of
// cfg are nil, they are the bench's own.
func (b *Bench) Client(cfg resilience.Config) (*resilience.Client, error) {
	if cfg.Nodes == nil && len(b.set) > 0 {
		cfg.Nodes = b.Source()
	}
	if cfg.Clock == nil {
		cfg.Clock = b.clk
	}
	if cfg.Observer == nil {
		cfg.Observer = b
	}
	return resilience.New(cfg)
}

// Clock is the bench's time and randomness, for the Clock of a resilience, a
// breaker or a selector Config.
func (b *Bench) Clock() clock.Clock { return b.clk }

// Run runs f in virtual time and returns when f and all that it started have
// ended. It may be called again: time goes on where it stopped.
//
// A panic in f comes out of Run. So does one that says so when something is
// left that would wait for ever: a hanging node under a context that never
// ends, most often. Nothing runs on the bench afterwards. runtime.Goexit in f,
// and so t.FailNow, ends f alone.
func (b *Bench) Run(f func()) {
	over := false
	defer func() {
		if !over {
			b.clk.Close() // or what waits would stay for good
		}
	}()
	b.clk.Run(f)
	if n := b.clk.Parked(); n > 0 {
		panic(fmt.Sprintf("resiliencetest: deadlock: %d function(s) wait for what never happens", n))
	}
	over = true
}

// Go runs f concurrently with the caller, inside [Bench.Run].
func (b *Bench) Go(f func()) { b.clk.Go(f) }

// Sleep lets d pass, inside [Bench.Run].
func (b *Bench) Sleep(d time.Duration) {
	// It fails on a bench that is being torn down only, where nobody looks.
	_ = b.clk.Sleep(context.Background(), d)
}

// Elapsed is the time since [New].
func (b *Bench) Elapsed() time.Duration { return b.clk.Now().Sub(b.begin) }

// WithTimeout is context.WithTimeout in virtual time.
func (b *Bench) WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return b.clk.WithTimeout(ctx, d)
}
