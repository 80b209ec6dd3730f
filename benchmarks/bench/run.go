package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

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
  -json            print summary.json on standard output, the rest on standard error

`

// options are the command's flags.
type options struct {
	scenarios []scenario.Scenario
	stacks    []harness.Stack
	seeds     int
	quick     bool
	json      bool
}

func parseRun(args []string, stacks []harness.Stack) (*options, error) {
	o := new(options)
	fs := flags.New("holdfast bench run")
	fs.Func("scenario", "", func(s string) (err error) {
		o.scenarios, err = pick(scenario.All(), s, func(s scenario.Scenario) string { return s.Name })
		return err
	})
	fs.Func("stack", "", func(s string) (err error) {
		o.stacks, err = pick(stacks, s, harness.Stack.Name)
		return err
	})
	fs.Func("seeds", "", flags.Between(&o.seeds, strconv.Atoi, 1, 100, "%v to %v"))
	fs.BoolFunc("quick", "", flags.Bool(&o.quick))
	fs.BoolFunc("json", "", flags.Bool(&o.json))
	if err := flags.Parse(fs, args); err != nil {
		return nil, err
	}
	if o.seeds == 0 {
		o.seeds = 5
		if o.quick {
			o.seeds = 2
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
	summary, err := o.run(ctx, cli.NewLine(std.Err))
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
	if errors.Is(err, cli.ErrInterrupted) {
		fmt.Fprintln(std.Err, "holdfast bench run: interrupted; all processes have ended")
		return cli.Interrupted
	}
	fmt.Fprintln(std.Err, "holdfast bench run:", flags.OneLine(err))
	return cli.Fault
}

// run does all runs.
func (o *options) run(ctx context.Context, line *cli.Line) (*report.Summary, error) {
	defer line.Close()
	pace := scenario.Full
	if o.quick {
		pace = scenario.Quick
	}
	sum := &report.Summary{SchemaVersion: 1, Environment: report.Here(time.Now(), os.Args), Quick: o.quick}
	for seed := range o.seeds {
		sum.Seeds = append(sum.Seeds, uint64(seed+1))
	}
	for _, s := range o.stacks {
		info := s.Info()
		sum.Stacks = append(sum.Stacks, report.Stack{Name: s.Name(), What: info.What, Config: info.Config, Keyed: info.Keyed})
	}
	for _, sc := range o.scenarios {
		plan := sc.Plan(pace).WithDefaults()
		sum.Scenarios = append(sum.Scenarios, report.Scenario{Name: sc.Name, What: sc.What, Inject: sc.Inject, Bound: sc.Bound, Plan: plan})
		for _, st := range o.stacks {
			for _, seed := range sum.Seeds {
				plan.Seed = seed
				r, err := harness.Bench(ctx, harness.BenchConfig{Plan: plan, Stack: st, Progress: o.progress(line, sc.Name, seed)})
				if err != nil {
					return nil, fmt.Errorf("%s, %s, seed %d: %w", sc.Name, st.Name(), seed, err)
				}
				sum.Runs = append(sum.Runs, report.Of(sc.Name, r, sc.Bounds(r)))
			}
		}
	}
	return sum, nil
}

func (o *options) progress(line *cli.Line, name string, seed uint64) func(harness.Progress) {
	return func(p harness.Progress) {
		text := fmt.Sprintf("%s %s seed %d  %.1fs/%v  %d sent  %d failed", name, p.Stack, seed, max(0, p.Elapsed.Seconds()), p.Duration, p.Sent, p.Failed)
		if p.Notice != "" {
			line.Note(time.Now(), text+"  "+p.Notice)
		} else {
			line.Status(time.Now(), text)
		}
	}
}
