// Command holdfast runs the project's experiments.
//
//	holdfast failover    an instance dies under load: who notices?
//	holdfast bench       what users see while things break, beside the alternatives
//	holdfast board       the live boards of several processes, side by side
//	holdfast config      check files of settings
//	holdfast sim         the same in virtual time, or a system of your own
//	holdfast trace       traces of attempts: record, import, summary
//	holdfast tune        thresholds from your own traffic, and why
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
	"os"

	"github.com/holdfast-go/holdfast/benchmarks/bench"
	"github.com/holdfast-go/holdfast/benchmarks/idempotency"
	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/stacks"
	"github.com/holdfast-go/holdfast/benchmarks/trace"
	"github.com/holdfast-go/holdfast/benchmarks/tune"
)

var menu = cli.Menu{
	Program: "holdfast", About: "runs the project's experiments",
	Commands: []cli.Command{
		{Name: "failover", About: "an instance dies under load: go-micro, go-micro with holdfast, holdfast alone, on real processes", Run: failover},
		{Name: "bench", About: "what users see while things break, beside the alternatives: list, run, report, compare", Run: benchmark},
		{Name: "board", About: "the live boards of several processes, side by side", Run: showBoards},
		{Name: "config", About: "look for what is wrong in files of settings: check", Run: configure},
		{Name: "sim", About: "a system of your own, or what bench measures, in virtual time", Run: simulate},
		{Name: "trace", About: "record, import and sum up traces of attempts", Run: trace.Run},
		{Name: "tune", About: "thresholds from a trace or a description, with the reason and the price", Run: tune.Run},
	},
}

func main() {
	idempotency.ServeIfChild()
	os.Exit(cli.Main(append(stacks.All(), stacks.GoMicroHoldfast{}), run)) // failover has one more
}

func run(ctx context.Context, args []string, std cli.Streams) int { return menu.Run(ctx, args, std) }

func benchmark(ctx context.Context, args []string, std cli.Streams) int {
	return bench.Run(ctx, args, stacks.All(), std)
}
