package harness

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
)

// PortError says that a port cannot be listened on.
type PortError struct {
	Port int
	For  string // which process wants it
	Err  error
}

// Error implements error.
func (e *PortError) Error() string {
	return fmt.Sprintf("port %d, for %s, is taken or not allowed: %v", e.Port, e.For, e.Err)
}

// Unwrap returns the operating system's error.
func (e *PortError) Unwrap() error { return e.Err }

const loopback = "127.0.0.1"

func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }

func portOf(addr string) int {
	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	return n
}

// chosen are the ports of this process's experiments, which may run side by
// side: between the choice of a port and its use anybody else may take it, but
// not we.
var chosen = struct {
	sync.Mutex
	ports map[int]bool
}{ports: map[int]bool{}}

// choosePorts returns a free port for each name: first and those after it, or
// any if first is 0. release gives them back to other experiments of this
// process.
func choosePorts(first int, names []string) (ports []int, release func(), err error) {
	chosen.Lock()
	defer chosen.Unlock()
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	for i, name := range names {
		port, l, err := first+i, net.Listener(nil), error(nil)
		if first > 0 {
			if l, err = hold(port); err != nil {
				err = &PortError{port, name, err}
			}
		} else if port, l, err = anyPort(); err != nil {
			err = fmt.Errorf("%w for %s", err, name)
		}
		if err != nil {
			return nil, nil, err
		}
		held, ports = append(held, l), append(ports, port)
	}
	for _, port := range ports {
		chosen.ports[port] = true
	}
	return ports, func() {
		chosen.Lock()
		defer chosen.Unlock()
		for _, port := range ports {
			delete(chosen.ports, port)
		}
	}, nil
}

// anyPort finds a free one. It needs the lock of chosen.
func anyPort() (port int, l net.Listener, err error) {
	low, high := quietPorts()
	for range 200 {
		port = low + rand.IntN(high-low)
		if chosen.ports[port] {
			continue
		}
		if l, err = hold(port); err == nil {
			return port, l, nil
		}
	}
	return 0, nil, fmt.Errorf("no free port between %d and %d: %w", low, high, err)
}

func hold(port int) (net.Listener, error) {
	l, err := net.Listen("tcp", address(port)) //nolint:noctx // a listen on loopback does not block
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return l, err
}

// quietPorts returns a range of ports, its end not included, from which the
// kernel does not take the ports of outgoing connections. A port of that kind
// could be taken while its owner is dead; worse, a dial to a dead port there
// sometimes connects to itself, and the dead node would answer.
func quietPorts() (low, high int) {
	low, high = 10240, 32768
	data, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return low, high
	}
	var from, to int
	if _, err := fmt.Sscan(string(data), &from, &to); err != nil {
		return low, high
	}
	switch {
	case from >= low+1000:
		return low, from
	case to <= 64000:
		return to + 1, 65536
	}
	return low, high
}
