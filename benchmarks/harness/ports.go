package harness

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
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

// choosePorts returns a free port for each name: first and those after it, or
// any if first is 0.
func choosePorts(first int, names []string) ([]int, error) {
	ports := make([]int, 0, len(names))
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	for i, name := range names {
		if first > 0 {
			l, err := hold(first + i)
			if err != nil {
				return nil, &PortError{first + i, name, err}
			}
			held, ports = append(held, l), append(ports, first+i)
			continue
		}
		low, high := quietPorts()
		var last error
		for range 200 {
			port := low + rand.IntN(high-low)
			l, err := hold(port)
			if err != nil {
				last = err
				continue
			}
			held, ports = append(held, l), append(ports, port)
			break
		}
		if len(ports) <= i {
			return nil, fmt.Errorf("no free port between %d and %d for %s: %w", low, high, name, last)
		}
	}
	return ports, nil
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
