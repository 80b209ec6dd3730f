package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/internal/flags"
	"github.com/holdfast-go/holdfast/benchmarks/report"
	"github.com/holdfast-go/holdfast/benchmarks/scenario"
	"github.com/holdfast-go/holdfast/benchmarks/sim"
)

const simUsage = `Usage: holdfast sim FILE [flags]
       holdfast sim -scenario NAME [flags]
       holdfast sim -validate DIR [flags]

Runs a system in virtual time: clients and nodes, the load on them, and what
happens to the nodes. The clients are the production code, the world around it is
a model. Same seed, same output. FILE is YAML, - standard input; for example

  clients: 1000
  nodes: 100
  rate: 20000                      # calls a second in all
  service: {mean: 20ms, cv: 1, workers: 8, queue: 100}
  methods:
    - {name: read, share: 9, kind: safe, errors: 0.001}
    - {name: pay, kind: non-idempotent}
  faults:
    - {at: 3s, for: 8s, do: kill, nodes: [7]}      # from 0: hello-8; or drain, refuse, stop, cut, sicken
    - {at: 5s, do: sicken, nodes: [9], errors: 0.3}
  client: {settings: {attemptTimeout: 250ms}}

and every field has a default: go doc ./benchmarks/sim System tells them.

Flags:
  -scenario NAME    one of holdfast bench's, instead of a FILE
  -quick            its shorter phases
  -keyed            its POSTs carry a key
  -clients A,B      the clients to compare, on the same arrivals: holdfast with the file's
                    settings, or CLIENTS; "all" (default: the file's)
  -seeds N          runs of each client, 1 to 10000 (default 1)
  -seed N           the first seed (default 1)
  -json             print one JSON document on standard output
  -html FILE        write a page with the charts, which needs nothing else
  -svg FILE         write the timelines as one picture
  -validate DIR     results of holdfast bench: simulate what was measured, with -seeds of
                    each run (default 20), and print a table of the two; exit 1 if a figure
                    differs by more than 15 %, is not within its interval, and chance does
                    not explain it either
  -o FILE           where -validate writes the table (default: standard output)

Exit codes: 0 done, 1 a figure of -validate differs, 2 usage or configuration,
130 interrupted.
`

// simOptions are the command's flags.
type simOptions struct {
	file, scenario, validate, out, html, svg string
	quick, keyed, json                       bool
	clients                                  []string
	seeds                                    int
	seed                                     uint64
}

func parseSim(args []string) (*simOptions, error) {
	o := &simOptions{seed: 1}
	fs := flags.New("holdfast sim")
	fs.StringVar(&o.scenario, "scenario", "", "")
	fs.StringVar(&o.validate, "validate", "", "")
	fs.StringVar(&o.out, "o", "", "")
	fs.StringVar(&o.html, "html", "", "")
	fs.StringVar(&o.svg, "svg", "", "")
	fs.BoolFunc("quick", "", flags.Bool(&o.quick))
	fs.BoolFunc("keyed", "", flags.Bool(&o.keyed))
	fs.BoolFunc("json", "", flags.Bool(&o.json))
	fs.Func("seeds", "", flags.Between(&o.seeds, strconv.Atoi, 1, 10_000, "%v to %v runs of each client"))
	fs.Func("seed", "", flags.Between(&o.seed, flags.Unsigned, 0, math.MaxUint64/2, "%v to %v"))
	fs.Func("clients", "", o.named)
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") { // the file first, or last
		o.file, args = args[0], args[1:]
	}
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	rest := fs.Args()
	if o.file == "" && len(rest) > 0 {
		o.file, rest = rest[0], rest[1:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("argument %q: want one FILE", rest[0])
	}
	sources := 0
	for _, s := range []string{o.file, o.scenario, o.validate} {
		if s != "" {
			sources++
		}
	}
	if sources != 1 {
		return nil, errors.New("want a FILE, or -scenario NAME, or -validate DIR")
	}
	if o.seeds == 0 {
		if o.seeds = 1; o.validate != "" {
			o.seeds = 20
		}
	}
	return o, nil
}

// named reads -clients.
func (o *simOptions) named(list string) error {
	known := append([]string{sim.Holdfast}, sim.Peers()...)
	if list == "all" {
		o.clients = known
		return nil
	}
	for _, name := range strings.Split(list, ",") {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%q: want all, or some of %s", name, strings.Join(known, ", "))
		}
		o.clients = append(o.clients, name)
	}
	return nil
}

// system is what to simulate.
func (o *simOptions) system(stdin io.Reader) (sim.System, error) {
	switch {
	case o.file == "-":
		return sim.Read(stdin)
	case o.file != "":
		f, err := os.Open(o.file)
		if err != nil {
			return sim.System{}, err
		}
		defer func() { _ = f.Close() }() // it was read only
		s, err := sim.Read(f)
		if err != nil {
			return s, fmt.Errorf("%s: %w", o.file, err)
		}
		return s, nil
	}
	pace := scenario.Full
	if o.quick {
		pace = scenario.Quick
	}
	var names []string
	for _, sc := range scenario.All() {
		if sc.Name == o.scenario {
			return sim.FromPlan(sc.Name, sc.Plan(pace), o.keyed), nil
		}
		names = append(names, sc.Name)
	}
	return sim.System{}, fmt.Errorf("-scenario %q: want one of %s", o.scenario, strings.Join(names, ", "))
}

