//go:build !linux

package harness

import (
	"context"
	"errors"
	"fmt"
)

type network struct{}

var errNoNetwork = fmt.Errorf("network namespaces: %w: Linux has them", errors.ErrUnsupported)

func newNetwork(context.Context, []string) (*network, error) { return nil, errNoNetwork }

func (*network) cut(context.Context, string, []string) error  { return errNoNetwork }
func (*network) mend(context.Context, string, []string) error { return errNoNetwork }
func (*network) silent(string, string) error                  { return errNoNetwork }
func (*network) address(string) string                        { return "" }
func (*network) place(string) *spawner                        { return nil }
func (*network) close()                                       {}

// NetworkPossible returns why links cannot be cut on this machine, or nil.
func NetworkPossible() error { return errNoNetwork }
