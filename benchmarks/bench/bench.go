// Package bench is the command `holdfast bench`, for programs that add stacks
// of their own to it:
//
//	func main() { os.Exit(bench.Main(append(stacks.All(), mine{}))) }
package bench

import (
	"context"
	"encoding/json"
	"io"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/idempotency"
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
	{
		"idempotency", "one effect per key, on servers and stores that are killed",
		func(ctx context.Context, args []string, _ []harness.Stack, std cli.Streams) int {
			return idempotency.Command(ctx, args, std)
		},
	},
	{"doctor", "what can be run here and why not, and what the harness itself takes", doctor},
}

// Main is a whole program: `holdfast bench` with these stacks, and the
// processes that it starts. It returns the exit code.
func Main(stacks []harness.Stack) int {
	idempotency.ServeIfChild()
	return cli.Main(stacks, func(ctx context.Context, args []string, std cli.Streams) int {
		return Run(ctx, args, stacks, std)
	})
}

// Run is the command with its arguments. It returns the exit code.
func Run(ctx context.Context, args []string, stacks []harness.Stack, std cli.Streams) int {
	menu := cli.Menu{Program: "holdfast bench", About: "shows what users see while things break, beside the alternatives", Exit: cli.MeasureExitCodes}
	for _, c := range commands {
		menu.Commands = append(menu.Commands, cli.Command{
			Name: c.name, About: c.about,
			Run: func(ctx context.Context, args []string, std cli.Streams) int { return c.run(ctx, args, stacks, std) },
		})
	}
	return menu.Run(ctx, args, std)
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
