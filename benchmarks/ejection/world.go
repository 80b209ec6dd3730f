// Package ejection measures, in virtual time and through the production call
// path (resilience.Client.Do, unchanged), how many calls the ejector needs to
// take an ill node out, and how often it takes out a healthy one. It
// reproduces the table of the design's simulation (independent failures,
// random choice) with everything that the simulation left out: queues of
// retries, load-aware choice, back-off and budget.
package ejection

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// The system of the design's simulation.
const (
	RatePerNode = 100.0                  // calls a second
	Service     = 10 * time.Millisecond  // mean, exponential
	Timeout     = 250 * time.Millisecond // of an attempt
	warmUp      = 3 * time.Second
	background  = 0.001 // failure probability of a healthy node
)

// methods and their shares of the calls; the last is the one that fails in
// the failing-method row.
var methods = []struct {
	name  string
	share float64
}{{"a", .40}, {"b", .25}, {"c", .20}, {"d", .15}}

// fault is how attempts fare at a node: p is the probability of an error
// answer. A dead node refuses connections, and the attempts that were under
// way when it died end at that moment. One that hangs is frozen for so long,
// with the attempts that are under way.
type fault struct {
	p    float64
	dead bool
	hang time.Duration
}

// forGood is a hang that ends with the run.
const forGood = time.Hour

// world is one run: a client, its nodes and what became of them.
type world struct {
	clk     *clock.Virtual
	client  *resilience.Client
	index   map[string]int
	fault   func(node, method int, since time.Duration) fault
	start   time.Time // of the faults
	seen    []int     // attempts at each node since start
	ejected []int     // attempts at each node when it was ejected first; 0: it was not
	when    []time.Duration
	total   int // attempts in all
	events  int // ejections since start
	calls   int
	failed  int
	rate    float64     // calls a second, per node
	broken  []time.Time // when a node's connections broke last: see burst
}

func newWorld(nodes int, rate float64, seed uint64, settings resilience.Settings) (*world, error) {
	w := &world{
		clk: clock.NewVirtual(seed), index: make(map[string]int, nodes),
		seen: make([]int, nodes), ejected: make([]int, nodes), when: make([]time.Duration, nodes),
		broken: make([]time.Time, nodes), rate: RatePerNode,
	}
	list := make([]selector.Node, nodes)
	for i := range list {
		list[i].ID = fmt.Sprintf("node-%d", i)
		w.index[list[i].ID] = i
	}
	w.start = w.clk.Now().Add(warmUp)
	if rate > 0 { // as many calls before the fault as at the usual rate
		w.rate = rate
		w.start = w.clk.Now().Add(time.Duration(float64(warmUp) * max(1, RatePerNode/rate)))
	}
	if settings.AttemptTimeout == 0 {
		settings.AttemptTimeout = Timeout
	}
	var err error
	w.client, err = resilience.New(resilience.Config{
		Settings: settings, Nodes: selector.Static(list...), Clock: w.clk, Observer: resilience.ObserverFunc(w.observe),
	})
	return w, err
}

func (w *world) observe(e resilience.Event) {
	if e.Kind != resilience.NodeEvent || e.Change.Kind != selector.Ejected {
		return
	}
	i := w.index[e.Node.ID]
	if !e.At.Before(w.start) && w.ejected[i] == 0 {
		w.ejected[i], w.when[i] = w.seen[i], e.At.Sub(w.start)
	}
	w.events++
}

var (
	errAnswer = errors.New("500")
	errReset  = errors.New("connection reset by peer")
)

// attempt is the op: one exchange with a node.
func (w *world) attempt(ctx context.Context, node *selector.Node, method int, service time.Duration) error {
	i := w.index[node.ID]
	since := w.clk.Now().Sub(w.start)
	w.total++
	if since >= 0 {
		w.seen[i]++
	}
	f := fault{p: background}
	if since >= 0 {
		f = w.fault(i, method, since)
	}
	if f.dead {
		return resilience.Mark(errors.New("connection refused"), resilience.NotSent)
	}
	if since < 0 && since+service > 0 && w.fault(i, method, 0).dead {
		_ = w.clk.Sleep(ctx, -since)
		return errReset
	}
	if hang := w.fault(i, method, 0).hang; since+service > 0 && since < hang {
		service += hang - max(since, 0)
	}
	began := w.clk.Now()
	fails := clock.Float64(w.clk) < f.p
	if err := w.clk.Sleep(ctx, service); err != nil {
		return err
	}
	if fails || w.broken[i].After(began) {
		return errAnswer
	}
	return nil
}

// call makes one call and counts it.
func (w *world) call(ctx context.Context, method int, service time.Duration) {
	w.calls++
	err := w.client.Do(ctx, resilience.Idempotent(methods[method].name), func(ctx context.Context, node *selector.Node) error {
		s := service
		if s == 0 {
			s = w.exp(Service)
		}
		return w.attempt(ctx, node, method, s)
	})
	if err != nil {
		w.failed++
	}
}

func (w *world) exp(mean time.Duration) time.Duration {
	return time.Duration(-math.Log1p(-clock.Float64(w.clk)) * float64(mean))
}

func (w *world) method() int {
	x := clock.Float64(w.clk)
	for i, m := range methods {
		if x -= m.share; x < 0 {
			return i
		}
	}
	return 0
}

// load sends Poisson arrivals for d after the faults begin, or until done
// says so.
func (w *world) load(d time.Duration, done func() bool) {
	gap := time.Duration(float64(time.Second) / (w.rate * float64(len(w.seen))))
	ctx := context.Background()
	end := w.start.Add(d)
	for w.clk.Now().Before(end) && (done == nil || !done()) {
		if w.clk.Sleep(ctx, w.exp(gap)) != nil {
			return
		}
		w.clk.Go(func() { w.call(ctx, w.method(), 0) })
	}
}

// burst breaks a connection of a node that carries about size calls: they
// were begun within a few milliseconds, and all fail at once.
func (w *world) burst(node, size int) {
	ctx := context.Background()
	for range size * len(w.seen) {
		w.clk.Go(func() { w.call(ctx, w.method(), 40*time.Millisecond) })
	}
	_ = w.clk.Sleep(ctx, 20*time.Millisecond)
	w.broken[node] = w.clk.Now()
	_ = w.clk.Sleep(ctx, 100*time.Millisecond)
}

func (w *world) run(f func()) {
	w.clk.Run(f)
	_ = w.client.Close()
	w.clk.Close()
}
