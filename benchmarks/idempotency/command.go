package idempotency

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"text/tabwriter"

	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/internal/flags"
	"github.com/holdfast-go/holdfast/internal/realserver"
)

const usage = `Usage: holdfast bench idempotency [flags]

Sends requests through package httpwrap to servers of their own processes on
127.0.0.1, which are killed with SIGKILL before their effect, between effect and
answer, and after both; which are frozen past timeouts and leases; whose replies are
dropped; and whose store is killed and started again. Then it compares what
clients were told with the effects that there are.

  sql    keys in PostgreSQL, in one transaction with the effect; two servers.
         Asserts: 0 lost, 0 duplicated, 0 failed.
  redis  keys in Redis (appendfsync always), the effect elsewhere; three servers.
         Asserts: 0 lost, 0 duplicated, failed at most the requests that were open
         on a server when it was killed, each of them reported ambiguous.
  none   no keys; three servers.
         Asserts: 0 lost, 0 duplicated, every failure reported ambiguous.

A run in which nothing was repeated or replayed, or a fault was not done, fails.

Flags:
  -mode M        sql, redis or none (default: all three)
  -requests N    of each mode, 100 to 10000000 (default 100000)
  -clients N     requests at a time, 1 to 1000 (default 32)
  -kills N       at each of the three points, and so many dropped replies, 1 to 1000 (default 20)
  -json          print one JSON document on standard output

`

type options struct {
	cfg   Config
	modes []Mode
	json  bool
}

func parse(args []string) (*options, error) {
	o := &options{modes: Modes, cfg: Config{Requests: 100_000, Clients: 32, Kills: 20}}
	fs := flags.New("idempotency")
	fs.Func("mode", "", func(s string) error {
		for _, m := range Modes {
			if string(m) == s {
				o.modes = []Mode{m}
				return nil
			}
		}
		return errors.New("want sql, redis or none")
	})
	fs.Func("requests", "", flags.Between(&o.cfg.Requests, strconv.Atoi, 100, 10_000_000, "%v to %v requests"))
	fs.Func("clients", "", flags.Between(&o.cfg.Clients, strconv.Atoi, 1, 1000, "%v to %v clients"))
	fs.Func("kills", "", flags.Between(&o.cfg.Kills, strconv.Atoi, 1, 1000, "%v to %v kills"))
	fs.BoolFunc("json", "", flags.Bool(&o.json))
	return o, flags.Parse(fs, args)
}

// ServeIfChild is for the beginning of a program that has Command: where the
// program was started by it as a server, it serves and does not return.
func ServeIfChild() {
	if len(os.Args) == 3 && os.Args[1] == ServerCommand {
		fmt.Fprintln(os.Stderr, Serve(os.Args[2], os.Stdin))
		os.Exit(cli.Failed)
	}
}

// Command is `holdfast bench idempotency` with its arguments. It returns the
// exit code.
func Command(ctx context.Context, args []string, std cli.Streams) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(std.Out, usage+cli.ExitCodes)
		return cli.Pass
	}
	if err == nil {
		o.cfg.Exe, err = os.Executable()
	}
	if err != nil {
		fmt.Fprintf(std.Err, "holdfast bench idempotency: %s (-h tells more)\n", flags.OneLine(err))
		return cli.Usage
	}
	var reports []*Report
	var broken []string
	for _, m := range o.modes {
		o.cfg.Mode = m
		report, err := Run(ctx, o.cfg)
		if err != nil {
			fmt.Fprintf(std.Err, "holdfast bench idempotency: %s: %s\n", m, flags.OneLine(err))
			switch {
			case ctx.Err() != nil:
				return cli.Interrupted
			case errors.Is(err, realserver.ErrMissing), errors.Is(err, errors.ErrUnsupported):
				return cli.Fault
			}
			return cli.Fault
		}
		for _, f := range report.Failures {
			fmt.Fprintf(std.Err, "%s: %s\n", m, f)
		}
		reports = append(reports, report)
		broken = append(broken, report.Judge()...)
	}
	if err := write(std.Out, o.json, reports); err != nil {
		fmt.Fprintln(std.Err, "holdfast bench idempotency: standard output:", err)
		return cli.Usage
	}
	for _, b := range broken {
		fmt.Fprintln(std.Err, "holdfast bench idempotency: FAILED:", b)
	}
	if len(broken) > 0 {
		return cli.Failed
	}
	return cli.Pass
}

func write(w io.Writer, asJSON bool, reports []*Report) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(struct {
			SchemaVersion int       `json:"schemaVersion"`
			Runs          []*Report `json:"runs"`
		}{1, reports})
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "mode\trequests\tfailed\tin doubt\tlost\tduplicated\tghosts\topen at kills\trepeated\treplayed\tkills\tdrops\tfrozen\tstore restarts\ttook\t")
	for _, r := range reports {
		kills := r.Hits[Before] + r.Hits[Between] + r.Hits[After]
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.0fs\t\n",
			r.Mode, r.Requests, r.Failed, r.InDoubt, r.Lost, r.Duplicated, r.Ghosts, r.Open, r.Repeated, r.Replayed,
			kills, r.Hits[Drop], r.Frozen, r.Restarts, r.Took.Seconds())
	}
	return table.Flush()
}
