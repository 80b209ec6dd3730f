package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/internal/flags"
	"github.com/holdfast-go/holdfast/benchmarks/stacks"
)

// judged is the stack that must keep its promises; the others are reported.
const judged = "holdfast"

// allStacks are the seed's client, the same with one line added, and holdfast
// alone.
func allStacks() []harness.Stack {
	return []harness.Stack{stacks.GoMicro{}, stacks.GoMicroHoldfast{}, stacks.Holdfast{}}
}

const failoverUsage = `Usage: holdfast failover [flags]

Starts a gateway, a user API and instances of a hello service as processes of
their own on 127.0.0.1, and puts an open-loop Poisson load on the gateway's
GET /user/test (the user API calls hello) and POST /user/register (an effect at
hello, written to a ledger that survives SIGKILL). At a third of the time one
hello gets the fault, at two thirds it comes back. The same load runs three times:
the user API calls hello through go-micro v5.3.0's client with Retries(3) and a
Retry that always says true; through that client with one line added, holdfast's
wrapper; and through holdfast's own HTTP client. Prints a timeline and a table.

Flags:
  -nodes N          hello instances, 2 to 20 (default 2)
  -rate R           requests a second on both routes together, 20 to 5000 (default 200)
  -duration D       of the load of each stack, 3s to 10m (default 15s)
  -fault F          kill: SIGKILL, later started again on its port (default)
                    stop: SIGSTOP, later SIGCONT
                    refuse: its port is closed while it lives, later it listens again
  -only S           run one stack: go-micro, go-micro+holdfast or holdfast (default: all)
  -seed N           of the arrivals: equal seeds, equal load (default 1)
  -port N           of the gateway; the user API and the instances take the next
                    ones; 1 to 65535 less the processes (default 0: free ports)
  -keep DIR         keep ledgers and journals in this directory (default: none is left)
  -board            show the user API's client on a live page while it runs, and
                    print where, with the token by which it can be steered
  -open             -board, and open the page in a browser
  -json             print one JSON document on standard output, the rest on standard error

What is asserted, of holdfast: no GET failed; no POST was carried out twice, and
none that was acknowledged is missing; every POST that failed was answered "may
have been carried out"; the client did try the dead node. Of kill and refuse also:
it retried attempts that were not sent, and no more POSTs failed than were in
flight on the instance at that moment (as its ledger and the user API saw it). A
stopped process still takes connections, so with -fault stop nothing is "not sent",
and the bound is the POSTs that were on the instance while it was stopped.

Exit codes: 0 pass, 1 an assertion failed, 2 usage or configuration, 3 the fault
could not be injected or a process did not do its part, 130 interrupted.
`

// options are the command's flags.
type options struct {
	cfg  harness.Config
	json bool

	board, open bool
}

func parseFailover(args []string) (*options, error) {
	o := &options{cfg: harness.Config{
		Stacks: allStacks(), Nodes: 2, Rate: 200, Duration: 15 * time.Second, Fault: harness.Kill, Seed: 1,
	}}
	fs := flags.New("holdfast failover")
	fs.Func("nodes", "", flags.Between(&o.cfg.Nodes, strconv.Atoi, harness.MinNodes, harness.MaxNodes, "%v to %v hello instances"))
	fs.Func("rate", "", flags.Between(&o.cfg.Rate, flags.Float, harness.MinRate, harness.MaxRate, "%v to %v requests a second"))
	fs.Func("duration", "", flags.Between(&o.cfg.Duration, time.ParseDuration, harness.MinDuration, harness.MaxDuration, "%v to %v, as in 15s"))
	fs.Func("seed", "", flags.Between(&o.cfg.Seed, flags.Unsigned, 0, 1<<63, "%v to %v"))
	fs.Func("port", "", flags.Between(&o.cfg.Port, strconv.Atoi, 0, 65535, "%v (free ports) to %v"))
	fs.Func("fault", "", func(s string) error {
		o.cfg.Fault = harness.Fault(s)
		return o.cfg.Fault.Validate()
	})
	fs.Func("only", "", o.only)
	fs.StringVar(&o.cfg.Keep, "keep", "", "")
	fs.BoolFunc("board", "", flags.Bool(&o.board))
	fs.BoolFunc("open", "", flags.Bool(&o.open))
	fs.BoolFunc("json", "", flags.Bool(&o.json))
	if err := flags.Parse(fs, args); err != nil {
		return nil, err
	}
	if o.board = o.board || o.open; o.board {
		o.cfg.Board = func(string) {} // see failover
	}
	if err := o.cfg.Validate(); err != nil { // its fields have the flags' names
		return nil, errors.New("-" + strings.ReplaceAll(err.Error(), "\n", "\n-"))
	}
	return o, nil
}

func (o *options) only(name string) error {
	var known []string
	for _, s := range allStacks() {
		if s.Name() == name {
			o.cfg.Stacks = []harness.Stack{s}
			return nil
		}
		known = append(known, s.Name())
	}
	last := len(known) - 1
	return fmt.Errorf("want %s or %s", strings.Join(known[:last], ", "), known[last])
}

func failover(ctx context.Context, args []string, std cli.Streams) int {
	o, err := parseFailover(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(std.Out, failoverUsage)
		return cli.Pass
	}
	if err != nil {
		fmt.Fprintf(std.Err, "holdfast failover: %s (holdfast failover -h tells more)\n", flags.OneLine(err))
		return cli.Usage
	}
	live := newLive(std.Err)
	o.cfg.Progress = live.show
	if o.board {
		o.cfg.Board = func(url string) { showURL(ctx, std.Err, url, o.open) }
	}
	report, err := harness.Failover(ctx, o.cfg)
	live.close()
	if err != nil {
		return explain(err, o, std.Err)
	}
	violations := report.Judge(judged)
	if o.json {
		err = writeJSON(std.Out, report)
	} else {
		err = writeText(std.Out, report)
	}
	if err != nil {
		fmt.Fprintln(std.Err, "holdfast failover: standard output:", err)
		return cli.Usage
	}
	for _, s := range report.Stacks {
		if !s.Load.Valid {
			fmt.Fprintf(std.Err, "holdfast failover: %s: invalid: the load generator could not keep up (p99 lag %.0f ms, %d not sent): believe no latency\n",
				s.Name, s.Load.LagP99Ms, s.Load.Unsent)
		}
	}
	for _, v := range violations {
		fmt.Fprintln(std.Err, "holdfast failover: FAILED:", v)
	}
	if len(violations) > 0 {
		return cli.Failed
	}
	return cli.Pass
}

// explain prints why the experiment could not be carried out, and returns the
// exit code.
func explain(err error, o *options, w io.Writer) int {
	var port *harness.PortError
	switch {
	case errors.Is(err, cli.ErrInterrupted):
		fmt.Fprintln(w, "holdfast failover: interrupted; all processes have ended")
		return cli.Interrupted
	case errors.As(err, &port):
		fmt.Fprintf(w, "holdfast failover: -port %d: %v: want a port from which the next ones are free too, or 0 for free ones\n", o.cfg.Port, port)
		return cli.Usage
	}
	fmt.Fprintln(w, "holdfast failover:", flags.OneLine(err))
	return cli.Fault
}

func writeJSON(w io.Writer, report *harness.Report) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(report)
}
