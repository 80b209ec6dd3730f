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
that survives SIGKILL. Everything, which is the default, takes hours; it says first
how many.

As many runs go on at once as keep part of the CPUs busy, by what others like them
took; heavy ones go alone, and one that was not valid is repeated with less beside it.

Flags:
  -scenario A,B    scenarios to run (default: all; those that cannot be injected here are
                   said, and the exit code is 3); "none" injects nothing
  -stack A,B       stacks to run (default: all that can run here); "null" does nothing:
                   with "none" it shows what the harness itself takes
  -seeds N         runs of each, with the seeds 1 to N; 1 to 100 (default 5; 2 with -quick)
  -quick           shorter phases
  -out DIR         write summary.json, events.ndjson, courses.ndjson and histograms.hlog to
                   this directory, which is made (default: only the table is printed)
  -keep DIR        keep what the processes wrote, ledgers, journals and shots, in an existing
                   directory, a folder a run (default: none is left)
  -resume          go on with the results in -out: its valid runs are kept, if they are of the
                   same build, plans and configurations, and the others are done. What was
                   interrupted, by Ctrl-C or anything else, is resumed so
  -busy PERCENT    how much of all CPUs the runs may keep busy, 10 to 100 (default 60;
                   45 with -quick, where more of it is processes that start)
  -parallel N      at most so many runs at the same time, 1 to 64 (default 64)
  -again N         times that a run is repeated whose load could not be kept up, or which could
                   not be done, 0 to 10 (default 2)
  -command NAME=PROGRAM ARGUMENT…
                   a stack that is a program of your own, which serves HTTP at $HOLDFAST_LISTEN
                   by calling $HOLDFAST_NODES; may be given several times
  -json            print summary.json on standard output, the rest on standard error
  -benchfmt        print the runs in the Go benchmark format instead of the table, for benchstat` + assertUsage + `

In the table, "37/0" is a figure and its bound, what no client could do better;
benchmarks/README.md says what the figures are.

A run whose load went out late (p99 of the lag above 10 ms) is not valid and has no figures.
If one is left that is not, the exit code is 4, unless another is due.

