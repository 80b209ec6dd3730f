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
// address of its own. The namespaces have no names; they end with the
// processes in them and with this one, and nothing is left behind.
type network struct {
	spawner *spawner
	hub     *place
	leaves  map[string]*leaf
	files   []*os.File
}

type leaf struct {
	place *place
	ip    string
}

// nowhere is a hardware address that nobody has: what is sent to it is
// dropped in silence, on live connections too.
const nowhere = "02:00:00:00:00:99"

const networkPort = 8080

// newNetwork makes a namespace for each name.
func newNetwork(ctx context.Context, s *spawner, names []string) (n *network, err error) {
	n = &network{spawner: s, leaves: map[string]*leaf{}}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	if n.hub, err = n.namespace(); err != nil {
		return nil, err
	}
	if err := n.ip(ctx, n.hub, "link add br0 type bridge", "link set br0 up"); err != nil {
		return nil, err
	}
	for i, name := range names {
		l := &leaf{ip: fmt.Sprintf("10.213.0.%d", 10+i)}
		if l.place, err = n.namespace(); err != nil {
			return nil, err
		}
		port := fmt.Sprintf("v%d", i)
		if err := errors.Join(
			n.ip(ctx, n.hub,
				fmt.Sprintf("link add %s type veth peer name eth0 netns /proc/%d/fd/%d", port, os.Getpid(), l.place.fd),
				"link set "+port+" master br0 up"),
			n.ip(ctx, l.place, "link set lo up", "addr add "+l.ip+"/24 dev eth0", "link set eth0 up"),
		); err != nil {
			return nil, err
		}
		n.leaves[name] = l
	}
	return n, nil
}

// namespace makes a network namespace that lasts as long as its file.
func (n *network) namespace() (*place, error) {
	var file *os.File
	err := n.spawner.run(func() (err error) {
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		defer func() { _ = home.Close() }()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		file, err = os.Open("/proc/thread-self/ns/net")
		return errors.Join(err, unix.Setns(int(home.Fd()), unix.CLONE_NEWNET))
	})
	if file != nil {
		n.files = append(n.files, file)
	}
	if err != nil {
		return nil, err
	}
	return &place{int(file.Fd())}, nil
}

// ip has iproute2 carry out commands in a namespace.
func (n *network) ip(ctx context.Context, where *place, commands ...string) error {
	cmd := exec.CommandContext(ctx, "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := n.spawner.start(cmd, where); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(commands, "; "), err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}

// cut has all packets between a and b dropped in silence, in both directions.
func (n *network) cut(ctx context.Context, a, b string) error {
	return n.link(ctx, a, b, "neigh replace %s lladdr "+nowhere+" dev eth0 nud permanent")
}

// mend undoes cut.
func (n *network) mend(ctx context.Context, a, b string) error {
	return n.link(ctx, a, b, "neigh del %s dev eth0")
}

func (n *network) link(ctx context.Context, a, b, command string) error {
	return errors.Join(
		n.ip(ctx, n.leaves[a].place, fmt.Sprintf(command, n.leaves[b].ip)),
		n.ip(ctx, n.leaves[b].place, fmt.Sprintf(command, n.leaves[a].ip)),
	)
}

// silent makes sure that a gets no answer from b's port.
func (n *network) silent(a, b string) error {
	return n.spawner.run(func() error {
		return n.leaves[a].place.within(func() error {
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
	})
}

func (n *network) address(name string) string {
	return net.JoinHostPort(n.leaves[name].ip, fmt.Sprint(networkPort))
}

func (n *network) place(name string) *place { return n.leaves[name].place }

func (n *network) close() {
	for _, f := range n.files {
		_ = f.Close()
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
	s := newSpawner()
	defer s.close()
	n, err := newNetwork(ctx, s, []string{"a", "b"})
	if errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("%w: it needs root, or `unshare --user --map-root-user --net` around it where that is allowed", err)
	}
	if err != nil {
		return err
	}
	defer n.close()
	if err := n.cut(ctx, "a", "b"); err != nil {
		return err
	}
	return n.silent("a", "b")
})
