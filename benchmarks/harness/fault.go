package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Fault is what happens to one hello instance, and is undone later.
type Fault string

// The faults.
const (
	Kill   Fault = "kill"   // SIGKILL; later it is started again on its port
	Stop   Fault = "stop"   // SIGSTOP; later SIGCONT
	Refuse Fault = "refuse" // its port is closed while it lives; later it listens again
)

// Faults are all of them.
var Faults = []Fault{Kill, Stop, Refuse}

// Validate returns an error for what is no fault. It names what is one, not f.
func (f Fault) Validate() error {
	if slices.Contains(Faults, f) {
		return nil
	}
	names := make([]string, len(Faults))
	for i, f := range Faults {
		names[i] = string(f)
	}
	return fmt.Errorf("want %s", strings.Join(names, ", "))
}

// FaultError says that a fault could not be injected or undone here.
type FaultError struct {
	Fault Fault
	Node  string
	Err   error
}

// Error implements error.
func (e *FaultError) Error() string {
	return fmt.Sprintf("fault %s on %s: %v", e.Fault, e.Node, e.Err)
}

// Unwrap returns the reason.
func (e *FaultError) Unwrap() error { return e.Err }

// span is when something that takes a moment happened.
type span struct{ begin, end time.Time }

// inject does f to the instance and makes sure that it took effect.
func (c *cluster) inject(ctx context.Context, f Fault, n *instance) (span, error) {
	s := span{begin: time.Now()}
	err := c.strike(ctx, f, n)
	s.end = time.Now()
	if err != nil && ctx.Err() == nil {
		err = &FaultError{f, n.node.ID, err}
	}
	return s, err
}

func (c *cluster) strike(ctx context.Context, f Fault, n *instance) error {
	switch f {
	case Kill:
		n.child.kill()
		return c.refused(ctx, n)
	case Refuse:
		if err := n.child.do(ctx, cmdRefuse); err != nil {
			return err
		}
		return c.refused(ctx, n)
	case Stop:
		p := n.child.cmd.Process
		if err := pause(p); err != nil {
			return err
		}
		return poll(ctx, "it did not stop", func() (bool, error) { return stopped(p.Pid) })
	}
	return f.Validate()
}

// undo brings the instance back.
func (c *cluster) undo(ctx context.Context, f Fault, n *instance) (span, error) {
	s := span{begin: time.Now()}
	var err error
	switch f {
	case Kill:
		err = c.startHello(ctx, n)
	case Refuse:
		err = n.child.do(ctx, cmdAdmit)
	case Stop:
		err = resume(n.child.cmd.Process)
	}
	s.end = time.Now()
	if err != nil && ctx.Err() == nil {
		err = &FaultError{f, n.node.ID, fmt.Errorf("bring it back: %w", err)}
	}
	return s, err
}

// refused makes sure that the instance refuses connections.
func (c *cluster) refused(ctx context.Context, n *instance) error {
	if n.place != nil { // it cannot be reached from here
		return nil
	}
	return refused(ctx, n.node.Addr)
}

// refused makes sure that nobody listens at addr.
func refused(ctx context.Context, addr string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	switch {
	case err == nil:
		conn.Close()
		return fmt.Errorf("somebody still listens at %s", addr)
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil
	}
	return fmt.Errorf("dial it: %w, want: connection refused", err)
}

// poll waits until ok says so.
func poll(ctx context.Context, failure string, ok func() (bool, error)) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if done, err := ok(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return errors.New(failure)
}

// done says what the fault has done.
func (f Fault) done() string {
	return map[Fault]string{Kill: "killed (SIGKILL)", Stop: "stopped (SIGSTOP)", Refuse: "refuses connections"}[f]
}

// undone says what has been undone.
func (f Fault) undone() string {
	return map[Fault]string{Kill: "started again", Stop: "goes on (SIGCONT)", Refuse: "listens again"}[f]
}