func simulate(ctx context.Context, args []string, std cli.Streams) int {
	o, err := parseSim(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(std.Out, strings.Replace(simUsage, "CLIENTS", strings.Join(sim.Peers(), ", "), 1))
		return cli.Pass
	}
	if err != nil {
		fmt.Fprintf(std.Err, "holdfast sim: %s (holdfast sim -h tells more)\n", flags.OneLine(err))
		return cli.Usage
	}
	code := make(chan int, 1)
	go func() { // runs cannot be interrupted, but left
		if o.validate != "" {
			code <- o.check(std)
		} else {
			code <- o.run(std)
		}
	}()
	select {
	case c := <-code:
		return c
	case <-ctx.Done():
		fmt.Fprintln(std.Err, "holdfast sim: interrupted")
		return cli.Interrupted
	}
}

// simDocument is what -json prints.
type simDocument struct {
	SchemaVersion int           `json:"schemaVersion"`
	System        sim.System    `json:"system"` // with its defaults, but for the client
	Runs          []*sim.Result `json:"runs"`
}

func (o *simOptions) run(std cli.Streams) int {
	s, err := o.system(std.In)
	if err != nil {
		fmt.Fprintln(std.Err, "holdfast sim:", flags.OneLine(err))
		return cli.Usage
	}
	clients := []sim.Client{s.Client}
	if o.clients != nil {
		clients = nil
		for _, name := range o.clients {
			clients = append(clients, sim.Client{Stack: name, Settings: s.Client.Settings})
		}
	}
	var jobs []sim.Job
	for _, c := range clients {
		for i := range o.seeds {
			job := sim.Job{System: s, Seed: o.seed + uint64(i)}
			job.System.Client = c
			jobs = append(jobs, job)
		}
	}
	list, err := sim.RunAll(jobs, atOnce(s.WithDefaults()))
	if err != nil {
		fmt.Fprintln(std.Err, "holdfast sim:", flags.OneLine(err))
		return cli.Usage
	}
	results := slices.Collect(slices.Chunk(list, o.seeds))
	return finish(std, errors.Join(
		o.page(o.html, s, results, report.WriteSimulation),
		o.page(o.svg, s, results, func(w io.Writer, r *report.Results, _ string) error { return report.WriteSVG(w, r) }),
		o.print(std.Out, s, list, results),
	))
}

// atOnce is how many runs there are at a time: large ones take all the memory
// that is granted, some 600 bytes a client and node. It has garbage collected
// seldom, as long as there is room.
func atOnce(s sim.System) int {
	const pairs = 1_000_000
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(1800 << 20)
		debug.SetGCPercent(400)
	}
	return max(1, min(runtime.GOMAXPROCS(0), pairs/(s.Clients*s.Nodes)))
}

func finish(std cli.Streams, err error) int {
	if err != nil {
		fmt.Fprintln(std.Err, "holdfast sim:", flags.OneLine(err))
		return cli.Usage
	}
	return cli.Pass
}

func (o *simOptions) print(w io.Writer, s sim.System, list []*sim.Result, results [][]*sim.Result) error {
	if !o.json {
		return sim.WriteText(w, s, results)
	}
	return writeIndented(w, simDocument{1, s.WithDefaults(), list})
}

func writeIndented(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// page writes a file, if one was asked for.
func (o *simOptions) page(file string, s sim.System, results [][]*sim.Result, write func(io.Writer, *report.Results, string) error) error {
	if file == "" {
		return nil
	}
	text, err := yaml.Marshal(s.WithDefaults())
	if err != nil {
		return err
	}
	var b bytes.Buffer
	env := report.Here(time.Now(), append([]string{"holdfast", "sim"}, os.Args[min(2, len(os.Args)):]...))
	if err := write(&b, sim.ForReport(s, results, env), string(text)); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}

// check is -validate.
func (o *simOptions) check(std cli.Streams) int {
	summary, err := report.ReadSummary(o.validate)
	if err != nil {
		return finish(std, err)
	}
	v, err := sim.Check(summary, o.seeds, runtime.GOMAXPROCS(0))
	if err != nil {
		return finish(std, err)
	}
	var b bytes.Buffer
	if o.json {
		err = writeIndented(&b, v)
	} else {
		err = v.WriteMarkdown(&b, fmt.Sprintf("holdfast sim -validate DIR -seeds %d", o.seeds))
	}
	if err == nil && o.out != "" {
		err = os.WriteFile(o.out, b.Bytes(), 0o644)
	} else if err == nil {
		_, err = std.Out.Write(b.Bytes())
	}
	if err != nil {
		return finish(std, err)
	}
	off := v.Disagree()
	for _, c := range off {
		fmt.Fprintf(std.Err, "holdfast sim: differs: %s/%s: %s: measured %.4g (%.4g to %.4g), simulated %.4g (%.4g to %.4g)\n",
			c.Scenario, c.Stack, c.Metric, c.Measured.Value, c.Measured.Low, c.Measured.High, c.Simulated.Value, c.Simulated.Low, c.Simulated.High)
	}
	if len(off) > 0 {
		return cli.Failed
	}
	return cli.Pass
}
