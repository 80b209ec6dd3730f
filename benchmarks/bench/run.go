package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/internal/flags"
	"github.com/holdfast-go/holdfast/benchmarks/report"
	"github.com/holdfast-go/holdfast/benchmarks/scenario"
)

const runUsage = `Usage: holdfast bench run [flags]

Runs each scenario with each stack and each seed: instances and clients are
processes of their own on this machine, the load is Poisson and open-loop, the
fault comes from outside, and what was really carried out is counted in a ledger
that survives SIGKILL.

Flags:
  -scenario A,B    scenarios to run (default: all that can be injected here)
  -stack A,B       stacks to run (default: all that can run here)
  -seeds N         runs of each, with the seeds 1 to N; 1 to 100 (default 5; 2 with -quick)
  -quick           shorter phases
  -out DIR         write summary.json, events.ndjson, courses.ndjson and histograms.hlog to
                   this directory, which is made (default: only the table is printed)
  -keep DIR        keep what the processes wrote, ledgers, journals and shots, in an existing
                   directory, a folder a run (default: none is left)
  -parallel N      runs at the same time, 1 to 64; one of a high rate counts for several
                   (default 1; 4 a CPU with -quick)
  -again N         times that a run is repeated whose load could not be kept up, 0 to 10 (default 2)
  -command NAME=PROGRAM ARGUMENT…
                   a stack that is a program of your own, which serves HTTP at $HOLDFAST_LISTEN
                   by calling $HOLDFAST_NODES; may be given several times
  -json            print summary.json on standard output, the rest on standard error

A run whose load went out late (p99 of the lag above 10 ms) is not valid and has no figures.

`

// options are the command's flags.
type options struct {
	scenarios []scenario.Scenario
	stacks    []harness.Stack
	seeds     int
	quick     bool
	json      bool
	out, keep string
	parallel  int
	again     int
}

func parseRun(args []string, stacks []harness.Stack) (*options, error) {
	o := &options{again: 2}
	var picked string
	fs := flags.New("holdfast bench run")
	fs.Func("scenario", "", func(s string) (err error) {
		o.scenarios, err = pick(scenario.All(), s, func(s scenario.Scenario) string { return s.Name })
		return err
	})
	fs.StringVar(&picked, "stack", "", "")
	fs.Func("command", "", func(s string) error {
		c, err := harness.ParseCommand(s)
		stacks = append(slices.Clip(stacks), c)
		return err
	})
	fs.StringVar(&o.out, "out", "", "")
	fs.StringVar(&o.keep, "keep", "", "")
	fs.Func("parallel", "", flags.Between(&o.parallel, strconv.Atoi, 1, 64, "%v to %v"))
	fs.Func("again", "", flags.Between(&o.again, strconv.Atoi, 0, 10, "%v to %v"))
	fs.Func("seeds", "", flags.Between(&o.seeds, strconv.Atoi, 1, 100, "%v to %v"))
	fs.BoolFunc("quick", "", flags.Bool(&o.quick))
	fs.BoolFunc("json", "", flags.Bool(&o.json))
	if err := flags.Parse(fs, args); err != nil {
		return nil, err
	}
	o.defaults()
	if picked != "" {
		var err error
		if o.stacks, err = pick(stacks, picked, harness.Stack.Name); err != nil {
			return nil, fmt.Errorf("-stack: %w", err)
		}
	}
	if o.keep != "" {
		if info, err := os.Stat(o.keep); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("-keep %q: want an existing directory", o.keep)
		}
	}
	if o.scenarios == nil {
		for _, s := range scenario.All() {
			if s.Possible() == nil {
				o.scenarios = append(o.scenarios, s)
			}
		}
	}
	if o.stacks == nil {
		for _, s := range stacks {
			if s.Info().Unavailable == nil {
				o.stacks = append(o.stacks, s)
			}
		}
	}
	return o, nil
}

func (o *options) defaults() {
	seeds, parallel := 5, 1
	if o.quick {
		seeds, parallel = 2, 4*runtime.NumCPU()
	}
	if o.seeds == 0 {
		o.seeds = seeds
	}
	if o.parallel == 0 {
		o.parallel = parallel
	}
}

// pick returns the entries of list that are named in s, which is separated by
// commas.
func pick[T any](list []T, s string, name func(T) string) (picked []T, err error) {
	var known []string
	for _, x := range list {
		known = append(known, name(x))
	}
	for word := range strings.SplitSeq(s, ",") {
		found := false
		for _, x := range list {
			if name(x) == word {
				picked, found = append(picked, x), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no %q: want some of %s", word, strings.Join(known, ","))
		}
	}
	return picked, nil
}

func run(ctx context.Context, args []string, stacks []harness.Stack, std cli.Streams) int {
	o, err := parseRun(args, stacks)
	if err != nil {
		return refuse(std, "run", runUsage+cli.ExitCodes, err)
	}
	for _, s := range o.scenarios {
		if err := s.Possible(); err != nil {
			fmt.Fprintf(std.Err, "holdfast bench run: %s cannot be injected here: %s\n", s.Name, flags.OneLine(err))
			return cli.Fault
		}
	}
	for _, s := range o.stacks {
		if err := s.Info().Unavailable; err != nil {
			fmt.Fprintf(std.Err, "holdfast bench run: %s cannot run here: %s\n", s.Name(), flags.OneLine(err))
			return cli.Fault
		}
	}
	summary, err := o.run(ctx, std)
	if err != nil {
		return explain(err, std)
	}
	if o.json {
		err = writeJSON(std.Out, summary)
	} else {
		err = report.WriteText(std.Out, summary)
	}
	if err != nil {
		fmt.Fprintln(std.Err, "holdfast bench run: standard output:", err)
		return cli.Usage
	}
	return cli.Pass
}

func explain(err error, std cli.Streams) int {
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintln(std.Err, "holdfast bench run:", flags.OneLine(err))
		return cli.Usage
	case errors.Is(err, cli.ErrInterrupted):
		fmt.Fprintln(std.Err, "holdfast bench run: interrupted; all processes have ended")
		return cli.Interrupted
	}
	fmt.Fprintln(std.Err, "holdfast bench run:", flags.OneLine(err))
	return cli.Fault
}
