package stacks

import (
	"errors"
	"net"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// Holdfast is NOT WRITTEN YET: it waits for wrapper/httpwrap. It says so and
// fakes nothing.
type Holdfast struct{}

var errHoldfast = errors.New("holdfast's stack waits for wrapper/httpwrap")

// Name implements harness.Stack.
func (Holdfast) Name() string { return "holdfast" }

// Serve implements harness.Stack.
func (Holdfast) Serve(net.Listener, *harness.Hello) error { return errHoldfast }

// Dial implements harness.Stack.
func (Holdfast) Dial(harness.ClientConfig) (harness.Client, error) { return nil, errHoldfast }
