// Command idempotency proves package wrapper/idempotency on real processes:
// see [usage].
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
	"syscall"
	"text/tabwriter"

	"github.com/holdfast-go/holdfast/benchmarks/idempotency"
	"github.com/holdfast-go/holdfast/benchmarks/internal/flags"
	"github.com/holdfast-go/holdfast/internal/realserver"
)

// The exit codes.
const (
	exitPass        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotHere     = 3
	exitInterrupted = 130
)

const usage = `Usage: idempotency [flags]

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

Exit codes: 0 pass, 1 an assertion failed, 2 usage, 3 a server is not installed here
or a fault could not be done, 130 interrupted.
`

type options struct {
	cfg   idempotency.Config
	modes []idempotency.Mode
	json  bool
}

func parse(args []string) (*options, error) {
	o := &options{modes: idempotency.Modes, cfg: idempotency.Config{Requests: 100_000, Clients: 32, Kills: 20}}
	fs := flags.New("idempotency")
	fs.Func("mode", "", func(s string) error {
		for _, m := range idempotency.Modes {
			if string(m) == s {
				o.modes = []idempotency.Mode{m}
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

func main() {
	if len(os.Args) == 3 && os.Args[1] == idempotency.ServerCommand {
		fmt.Fprintln(os.Stderr, idempotency.Serve(os.Args[2], os.Stdin))
		os.Exit(exitFailed)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitPass
	}
	if err == nil {
		o.cfg.Exe, err = os.Executable()
	}
	if err != nil {
		fmt.Fprintf(stderr, "idempotency: %s (idempotency -h tells more)\n", flags.OneLine(err))
		return exitUsage
	}
	var reports []*idempotency.Report
	var broken []string
	for _, m := range o.modes {
		o.cfg.Mode = m
		report, err := idempotency.Run(ctx, o.cfg)
		if err != nil {
			fmt.Fprintf(stderr, "idempotency: %s: %s\n", m, flags.OneLine(err))
			switch {
			case ctx.Err() != nil:
				return exitInterrupted
			case errors.Is(err, realserver.ErrMissing), errors.Is(err, errors.ErrUnsupported):
				return exitNotHere
			}
			return exitNotHere
		}
		for _, f := range report.Failures {
			fmt.Fprintf(stderr, "%s: %s\n", m, f)
		}
		reports = append(reports, report)
		broken = append(broken, report.Judge()...)
	}
	if err := write(stdout, o.json, reports); err != nil {
		fmt.Fprintln(stderr, "idempotency: standard output:", err)
		return exitUsage
	}
	for _, b := range broken {
		fmt.Fprintln(stderr, "idempotency: FAILED:", b)
	}
	if len(broken) > 0 {
		return exitFailed
	}
	return exitPass
}

func write(w io.Writer, asJSON bool, reports []*idempotency.Report) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(struct {
			SchemaVersion int                   `json:"schemaVersion"`
			Runs          []*idempotency.Report `json:"runs"`
		}{1, reports})
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "mode\trequests\tfailed\tin doubt\tlost\tduplicated\tghosts\topen at kills\trepeated\treplayed\tkills\tdrops\tfrozen\tstore restarts\ttook\t")
	for _, r := range reports {
		kills := r.Hits[idempotency.Before] + r.Hits[idempotency.Between] + r.Hits[idempotency.After]
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.0fs\t\n",
			r.Mode, r.Requests, r.Failed, r.InDoubt, r.Lost, r.Duplicated, r.Ghosts, r.Open, r.Repeated, r.Replayed,
			kills, r.Hits[idempotency.Drop], r.Frozen, r.Restarts, r.Took.Seconds())
	}
	return table.Flush()
}
