// Package cli is what the project's commands have in common: streams, exit
// codes, signals, a line that shows how something stands.
package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// The exit codes.
const (
	Pass        = 0
	Failed      = 1
	Usage       = 2
	Fault       = 3
	Invalid     = 4
	Interrupted = 130
)

// ExitCodes is what help texts say about them.
const ExitCodes = "Exit codes: 0 pass, 1 an assertion failed, 2 usage or configuration,\n3 a fault could not be injected here, 130 interrupted.\n"

// MeasureExitCodes is what they say of a command that measures.
const MeasureExitCodes = "Exit codes: 0 pass, 1 an assertion failed, 2 usage or configuration,\n3 a fault could not be injected here, 4 figures are missing since the machine could not\nkeep up, 130 interrupted.\n"

// ReadExitCodes is what they say of a command that asserts nothing and breaks nothing.
const ReadExitCodes = "Exit codes: 0 done, 2 usage, or what cannot be read, 130 interrupted.\n"

// Streams are the standard ones.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// ErrInterrupted is the cause of a context that a signal has ended.
var ErrInterrupted = errors.New("interrupted")

// Main is a program that runs experiments: run with its arguments, and the
// processes that it starts. It returns the exit code.
func Main(stacks []harness.Stack, run func(ctx context.Context, args []string, std Streams) int) int {
	std := Streams{os.Stdin, os.Stdout, os.Stderr}
	if len(os.Args) > 1 && os.Args[1] == harness.RoleCommand {
		return harness.RunRole(stacks, std.In, std.Out)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-signals
		cancel(ErrInterrupted)
		<-signals // who insists need not wait: the children end with this process
		os.Exit(Interrupted)
	}()
	return run(ctx, os.Args[1:], std)
}
