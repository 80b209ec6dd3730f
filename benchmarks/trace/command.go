package trace

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/internal/flags"
	"github.com/holdfast-go/holdfast/resilience/trace"
)

var menu = cli.Menu{
	Program: "holdfast trace", About: "makes and reads traces of attempts, for holdfast tune",
	Exit: cli.ReadExitCodes,
	Commands: []cli.Command{
		{Name: "record", About: "call HTTP nodes of yours for a while and record the attempts", Run: record},
		{Name: "import", About: "make a trace of access logs or CSV", Run: imports},
		{Name: "summary", About: "what a trace has in it", Run: summary},
	},
}

// Run is the command with its arguments. It returns the exit code.
func Run(ctx context.Context, args []string, std cli.Streams) int { return menu.Run(ctx, args, std) }

const summaryUsage = `Usage: holdfast trace summary FILE|FOLDER... [flags]

Prints what is in a trace. A file that is broken or cut off is read up to the
break, and said to be.

Flags:
  -json    print one JSON document on standard output

` + cli.ReadExitCodes

func summary(_ context.Context, args []string, std cli.Streams) int {
	asJSON := false
	fs := flags.New("holdfast trace summary")
	fs.BoolFunc("json", "", flags.Bool(&asJSON))
	paths, err := arguments(fs, args, "FILE or FOLDER")
	if err != nil {
		return refuse(std, "summary", summaryUsage, err)
	}
	set, err := Load(paths...)
	if err != nil {
		return refuse(std, "summary", summaryUsage, err)
	}
	s := set.Summarize()
	if asJSON {
		enc := json.NewEncoder(std.Out)
		enc.SetIndent("", "  ")
		err = enc.Encode(s)
	} else {
		err = s.Print(std.Out)
	}
	if err != nil {
		return refuse(std, "summary", summaryUsage, err)
	}
	return cli.Pass
}

const importUsage = `Usage: holdfast trace import FILE... -format FORMAT [flags]

Makes a trace of logs; - is standard input, and .gz is unpacked. Rows that
cannot be read are skipped and counted.

Formats:
  csv        a table whose first row names the columns
  nginx      an access log; by default combined, followed by
             $upstream_addr $upstream_status $upstream_response_time
  haproxy    option httplog, HAProxy 2.x
  combined, common
             as web servers have them: without nodes and latencies

Flags:
  -format F             see above
  -log-format T         nginx: the log_format that the log was written with
  -columns A=B,...      which column or variable is what: time, latency, node, status,
                        outcome (ok, error), method, client, service, attempt
                        (default: by their usual names)
  -unit s|ms|us|ns      of latencies that are plain numbers (default s)
  -time start|end       what the time means (default end; haproxy: start)
  -client, -service, -node NAME
                        where the log does not say (client: the file's name)
  -o FILE               where to write it; - is standard output (default)

` + cli.ReadExitCodes

func imports(_ context.Context, args []string, std cli.Streams) int {
	im := Import{Columns: map[string]string{}}
	out := "-"
	fs := flags.New("holdfast trace import")
	fs.Func("format", "", word(&im.Format, "csv", "nginx", "haproxy", "combined", "common"))
	fs.StringVar(&im.Template, "log-format", "", "")
	fs.Func("columns", "", func(s string) error {
		for _, pair := range strings.Split(s, ",") {
			want, name, ok := strings.Cut(pair, "=")
			if !ok {
				return errors.New("want name=column, with commas between several")
			}
			im.Columns[strings.TrimSpace(want)] = strings.TrimPrefix(strings.TrimSpace(name), "$")
		}
		return nil
	})
	unit, means := "s", "end"
	fs.Func("unit", "", word(&unit, "s", "ms", "us", "ns"))
	fs.Func("time", "", word(&means, "start", "end"))
	fs.StringVar(&im.Given.Client, "client", "", "")
	fs.StringVar(&im.Given.Service, "service", "", "")
	fs.StringVar(&im.Given.Node, "node", "", "")
	fs.StringVar(&out, "o", out, "")
	files, err := arguments(fs, args, "FILE")
	switch {
	case err != nil:
	case im.Format == "":
		err = errors.New("no -format: want one of csv, nginx, haproxy, combined, common")
	case im.Template != "" && im.Format != "nginx":
		err = errors.New("-log-format: with -format nginx only")
	}
	if err != nil {
		return refuse(std, "import", importUsage, err)
	}
	im.Unit, im.Started = units[unit], means == "start"
	done, err := im.files(files, out, std)
	if err != nil {
		return refuse(std, "import", importUsage, err)
	}
	fmt.Fprintf(std.Err, "holdfast trace import: %d attempts; rows skipped: %d\n", done.Records, done.Skipped)
	for _, why := range done.Reasons {
		fmt.Fprintln(std.Err, "  ", why)
	}
	if done.Records == 0 {
		fmt.Fprintln(std.Err, "holdfast trace import: nothing could be read: see -format, -log-format and -columns")
		return cli.Usage
	}
	return cli.Pass
}

// files imports all of them into one trace.
func (im Import) files(names []string, out string, std cli.Streams) (sum Imported, err error) {
	to := std.Out
	if out != "-" {
		f, err := os.Create(out)
		if err != nil {
			return sum, err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		to = f
	}
	w := trace.NewWriter(to)
	for _, name := range names {
		one := im
		if one.Given.Client == "" {
			one.Given.Client = strings.TrimSuffix(filepath.Base(name), ".gz")
		}
		done, err := one.file(name, w, std)
		sum.Records, sum.Skipped = sum.Records+done.Records, sum.Skipped+done.Skipped
		for _, why := range done.Reasons {
			if len(sum.Reasons) < reasons {
				sum.Reasons = append(sum.Reasons, name+" "+why)
			}
		}
		if err != nil {
			return sum, fmt.Errorf("%s: %w", name, err)
		}
	}
	return sum, nil
}

func (im Import) file(name string, w *trace.Writer, std cli.Streams) (Imported, error) {
	if name == "-" {
		return im.Run(std.In, w)
	}
	in, err := open(name)
	if err != nil {
		return Imported{}, err
	}
	defer in.Close()
	return im.Run(in, w)
}

// word reads one of a few words.
func word(dst *string, words ...string) func(string) error {
	return func(s string) error {
		for _, w := range words {
			if s == w {
				*dst = s
				return nil
			}
		}
		return fmt.Errorf("want %s", strings.Join(words, ", "))
	}
}

// arguments parses flags that stand before, between or after what is not one.
func arguments(fs *flag.FlagSet, args []string, what string) (list []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		if fs.NArg() == 0 {
			break
		}
		list = append(list, fs.Arg(0))
		args = fs.Args()[1:]
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no %s", what)
	}
	return list, nil
}

// refuse prints what is wrong, or the help that was asked for, and returns the
// exit code.
func refuse(std cli.Streams, command, help string, err error) int {
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(std.Out, help)
		return cli.Pass
	}
	fmt.Fprintf(std.Err, "holdfast trace %s: %s (holdfast trace %s -h tells more)\n", command, flags.OneLine(err), command)
	return cli.Usage
}
