package tune

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
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/internal/flags"
	"github.com/holdfast-go/holdfast/benchmarks/sim"
	"github.com/holdfast-go/holdfast/benchmarks/trace"
	"github.com/holdfast-go/holdfast/resilience"
)

const usage = `Usage: holdfast tune TRACE... [flags]
       holdfast tune -system FILE [flags]

Recommends settings for the traffic in a trace (files, or folders of them; see
holdfast trace), or of a system that is described (YAML, as holdfast sim reads
it), says why and at what price, and checks them by simulation beside the
present ones and five peers' defaults. Refuses where the data are too little,
and says how much more it takes.

Flags:
  -broken P          a node is broken when it fails this share of its calls (default 0.3)
  -false N           false ejections that are tolerable … (default 1)
  -per D             … in this time, of all nodes by all clients: 168h, "week", "day" (default week)
  -spare S           capacity of the nodes beyond the traffic, as a share of it (default not known)
  -settings FILE     the present settings, YAML or JSON (default holdfast's own defaults)
  -formula           take the thresholds that the formula gives: do not look for
                     better ones by simulation
  -seeds N           simulated runs of each setting, 0 to 100000 (default 200; 0: no simulation)
  -seed N            seed of the first (default 1)
  -emit go|yaml      print the settings in this form, and nothing else
  -html FILE         write a report as well: one file, for offline reading
  -json              print one JSON document on standard output

Exit codes: 0 settings are recommended, 1 the data are too little for it,
2 usage or configuration, 130 interrupted.
`

// options are the command's flags.
type options struct {
	wishes   Wishes
	runs     Runs
	paths    []string
	system   string
	settings string
	emit     string
	html     string
	json     bool
	formula  bool
}

func parse(args []string) (*options, error) {
	o := &options{runs: Runs{Seeds: 200, Seed: 1}}
	fs := flags.New("holdfast tune")
	fs.Func("broken", "", flags.Between(&o.wishes.Broken, flags.Float, .02, 1, "%v to %v"))
	fs.Func("false", "", flags.Between(&o.wishes.FalseEjections, flags.Float, 1e-9, 1e9, "%v to %v"))
	fs.Func("per", "", flags.Between(&o.wishes.Per, period, time.Second, 10*year, "%v to %v, or day, week, month, year"))
	fs.Func("spare", "", flags.Between(&o.wishes.Spare, flags.Float, .001, 1000, "%v to %v"))
	fs.Func("seeds", "", flags.Between(&o.runs.Seeds, strconv.Atoi, 0, 100000, "%v to %v runs"))
	fs.Func("seed", "", flags.Between(&o.runs.Seed, flags.Unsigned, 0, math.MaxUint64, "%v to %v"))
	fs.StringVar(&o.system, "system", "", "")
	fs.StringVar(&o.settings, "settings", "", "")
	fs.StringVar(&o.html, "html", "", "")
	fs.Func("emit", "", func(s string) error {
		if o.emit = s; s != "go" && s != "yaml" {
			return errors.New("want go or yaml")
		}
		return nil
	})
	fs.BoolFunc("formula", "", flags.Bool(&o.formula))
	fs.BoolFunc("json", "", flags.Bool(&o.json))
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		if fs.NArg() == 0 {
			break
		}
		o.paths, args = append(o.paths, fs.Arg(0)), fs.Args()[1:]
	}
	switch {
	case len(o.paths) == 0 && o.system == "":
		return nil, errors.New("nothing to go by: want a trace, or -system FILE")
	case len(o.paths) > 0 && o.system != "":
		return nil, errors.New("a trace and -system: want one of them")
	case o.json && o.emit != "":
		return nil, errors.New("-json and -emit: want one of them")
	}
	return o, nil
}

func period(s string) (time.Duration, error) {
	switch s {
	case "day":
		return 24 * time.Hour, nil
	case "week":
		return week, nil
	case "month":
		return 30 * 24 * time.Hour, nil
	case "year":
		return year, nil
	}
	return time.ParseDuration(s)
}

// Run is the command with its arguments. It returns the exit code.
func Run(ctx context.Context, args []string, std cli.Streams) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(std.Out, usage)
		return cli.Pass
	}
	if err != nil {
		return refused(std, err)
	}
	facts, present, err := o.read()
	if err != nil {
		return refused(std, err)
	}
	r, err := Recommend(facts, o.wishes, present)
	if errors.As(err, new(*TooLittleError)) {
		fmt.Fprintf(std.Err, "holdfast tune: no recommendation: %v\n", err)
		return cli.Failed
	}
	if err != nil {
		return refused(std, err)
	}
	if o.runs.Seeds > 0 && !o.formula {
		line := cli.NewLine(std.Err)
		line.Status(time.Now(), "looking for the thresholds by simulation")
		err = r.Refine(ctx, Runs{Seed: o.runs.Seed})
		line.Close()
		if ctx.Err() != nil {
			return cli.Interrupted
		}
		if err != nil {
			return refused(std, err)
		}
	}
	var check *Check
	if o.runs.Seeds > 0 && (o.emit == "" || o.html != "") {
		line := cli.NewLine(std.Err)
		o.runs.Present = present
		o.runs.Progress = progress(line)
		check, err = r.Check(ctx, o.runs)
		line.Close()
		if ctx.Err() != nil {
			return cli.Interrupted
		}
		if err != nil {
			return refused(std, err)
		}
	}
	report, err := NewReport(r, check)
	if err == nil {
		err = o.write(report, std)
	}
	if err != nil {
		return refused(std, err)
	}
	return cli.Pass
}

func refused(std cli.Streams, err error) int {
	fmt.Fprintf(std.Err, "holdfast tune: %s (holdfast tune -h tells more)\n", flags.OneLine(err))
	return cli.Usage
}

// read reads what there is to go by.
func (o *options) read() (f *Facts, present resilience.Settings, err error) {
	if o.settings != "" {
		text, err := os.ReadFile(o.settings)
		if err != nil {
			return nil, present, err
		}
		dec := yaml.NewDecoder(bytes.NewReader(text)) // JSON is YAML
		dec.KnownFields(true)
		if err := dec.Decode(&present); err != nil && !errors.Is(err, io.EOF) {
			return nil, present, fmt.Errorf("%s: %w", o.settings, err)
		}
		if err := present.Validate(); err != nil {
			return nil, present, fmt.Errorf("%s: %w", o.settings, err)
		}
	}
	if o.system != "" {
		in, err := os.Open(o.system)
		if err != nil {
			return nil, present, err
		}
		defer func() { _ = in.Close() }()
		s, err := sim.Read(in)
		if err != nil {
			return nil, present, fmt.Errorf("%s: %w", o.system, err)
		}
		return Describe(s, o.system), present, nil
	}
	set, err := trace.Load(o.paths...)
	if err != nil {
		return nil, present, err
	}
	return Measure(set, strings.Join(o.paths, ", ")), present, nil
}

func (o *options) write(r *Report, std cli.Streams) error {
	if o.html != "" {
		var b bytes.Buffer
		if err := WriteHTML(&b, r); err != nil {
			return err
		}
		if err := os.WriteFile(o.html, b.Bytes(), 0o644); err != nil {
			return err
		}
		fmt.Fprintln(std.Err, "holdfast tune: wrote", o.html)
	}
	switch {
	case o.emit == "go":
		_, err := fmt.Fprintln(std.Out, r.Go)
		return err
	case o.emit == "yaml":
		_, err := fmt.Fprint(std.Out, r.YAML)
		return err
	case o.json:
		enc := json.NewEncoder(std.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	return r.Print(std.Out)
}
