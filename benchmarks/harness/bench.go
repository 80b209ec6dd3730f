package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// BenchConfig is how [Bench] runs a plan.
type BenchConfig struct {
	Plan  Plan
	Stack Stack
	Keep  string // directory for ledgers, journals and shots; empty: nothing is left

	// Progress, if not nil, is told how things stand, several times a second
	// and when something happens. It is not called concurrently.
	Progress func(Progress)
}

// Done is a [Step] that was done.
type Done struct {
	Step
	Begin time.Duration // from the beginning of the load
	First time.Duration // it is certain to have taken effect on one of its instances
	End   time.Duration // and on all
}

// Run is what was seen of one run of a [Plan]: by the load generators (Shots),
// by the instances (Records), and by the clients under test (Entries). It is
// what bounds and metrics are computed from.
type Run struct {
	Plan    Plan // with defaults
	Stack   string
	Info    Info
	Start   time.Time // of the load
	Steps   []Done
	Shots   []Shot
	Records []Record
	Late    time.Duration // 99 % of the service times were overdrawn by less, on the worst instance that lived to tell
	Torn    int           // ledger lines that a kill has torn
	Entries [][]Entry     // by client process
	CPU     time.Duration // user and system time of all the run's processes, programs beside clients included on Linux only

	sums *hdrhistogram.Histogram // see BaselineMs
}

// At is a moment of the run, from the beginning of the load.
func (r *Run) At(t time.Time) time.Duration { return t.Sub(r.Start) }

// Bench runs a plan with a stack. All processes have ended when it returns.
//
// It fails with a [*FaultError], ctx's cause, or what kept a process from
// doing its part; that a stack does badly is no error but in the run.
func Bench(ctx context.Context, cfg BenchConfig) (*Run, error) {
	if err := cfg.Plan.Validate(); err != nil {
		return nil, err
	}
	info := cfg.Stack.Info()
	if info.Unavailable != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Stack.Name(), info.Unavailable)
	}
	exe, err := executable(ctx, cfg.Stack)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "holdfast-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	plan := cfg.Plan.WithDefaults()
	run := &Run{Plan: plan, Stack: cfg.Stack.Name(), Info: info}
	tell := newTeller(cfg.Progress, run.Stack, plan.Total())
	defer tell.close()
	spawner := newSpawner()
	defer spawner.close()
	command, _ := cfg.Stack.(Command)
	b := &bench{
		cluster: cluster{
			stack: run.Stack, command: command.Argv, exe: exe, keep: cfg.Keep, service: plan.Service, effects: filepath.Join(dir, "effects"), small: true,
			spawner: spawner, fail: fail, notice: tell.entry,
		},
		plan: plan, dir: dir, run: run, tell: tell,
	}
	err = b.do(ctx)
	b.stop()
	if err != nil {
		return nil, cause(ctx, err)
	}
	run.CPU += b.cpu()
	return run, nil
}

// bench is the processes of [Bench].
type bench struct {
	cluster
	plan    Plan
	dir     string // for files; it is removed
	run     *Run
	tell    *teller
	clients []*client
	release func()   // gives back the ports
	network *network // nil: everything is on loopback
}

func (b *bench) stop() {
	b.cluster.stop()
	if b.release != nil {
		b.release()
	}
	if b.network != nil {
		b.network.close()
	}
}

// client is a process of clients.
type client struct {
	*child
	journal, shots *os.File
}

func (b *bench) do(ctx context.Context) error {
	if err := b.start(ctx); err != nil {
		return err
	}
	b.run.Start = time.Now().Add(100 * time.Millisecond)
	for _, c := range b.clients {
		if err := c.do(ctx, fmt.Sprint(cmdLoad, " ", b.run.Start.UnixNano())); err != nil {
			return err
		}
	}
	b.tell.begin(b.run.Start, b.count)
	if err := b.perform(ctx); err != nil {
		return err
	}
	for _, c := range b.clients {
		select {
		case <-c.loaded:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b.tell.end()
	if err := b.rest(ctx); err != nil {
		return err
	}
	return b.collect(ctx)
}

// start starts all processes.
func (b *bench) start(ctx context.Context) error {
	b.tell.say("starting %d processes", b.plan.Nodes+b.plan.Processes)
	if err := os.Mkdir(b.effects, 0o700); err != nil {
		return err
	}
	where, err := b.places(ctx)
	if err != nil {
		return err
	}
	for i, name := range instanceNames(b.plan.Nodes) {
		if err := b.addHello(ctx, Node{name, where[i].addr}, where[i].place); err != nil {
			return err
		}
	}
	for i, name := range clientNames(b.plan.Processes) {
		at := where[b.plan.Nodes+i]
		if err := b.addClient(ctx, i, Node{name, at.addr}, at.place); err != nil {
			return err
		}
	}
	return nil
}

// spot is where a process runs and what it may listen at.
type spot struct {
	addr  string
	place *spawner
}

// places are those of the instances and then of the client processes.
func (b *bench) places(ctx context.Context) (list []spot, err error) {
	names := append(instanceNames(b.plan.Nodes), clientNames(b.plan.Processes)...)
	if b.plan.Network {
		if b.network, err = newNetwork(ctx, names); err != nil {
			return nil, &FaultError{Fault(DoCut), "the network", err}
		}
		for _, name := range names {
			list = append(list, spot{b.network.address(name), b.network.place(name)})
		}
		return list, nil
	}
	ports, release, err := choosePorts(0, names)
	if err != nil {
		return nil, err
	}
	b.release = release
	for _, port := range ports {
		list = append(list, spot{address(port), nil})
	}
	return list, nil
}

func clientNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("client-%d", i+1))
	}
	return names
}

