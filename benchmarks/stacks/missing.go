package stacks

import (
	"errors"
	"net"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// missing is a stack that is not built yet. It holds its place in lists, which
// say why.
type missing struct {
	name, what string
	why        error
}

var (
	grpcOutlier = missing{
		"grpc-outlier", "grpc-go with outlier detection and a retry policy, over its own transport",
		errors.New("not built: grpc-go has outlier detection only inside google.golang.org/grpc/xds, " +
			"whose tree would slow the build of this command: it needs a program of its own"),
	}
	holdfastGRPC = missing{
		"holdfast-grpc", "holdfast on gRPC (wrapper/grpcwrap)",
		errors.New("not built: there is no wrapper/grpcwrap yet"),
	}
)

// Name implements harness.Stack.
func (m missing) Name() string { return m.name }

// Info implements harness.Stack.
func (m missing) Info() harness.Info {
	return harness.Info{What: m.what, Config: "none yet", Unavailable: m.why}
}

// Serve implements harness.Stack: it fails.
func (m missing) Serve(net.Listener, *harness.Hello) error { return m.why }

// Dial implements harness.Stack: it fails.
func (m missing) Dial(harness.ClientConfig) (harness.Client, error) { return nil, m.why }
