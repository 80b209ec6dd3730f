package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// instance is one hello: its process may be replaced, its ledger goes on.
type instance struct {
	node   Node
	ledger *os.File
	child  *child
	place  *spawner // where it is started; nil: where we are
}

// cluster is the experiment's processes for one stack.
type cluster struct {
	stack   string
	command []string // of a stack that is one
	exe     string
	keep    string // directory for what processes write; empty: it has no name
	service Service
	effects string // see Hello
	small   bool   // instances have one CPU, as most in containers have; it halves what they cost this machine
	spawner *spawner
	fail    context.CancelCauseFunc // ends the experiment: a process has ended by itself
	notice  func(Entry)

	hellos  []*instance
	others  []*child // gateway, user API, clients
	files   []*os.File
	mu      sync.Mutex
	started []*child // all that ever were; under mu
}

// instanceNames are those of the hello instances.
func instanceNames(nodes int) (names []string) {
	for i := range nodes {
		names = append(names, fmt.Sprintf("hello-%d", i+1))
	}
	return names
}

// nodes are the instances' names and addresses.
func (c *cluster) nodes() (nodes []Node) {
	for _, n := range c.hellos {
		nodes = append(nodes, n.node)
	}
	return nodes
}

// addHello starts an instance for the first time.
func (c *cluster) addHello(ctx context.Context, node Node, where *spawner) error {
	ledger, err := c.output(node.ID, ".ledger")
	if err != nil {
		return err
	}
	n := &instance{node: node, ledger: ledger, place: where}
	c.hellos = append(c.hellos, n)
	return c.startHello(ctx, n)
}

func (c *cluster) startHello(ctx context.Context, n *instance) (err error) {
	n.child, err = c.child(ctx, roleConfig{
		Role: roleHello, Node: n.node, Service: c.service, Effects: c.effects,
	}, n.place, n.ledger)
	return err
}

// other starts a process that is no instance.
func (c *cluster) other(ctx context.Context, cfg roleConfig, where *spawner, outputs ...*os.File) (*child, error) {
	ch, err := c.child(ctx, cfg, where, outputs...)
	if err == nil {
		c.others = append(c.others, ch)
	}
	return ch, err
}

// child starts a process whose unexpected end ends the experiment.
func (c *cluster) child(ctx context.Context, cfg roleConfig, where *spawner, outputs ...*os.File) (*child, error) {
	cfg.Stack, cfg.Command = c.stack, c.command
	var env []string
	if c.small && cfg.Role == roleHello {
		env = []string{"GOMAXPROCS=1"}
	}
	if where == nil {
		where = c.spawner
	}
	ch, err := where.child(ctx, c.exe, cfg, env, outputs, c.notice)
	if errors.Is(err, portTaken) {
		err = &PortError{portOf(cfg.Node.Addr), cfg.Node.ID, portTaken}
	}
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.started = append(c.started, ch)
	c.mu.Unlock()
	go func() {
		<-ch.exited
		if !ch.expected.Load() {
			c.fail(ch.ended())
		}
	}()
	return ch, nil
}

// output makes a file that a process writes to. Unless it is to be kept, it
// has no name by the time it is used: whatever happens, nothing is left
// behind.
func (c *cluster) output(name, kind string) (f *os.File, err error) {
	dir := c.keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "holdfast-"); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	path := filepath.Join(dir, c.stack+"-"+name+kind)
	f, err = os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		c.files = append(c.files, f)
	}
	return f, err
}

// records reads the ledgers of all instances.
func (c *cluster) records() (records []Record, torn int, err error) {
	for _, n := range c.hellos {
		r, t, rerr := ParseLedger(readAll(n.ledger))
		records, torn, err = append(records, r...), torn+t, errors.Join(err, rerr)
	}
	return records, torn, err
}

// entries reads what a client under test said.
func entries(ctx context.Context, client *child, journal *os.File) ([]Entry, error) {
	if err := client.do(ctx, cmdFlush); err != nil {
		return nil, err
	}
	entries, bad, err := ParseJournal(readAll(journal))
	if bad > 0 {
		err = errors.Join(err, fmt.Errorf("journal: %d lines cannot be read", bad))
	}
	return entries, err
}

func readAll(f *os.File) io.Reader { return io.NewSectionReader(f, 0, 1<<62) }

// beside is what programs beside the clients have used until now.
func (c *cluster) beside() time.Duration {
	var pids []int
	for _, ch := range c.others {
		pids = append(pids, ch.cmd.Process.Pid)
	}
	return descendantsCPU(pids)
}

// cpu is what the cluster's own processes have used. They must have ended.
func (c *cluster) cpu() (sum time.Duration) {
	for _, ch := range c.started {
		if state := ch.cmd.ProcessState; state != nil {
			sum += state.UserTime() + state.SystemTime()
		}
	}
	return sum
}

// stop ends all processes and returns when nothing of them is left.
func (c *cluster) stop() {
	for _, ch := range c.others {
		ch.kill()
	}
	for _, n := range c.hellos {
		if n.child != nil {
			n.child.kill()
		}
	}
	for _, f := range c.files {
		_ = f.Close()
	}
}

// settle waits until what a client has begun and left behind is over, so that
// the ledger is complete: at most the time of a call.
func settle(ctx context.Context, d time.Duration) error {
	return until(ctx, time.Now().Add(d))
}
