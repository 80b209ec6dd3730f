// Command holdfast runs the project's experiments.
//
//	holdfast failover    an instance dies under load: who notices?
//
// `holdfast help` lists the commands, `holdfast COMMAND -h` their flags.
//
// Exit codes: 0 pass, 1 an assertion failed, 2 usage or configuration, 3 a
// fault could not be injected here, 130 interrupted.
//
// This command links nothing heavy, since it is the first thing that people
// build: a test keeps the list of modules. What needs more becomes a command
// of its own beside it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// The exit codes.
const (
	exitPass        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitFault       = 3
	exitInterrupted = 130
)

// streams are the standard ones.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// command is one subcommand.
type command struct {
	name, about string
	run         func(ctx context.Context, args []string, std streams) int
}

var commands = []command{
	{"failover", "an instance dies under load: holdfast beside go-micro, on real processes", failover},
}

var errInterrupted = errors.New("interrupted")

func main() {
	std := streams{os.Stdin, os.Stdout, os.Stderr}
	if len(os.Args) > 1 && os.Args[1] == harness.RoleCommand {
		os.Exit(harness.RunRole(allStacks(), std.in, std.out))
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-signals
		cancel(errInterrupted)
		<-signals // who insists need not wait: the children end with this process
		os.Exit(exitInterrupted)
	}()
	os.Exit(run(ctx, os.Args[1:], std))
}

func run(ctx context.Context, args []string, std streams) int {
	if len(args) == 0 {
		fmt.Fprintln(std.err, "holdfast: no command: want one of", names(), "(holdfast help tells more)")
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		usage(std.out)
		return exitPass
	}
	for _, c := range commands {
		if c.name == args[0] {
			return c.run(ctx, args[1:], std)
		}
	}
	fmt.Fprintf(std.err, "holdfast: unknown subcommand %q: want one of %s (holdfast help tells more)\n", args[0], names())
	return exitUsage
}

func names() string {
	list := make([]string, 0, len(commands)+1)
	for _, c := range commands {
		list = append(list, c.name)
	}
	return strings.Join(append(list, "help"), ", ")
}

func usage(w io.Writer) {
	fmt.Fprint(w, "holdfast runs the project's experiments.\n\nUsage: holdfast COMMAND [flags]\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.about)
	}
	fmt.Fprintf(w, "  %-10s %s\n", "help", "this text; holdfast COMMAND -h for a command's flags")
	fmt.Fprint(w, "\nExit codes: 0 pass, 1 an assertion failed, 2 usage or configuration,\n3 a fault could not be injected here, 130 interrupted.\n")
}
