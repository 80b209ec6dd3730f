// Package bench is the command `holdfast bench`, for programs that add stacks
// of their own to it:
//
//	func main() { os.Exit(bench.Main(append(stacks.All(), mine{}))) }
package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
)

type command struct {
	name, about string
	run         func(ctx context.Context, args []string, stacks []harness.Stack, std cli.Streams) int
}

var commands = []command{
	{"list", "the scenarios and the stacks, and which of them can run here", list},
	{"run", "run scenarios with stacks", run},
	{"report", "make an HTML file of results", makeReport},
	{"compare", "compare two folders of results", compare},
	{"doctor", "what can be run here and why not, and what the harness itself takes", doctor},
}

// Main is a whole program: `holdfast bench` with these stacks, and the
// processes that it starts. It returns the exit code.
func Main(stacks []harness.Stack) int {
	return cli.Main(stacks, func(ctx context.Context, args []string, std cli.Streams) int {
		return Run(ctx, args, stacks, std)
	})
}

// Run is the command with its arguments. It returns the exit code.
func Run(ctx context.Context, args []string, stacks []harness.Stack, std cli.Streams) int {
	if len(args) == 0 {
		fmt.Fprintln(std.Err, "holdfast bench: no command: want one of", names(), "(holdfast bench help tells more)")
		return cli.Usage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		usage(std.Out)
		return cli.Pass
	}
	for _, c := range commands {
		if c.name == args[0] {
			return c.run(ctx, args[1:], stacks, std)
		}
	}
	fmt.Fprintf(std.Err, "holdfast bench: unknown subcommand %q: want one of %s (holdfast bench help tells more)\n", args[0], names())
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
	fmt.Fprint(w, "holdfast bench shows what users see while things break, beside the alternatives.\n\nUsage: holdfast bench COMMAND [flags]\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.about)
	}
	fmt.Fprintf(w, "  %-10s %s\n", "help", "this text; holdfast bench COMMAND -h for a command's flags")
	fmt.Fprint(w, "\n", cli.ExitCodes)
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
