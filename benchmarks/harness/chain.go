package harness

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
)

// chain is the processes of [Failover]: a gateway, which calls the user API,
// which calls the instances through the stack.
type chain struct {
	cluster
	userAPI *child
	journal *os.File
	front   *front
}

// start starts all processes and returns when the whole chain answers. What
// was started must be ended by stop also if start fails.
func (c *chain) start(ctx context.Context, cfg *Config, ports []int) (err error) {
	for i, name := range instanceNames(cfg.Nodes) {
		if err := c.addHello(ctx, Node{name, address(ports[2+i])}, nil); err != nil {
			return err
		}
	}
	if c.journal, err = c.output(roleUserAPI, ".journal"); err != nil {
		return err
	}
	user := Node{roleUserAPI, address(ports[1])}
	role := roleConfig{Role: roleUserAPI, Node: user, Timeout: cfg.Timeout, Upstream: c.nodes()}
	if cfg.Board != nil {
		role.Board, role.Token = address(ports[2+cfg.Nodes]), rand.Text()
	}
	if c.userAPI, err = c.other(ctx, role, nil, c.journal); err != nil {
		return err
	}
	if cfg.Board != nil {
		cfg.Board("http://" + role.Board + boardPath + "#token=" + role.Token)
	}
	gateway := Node{roleGateway, address(ports[0])}
	if _, err = c.other(ctx, roleConfig{Role: roleGateway, Node: gateway, Upstream: []Node{user}}, nil); err != nil {
		return err
	}
	c.front = newFront("http://"+gateway.Addr, cfg.Timeout)
	return c.warm(ctx)
}

// warm calls until every process has been through its first request, which is
// slower than the others.
func (c *chain) warm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for ok, i := 0, 0; ok < 4*len(c.hellos); i++ {
		s := Shot{Arrival: Arrival{Route: Get, ID: fmt.Sprintf("%s%d", warmPrefix, i)}}
		c.front.fire(ctx, &s)
		if ctx.Err() != nil {
			return fmt.Errorf("the services do not answer within %v: %s", patience, s.Err)
		}
		if s.OK {
			ok++
		}
	}
	return nil
}

// warmPrefix marks requests that do not count.
const warmPrefix = "w"
