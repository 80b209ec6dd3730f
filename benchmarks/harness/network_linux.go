package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// network is network namespaces on a bridge: one for each process that has an
// address of its own. A namespace is where a thread of ours is, and what it
// starts; it has no name, and ends with them. Nothing is left behind.
type network struct {
	hub    *namespace
	leaves map[string]*namespace
}

type namespace struct {
	*spawner
	file *os.File
	ip   string // its address
}

// nowhere is a hardware address that nobody has: what is sent to it is
// dropped in silence, on live connections too.
const nowhere = "02:00:00:00:00:99"

const networkPort = 8080

// newNetwork makes a namespace for each name.
func newNetwork(ctx context.Context, names []string) (*network, error) {
	n := &network{leaves: map[string]*namespace{}}
	if err := n.build(ctx, names); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func (n *network) build(ctx context.Context, names []string) (err error) {
	if n.hub, err = newNamespace(); err != nil {
		return err
	}
	if err := n.hub.do(ctx, "link add br0 type bridge", "link set br0 up"); err != nil {
		return err
	}
	for i, name := range names {
		leaf, err := newNamespace()
		if err != nil {
			return err
		}
		n.leaves[name] = leaf
		leaf.ip = fmt.Sprintf("10.213.0.%d", 10+i)
		port := fmt.Sprintf("v%d", i)
		if err := errors.Join(
			n.hub.do(ctx,
				fmt.Sprintf("link add %s type veth peer name eth0 netns /proc/%d/fd/%d", port, os.Getpid(), leaf.file.Fd()),
				"link set "+port+" master br0 up"),
			leaf.do(ctx, "link set lo up", "addr add "+leaf.ip+"/24 dev eth0", "link set eth0 up"),
		); err != nil {
			return err
		}
	}
	return nil
}

func newNamespace() (*namespace, error) {
	n := &namespace{spawner: newSpawner()}
	err := n.run(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		n.file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		n.spawner.close()
		return nil, err
	}
	return n, nil
}

func (n *namespace) close() {
	_ = n.file.Close()
	n.spawner.close()
}

// do has iproute2 carry out commands in the namespace.
func (n *namespace) do(ctx context.Context, commands ...string) error {
	cmd := exec.CommandContext(ctx, "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := n.start(cmd); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(commands, "; "), err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}

// cut has all packets between a and the others dropped in silence, in both
// directions.
func (n *network) cut(ctx context.Context, a string, others []string) error {
	return n.links(ctx, a, others, "neigh replace %s lladdr "+nowhere+" dev eth0 nud permanent")
}

// mend undoes cut.
func (n *network) mend(ctx context.Context, a string, others []string) error {
	return n.links(ctx, a, others, "neigh del %s dev eth0")
}

// links has both ends of each link carry out a command about the other, all at
// once.
func (n *network) links(ctx context.Context, a string, others []string, command string) error {
	errs := make(chan error, 1+len(others))
	var here []string
	for _, b := range others {
		here = append(here, fmt.Sprintf(command, n.leaves[b].ip))
		go func() { errs <- n.leaves[b].do(ctx, fmt.Sprintf(command, n.leaves[a].ip)) }()
	}
	err := n.leaves[a].do(ctx, here...)
	for range others {
		err = errors.Join(err, <-errs)
	}
	return err
}

// silent makes sure that a gets no answer from b's port.
func (n *network) silent(a, b string) error {
	return n.leaves[a].run(func() error {
		conn, err := net.DialTimeout("tcp", n.address(b), 100*time.Millisecond) //nolint:noctx // it has a timeout
		var timeout net.Error
		switch {
		case err == nil:
			conn.Close()
			return fmt.Errorf("%s still reaches %s", a, b)
		case errors.As(err, &timeout) && timeout.Timeout():
			return nil
		}
		return fmt.Errorf("%s dials %s: %w, want: no answer", a, b, err)
	})
}

func (n *network) address(name string) string {
	return net.JoinHostPort(n.leaves[name].ip, fmt.Sprint(networkPort))
}

func (n *network) place(name string) *spawner { return n.leaves[name].spawner }

func (n *network) close() {
	if n.hub != nil {
		n.hub.close()
	}
	for _, leaf := range n.leaves {
		leaf.close()
	}
}

// NetworkPossible returns why links cannot be cut on this machine, or nil.
func NetworkPossible() error { return networkPossible() }

var networkPossible = sync.OnceValue(func() error {
	if _, err := exec.LookPath("ip"); err != nil {
		return fmt.Errorf("links are cut with the command ip (package iproute2): %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	n, err := newNetwork(ctx, []string{"a", "b"})
	if errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("%w: it needs root, or `unshare --user --map-root-user` before the command, where that is allowed", err)
	}
	if err != nil {
		return err
	}
	defer n.close()
	if err := n.cut(ctx, "a", []string{"b"}); err != nil {
		return err
	}
	return n.silent("a", "b")
})
