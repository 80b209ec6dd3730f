// Command grpcstacks is the processes of the stacks that speak gRPC, as
// package harness starts them: it does nothing by itself. It is a program of
// its own since grpc-go's outlier detection comes with all of xDS.
package main

import (
	"fmt"
	"os"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

func main() {
	if len(os.Args) != 2 || os.Args[1] != harness.RoleCommand {
		fmt.Fprintln(os.Stderr, "grpcstacks is internal: holdfast bench run -stack grpc-outlier,holdfast-grpc starts it")
		os.Exit(2)
	}
	os.Exit(harness.RunRole([]harness.Stack{outlier{}, resilient{}}, os.Stdin, os.Stdout))
}
