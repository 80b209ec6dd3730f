package stacks

import (
	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/grpcsettings"
)

// All are the stacks that [harness.Bench] can run, in the order of reports.
// A new one is a file here with a type that implements [harness.Stack], and a
// line in this list. `holdfast failover` has [GoMicroHoldfast] besides.
func All() []harness.Stack {
	return []harness.Stack{
		Holdfast{},
		HoldfastKeyed{},
		Bare{},
		Backoff{},
		GoBreaker{},
		Hystrix{},
		Failsafe{},
		GoMicro{},
		grpcStack(grpcsettings.Outlier),
		grpcStack(grpcsettings.Holdfast),
		HAProxy{},
		Nginx{},
	}
}
