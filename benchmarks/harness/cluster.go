package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// instance is one hello: its process may be replaced, its ledger goes on.
type instance struct {
	node   Node
	ledger *os.File
	child  *child
}

// cluster is the experiment's processes for one stack.
type cluster struct {
	cfg     *Config
	stack   Stack
	exe     string
	spawner *spawner
	fail    context.CancelCauseFunc // ends the experiment: a process has ended by itself
	notice  func(Entry)

	hellos  []*instance
	userAPI *child
	gateway *child
	journal *os.File
	base    string // URL of the gateway
}

// names are those of the processes, in the order of their ports.
func processNames(nodes int) []string {
	names := []string{roleGateway, roleUserAPI}
	for i := range nodes {
		names = append(names, fmt.Sprintf("hello-%d", i+1))
	}
	return names
}

// start starts all processes and returns when the whole chain answers. What
// was started must be ended by stop also if start fails.
func (c *cluster) start(ctx context.Context, ports []int) error {
	names := processNames(c.cfg.Nodes)
	files, err := c.outputs(append(names[2:], roleUserAPI))
	if err != nil {
		return err
	}
	c.journal = files[c.cfg.Nodes]
	var nodes []Node
	for i, name := range names[2:] {
		n := &instance{node: Node{name, address(ports[2+i])}, ledger: files[i]}
		c.hellos = append(c.hellos, n)
		nodes = append(nodes, n.node)
		if err := c.startHello(ctx, n); err != nil {
			return err
		}
	}
	user := Node{roleUserAPI, address(ports[1])}
	c.userAPI, err = c.child(ctx, roleConfig{
		Role: roleUserAPI, Node: user, Stack: c.stack.Name(), Timeout: c.cfg.Timeout, Upstream: nodes,
	}, c.journal)
	if err != nil {
		return err
	}
	front := Node{roleGateway, address(ports[0])}
	c.gateway, err = c.child(ctx, roleConfig{Role: roleGateway, Node: front, Upstream: []Node{user}}, nil)
	if err != nil {
		return err
	}
	c.base = "http://" + front.Addr
	return c.warm(ctx)
}

func (c *cluster) startHello(ctx context.Context, n *instance) (err error) {
	n.child, err = c.child(ctx, roleConfig{Role: roleHello, Node: n.node, Stack: c.stack.Name(), Work: c.cfg.Work}, n.ledger)
	return err
}

// child starts a process whose unexpected end ends the experiment.
func (c *cluster) child(ctx context.Context, cfg roleConfig, output *os.File) (*child, error) {
	ch, err := c.spawner.child(ctx, c.exe, cfg, output, c.notice)
	if errors.Is(err, portTaken) {
		err = &PortError{portOf(cfg.Node.Addr), cfg.Node.ID, portTaken}
	}
	if err != nil {
		return nil, err
	}
	go func() {
		<-ch.exited
		if !ch.expected.Load() {
			c.fail(ch.ended())
		}
	}()
	return ch, nil
}

// outputs makes the files that the processes write to. Unless they are to be
// kept, they have no name by the time they are used: whatever happens, nothing
// is left behind.
func (c *cluster) outputs(names []string) (files []*os.File, err error) {
	dir := c.cfg.Keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "holdfast-"); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	for _, name := range names {
		kind := ".ledger"
		if name == roleUserAPI {
			kind = ".journal"
		}
		path := filepath.Join(dir, c.stack.Name()+"-"+name+kind)
		f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// warm calls until every process has been through its first request, which is
// slower than the others.
func (c *cluster) warm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client := newLoadClient()
	defer client.CloseIdleConnections()
	for ok, i := 0, 0; ok < 4*c.cfg.Nodes; i++ {
		s := shot{Arrival: Arrival{Route: Get, ID: fmt.Sprintf("%s%d", warmPrefix, i)}}
		s.fire(ctx, client, c.base, c.cfg.Timeout)
		if ctx.Err() != nil {
			return fmt.Errorf("the services do not answer within %v: %s", patience, s.Err)
		}
		if s.Status == http.StatusOK {
			ok++
		}
	}
	return nil
}

// warmPrefix marks requests that do not count.
const warmPrefix = "w"

// records reads the ledgers of all instances.
func (c *cluster) records() (records []Record, torn int, err error) {
	for _, n := range c.hellos {
		r, t, rerr := ParseLedger(readAll(n.ledger))
		records, torn, err = append(records, r...), torn+t, errors.Join(err, rerr)
	}
	return records, torn, err
}

// entries reads what the client under test said.
func (c *cluster) entries(ctx context.Context) ([]Entry, error) {
	if err := c.userAPI.do(ctx, cmdFlush); err != nil {
		return nil, err
	}
	entries, bad, err := ParseJournal(readAll(c.journal))
	if bad > 0 {
		err = errors.Join(err, fmt.Errorf("journal: %d lines cannot be read", bad))
	}
	return entries, err
}

func readAll(f *os.File) io.Reader { return io.NewSectionReader(f, 0, 1<<62) }

// stop ends all processes and returns when nothing of them is left.
func (c *cluster) stop() {
	for _, ch := range []*child{c.gateway, c.userAPI} {
		if ch != nil {
			ch.kill()
		}
	}
	for _, n := range c.hellos {
		if n.child != nil {
			n.child.kill()
		}
		_ = n.ledger.Close()
	}
	if c.journal != nil {
		_ = c.journal.Close()
	}
}

// settle waits until what a client has begun and left behind is over, so that
// the ledger is complete: at most the time of a call.
func (c *cluster) settle(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