`

// options are the command's flags.
type options struct {
	scenarios []scenario.Scenario
	stacks    []harness.Stack
	seeds     int
	quick     bool
	json      bool
	benchfmt  bool
	asserts   assertions
	out, keep string
	resume    bool
	busy      int // percent of all CPUs
	parallel  int // 0: as many as there is room for
	again     int

	left, absent []report.Missing // scenarios and stacks that nobody named and that cannot be had here
}

func parseRun(args []string, stacks []harness.Stack) (*options, error) {
	o := &options{again: 2}
	var picked string
	fs := flags.New("holdfast bench run")
	fs.Func("scenario", "", func(s string) (err error) {
		o.scenarios, err = pick(scenario.All(), s, func(s scenario.Scenario) string { return s.Name }, scenario.None)
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
	fs.BoolFunc("resume", "", flags.Bool(&o.resume))
	fs.Func("busy", "", flags.Between(&o.busy, strconv.Atoi, 10, 100, "%v to %v"))
	fs.Func("parallel", "", flags.Between(&o.parallel, strconv.Atoi, 1, 64, "%v to %v"))
	fs.Func("again", "", flags.Between(&o.again, strconv.Atoi, 0, 10, "%v to %v"))
	fs.Func("seeds", "", flags.Between(&o.seeds, strconv.Atoi, 1, 100, "%v to %v"))
	fs.BoolFunc("quick", "", flags.Bool(&o.quick))
	fs.BoolFunc("json", "", flags.Bool(&o.json))
	fs.BoolFunc("benchfmt", "", flags.Bool(&o.benchfmt))
	o.asserts.flag(fs, false)
	if err := flags.Parse(fs, args); err != nil {
		return nil, err
	}
	if o.json && o.benchfmt {
		return nil, errors.New("-json and -benchfmt: want one of them")
	}
	if o.resume && o.out == "" {
		return nil, errors.New("-resume: want -out, a folder to go on with")
	}
	o.defaults()
	if picked != "" {
		var err error
		if o.stacks, err = pick(stacks, picked, harness.Stack.Name, harness.Stack(harness.Null{})); err != nil {
			return nil, fmt.Errorf("-stack: %w", err)
		}
	}
	if o.keep != "" {
		if info, err := os.Stat(o.keep); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("-keep %q: want an existing directory", o.keep)
		}
	}
	if o.scenarios == nil {
		o.scenarios, o.left = possible(scenario.All(), func(s scenario.Scenario) (string, error) { return s.Name, s.Possible() })
	}
	if o.stacks == nil {
		o.stacks, o.absent = possible(stacks, func(s harness.Stack) (string, error) { return s.Name(), s.Info().Unavailable })
	}
	return o, nil
}

// possible returns those of a list that can be had here, and why the others
// cannot.
func possible[T any](list []T, ask func(T) (name string, why error)) (here []T, not []report.Missing) {
	for _, x := range list {
		if name, why := ask(x); why != nil {
			not = append(not, report.Missing{Name: name, Why: flags.OneLine(why)})
		} else {
			here = append(here, x)
		}
	}
	return here, not
}

// How much of the CPUs runs keep busy, by default.
const busyFull, busyQuick = 60, 45

func (o *options) defaults() {
	if o.busy == 0 {
		o.busy = busyFull
		if o.quick {
			o.busy = busyQuick
		}
	}
	if o.seeds == 0 {
		o.seeds = 5
		if o.quick {
			o.seeds = 2
		}
	}
}

// cpus is how many of them the runs may keep busy.
func (o *options) cpus() float64 { return float64(runtime.NumCPU()*o.busy) / 100 }

// pick returns the entries of list, and of those that are not told of, which
// are named in s, separated by commas.
func pick[T any](list []T, s string, name func(T) string, others ...T) (picked []T, err error) {
	var known []string
	for _, x := range list {
		known = append(known, name(x))
	}
	list = append(slices.Clip(list), others...)
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
		return refuse(std, "run", runUsage+cli.MeasureExitCodes, err)
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
	for _, m := range append(slices.Clip(o.left), o.absent...) {
		fmt.Fprintf(std.Err, "holdfast bench run: left out, since it cannot be had here: %s: %s\n", m.Name, m.Why)
	}
	summary, err := o.run(ctx, std)
	if err != nil {
		if o.out != "" && summary != nil {
			fmt.Fprintf(std.Err, "holdfast bench run: %d runs are in %s: the same command with -resume goes on\n", len(summary.Runs), o.out)
		}
		return explain("run", err, std)
	}
	switch {
	case o.json:
		err = writeJSON(std.Out, summary)
	case o.benchfmt:
		err = report.WriteBenchfmt(std.Out, summary)
	default:
		err = report.WriteText(std.Out, summary)
	}
	if err != nil {
		fmt.Fprintln(std.Err, "holdfast bench run: standard output:", err)
		return cli.Usage
	}
	invalid := summary.Invalid()
	if invalid > 0 {
		fmt.Fprintf(std.Err, "holdfast bench run: %d of %d runs are not valid and have no figures: the machine could not keep up\n", invalid, len(summary.Runs))
	}
	code := settle(std, "run", report.Check(o.asserts, summary))
	switch {
	case code != cli.Pass:
		return code
	case len(o.left) > 0:
		return cli.Fault
	case invalid > 0:
		return cli.Invalid
	}
	return cli.Pass
}

// explain prints why it could not be done, and returns the exit code.
func explain(command string, err error, std cli.Streams) int {
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintf(std.Err, "holdfast bench %s: %s\n", command, flags.OneLine(err))
		return cli.Usage
	case errors.Is(err, cli.ErrInterrupted):
		fmt.Fprintf(std.Err, "holdfast bench %s: interrupted; all processes have ended\n", command)
		return cli.Interrupted
	}
	fmt.Fprintf(std.Err, "holdfast bench %s: %s\n", command, flags.OneLine(err))
	return cli.Fault
}
