// Command holdfast runs the project's experiments.
//
//	holdfast failover    an instance dies under load: who notices?
//	holdfast bench       what users see while things break, beside the alternatives
//
// `holdfast help` lists the commands, `holdfast COMMAND -h` their flags.
//
// Exit codes: 0 pass, 1 an assertion failed, 2 usage or configuration, 3 a
// fault could not be injected here, 130 interrupted.
//
// It is the first thing that people build: a test keeps the list of the
// modules that it links.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/holdfast-go/holdfast/benchmarks/bench"
	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/stacks"
)

// command is one subcommand.
type command struct {
	name, about string
	run         func(ctx context.Context, args []string, std cli.Streams) int
}

var commands = []command{
	{"failover", "an instance dies under load: holdfast beside go-micro, on real processes", failover},
	{"bench", "what users see while things break, beside the alternatives: list, run, report, compare", benchmark},
}

func main() { os.Exit(cli.Main(stacks.All(), run)) }

func benchmark(ctx context.Context, args []string, std cli.Streams) int {
	return bench.Run(ctx, args, stacks.All(), std)
}

func run(ctx context.Context, args []string, std cli.Streams) int {
	if len(args) == 0 {
		fmt.Fprintln(std.Err, "holdfast: no command: want one of", names(), "(holdfast help tells more)")
		return cli.Usage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		usage(std.Out)
		return cli.Pass
	}
	for _, c := range commands {
		if c.name == args[0] {
			return c.run(ctx, args[1:], std)
		}
	}
	fmt.Fprintf(std.Err, "holdfast: unknown subcommand %q: want one of %s (holdfast help tells more)\n", args[0], names())
	return cli.Usage
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
	fmt.Fprint(w, "\n", cli.ExitCodes)
}
