// Command acceptance holds `holdfast tune` to its promises, on systems that it
// was not built with:
//
//	go run ./benchmarks/cmd/acceptance [-calls 600000] [-systems 401,402] [-json]
//
// Each system is drawn from a seed (benchmarks/tune/acceptance.json): sizes,
// rates, error levels, bursts, latencies, what counts as broken. Its clients are
// recorded, settings are recommended from the record alone, and then run beside
// the defaults of five peers. It exits with 1 when a goal is missed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/internal/flags"
	"github.com/holdfast-go/holdfast/benchmarks/tune"
)

const usage = `Usage: acceptance [flags]

Records generated systems, tunes them by the record, and runs the recommended
settings beside the defaults of five peers. The goals: the promise of false
ejections holds in 95 % of the systems; a node at the broken rate is ejected
within the predicted p99 in 95 %; no peer's defaults are at least as good in
false ejections and in the median time to eject, and better in one of them by
more than chance explains at 95 %.

Flags:
  -calls N      healthy calls of each client in each system, 1000 to 1e9 (default
                600000); below 300000 or so the systems are judged together
  -systems A,B  seeds of the systems (default: those of acceptance.json)
  -json         print one JSON document on standard output

` + cli.ExitCodes

// document is what -json prints.
type document struct {
	SchemaVersion int            `json:"schemaVersion"`
	Systems       []tune.Verdict `json:"systems"`
	Missed        []string       `json:"missed"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var a tune.Acceptance
	asJSON := false
	fs := flags.New("acceptance")
	fs.Func("calls", "", flags.Between(&a.Calls, flags.Float, 1000, 1e9, "%v to %v calls"))
	fs.Func("systems", "", func(s string) error {
		for _, one := range strings.Split(s, ",") {
			seed, err := strconv.ParseUint(one, 10, 32)
			if err != nil {
				return errors.New("want seeds, with commas between them")
			}
			a.Systems = append(a.Systems, seed)
		}
		return nil
	})
	fs.BoolFunc("formula", "", flags.Bool(&a.Formula))
	fs.BoolFunc("json", "", flags.Bool(&asJSON))
	err := flags.Parse(fs, args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return cli.Pass
	}
	if err == nil {
		a.Done = func(v tune.Verdict) { fmt.Fprintf(stderr, "acceptance: system %d: %s\n", v.Seed, v.What) }
		var list []tune.Verdict
		if list, err = tune.Accept(ctx, a); err == nil {
			return report(list, asJSON, stdout, stderr)
		}
	}
	if ctx.Err() != nil {
		return cli.Interrupted
	}
	fmt.Fprintf(stderr, "acceptance: %s (acceptance -h tells more)\n", flags.OneLine(err))
	return cli.Usage
}

func report(list []tune.Verdict, asJSON bool, stdout, stderr io.Writer) int {
	missed := tune.Judge(list)
	write := func() error { return tune.PrintVerdicts(stdout, list) }
	if asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		write = func() error { return enc.Encode(document{1, list, append([]string{}, missed...)}) }
	}
	if err := write(); err != nil {
		fmt.Fprintln(stderr, "acceptance: standard output:", err)
		return cli.Usage
	}
	for _, m := range missed {
		fmt.Fprintln(stderr, "acceptance: missed:", m)
	}
	if len(missed) > 0 {
		return cli.Failed
	}
	return cli.Pass
}