// addClient starts a client process. Its address is for a program beside it.
func (b *bench) addClient(ctx context.Context, i int, node Node, where *spawner) error {
	name := node.ID
	journal, err1 := b.output(name, ".journal")
	shots, err2 := b.output(name, ".shots")
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	p := b.plan
	ch, err := b.other(ctx, roleConfig{
		Role: roleClient, Node: node, Timeout: p.Timeout, Upstream: b.nodes(), Process: i,
		Dir:  filepath.Join(b.dir, name),
		Load: p.Load(i),
	}, where, journal, shots)
	b.clients = append(b.clients, &client{ch, journal, shots})
	return err
}

// count is what the clients have told of their load.
func (b *bench) count() (sent, failed int) {
	for _, c := range b.clients {
		sent += int(c.sent.Load())
		failed += int(c.failed.Load())
	}
	return sent, failed
}

// rest waits until nothing that the load has begun is under way: what clients
// have left behind, and what instances have queued.
func (b *bench) rest(ctx context.Context) error {
	if err := settle(ctx, 200*time.Millisecond); err != nil {
		return err
	}
	for _, n := range b.hellos {
		if n.child == nil || n.child.gone() {
			continue
		}
		m, err := n.child.ask(ctx, cmdIdle)
		if err != nil {
			return err
		}
		b.run.Late = max(b.run.Late, m.Late)
	}
	return nil
}

// collect reads what the processes have written.
func (b *bench) collect(ctx context.Context) (err error) {
	b.run.CPU = b.beside()
	for _, c := range b.clients {
		e, err := entries(ctx, c.child, c.journal)
		if err != nil {
			return err
		}
		b.run.Entries = append(b.run.Entries, e)
		shots, err := parseShots(readAll(c.shots))
		if err != nil {
			return err
		}
		b.run.Shots = append(b.run.Shots, shots...)
	}
	b.run.Records, b.run.Torn, err = b.records()
	b.run.deaths()
	return err
}

// perform does the plan's steps, each when it is due.
func (b *bench) perform(ctx context.Context) error {
	for _, s := range b.plan.Steps {
		if err := until(ctx, b.run.Start.Add(s.At)); err != nil {
			return err
		}
		done := Done{Step: s, Begin: b.run.At(time.Now())}
		var first sync.Once
		err := b.each(s.Nodes, func(n *instance) error {
			err := b.deed(ctx, s, n)
			first.Do(func() { done.First = b.run.At(time.Now()) })
			return err
		})
		if err != nil {
			return err
		}
		done.End = b.run.At(time.Now())
		b.run.Steps = append(b.run.Steps, done)
		if s.Do == DoCut {
			if err := b.each(s.Nodes, func(n *instance) error { return b.silent(s, n) }); err != nil {
				return &FaultError{Fault(s.Do), s.String(), err}
			}
		}
		b.tell.say("%s", s.String())
	}
	return nil
}

// each does f to several instances at once.
func (b *bench) each(nodes []int, f func(*instance) error) error {
	errs := make(chan error, len(nodes))
	for _, i := range nodes {
		go func() { errs <- f(b.hellos[i]) }()
	}
	var all error
	for range nodes {
		all = errors.Join(all, <-errs)
	}
	return all
}

// deed does one step to one instance and makes sure that it took effect.
func (b *bench) deed(ctx context.Context, s Step, n *instance) error {
	err := b.act(ctx, s, n)
	if err != nil && ctx.Err() == nil {
		err = &FaultError{Fault(s.Do), n.node.ID, err}
	}
	return err
}

func (b *bench) act(ctx context.Context, s Step, n *instance) error {
	switch s.Do {
	case DoKill, DoRefuse, DoStop:
		return b.strike(ctx, Fault(s.Do), n)
	case DoStart:
		return b.startHello(ctx, n)
	case DoAdmit:
		return n.child.do(ctx, cmdAdmit)
	case DoContinue:
		return resume(n.child.cmd.Process)
	case DoDrain:
		if err := n.child.drain(ctx); err != nil {
			return err
		}
		return b.refused(ctx, n)
	case DoSicken:
		return b.sicken(ctx, s.Illness, n)
	case DoCut:
		return b.network.cut(ctx, n.node.ID, b.from(s))
	case DoMend:
		return b.network.mend(ctx, n.node.ID, b.from(s))
	}
	return fmt.Errorf("%q: %w", s.Do, errors.ErrUnsupported)
}

// from are the names of the client processes that a step is about.
func (b *bench) from(s Step) (names []string) {
	all := clientNames(b.plan.Processes)
	if len(s.From) == 0 {
		return all
	}
	for _, i := range s.From {
		names = append(names, all[i])
	}
	return names
}

func (b *bench) silent(s Step, n *instance) error {
	for _, name := range b.from(s) {
		if err := b.network.silent(name, n.node.ID); err != nil {
			return err
		}
	}
	return nil
}

// sicken gives the instance an illness. One that it dies of takes effect when
// it has.
func (b *bench) sicken(ctx context.Context, i Illness, n *instance) error {
	if i.Die != "" {
		n.child.expected.Store(true)
	}
	what, err := json.Marshal(i)
	if err != nil {
		return err
	}
	if err := n.child.do(ctx, cmdSicken+" "+string(what)); err != nil {
		return err
	}
	if i.Die == "" {
		return nil
	}
	wait := time.NewTimer(fuseTime)
	defer wait.Stop()
	select {
	case <-n.child.exited:
	case <-wait.C: // the clients do not send it a POST: they have it ejected
		n.child.kill()
	case <-ctx.Done():
	}
	return b.refused(ctx, n)
}

// fuseTime is how long an instance that shall die of the next POST waits for
// it.
const fuseTime = 300 * time.Millisecond
