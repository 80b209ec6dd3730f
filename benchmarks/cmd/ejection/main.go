// Command ejection prints how soon the ejector takes an ill node out and how
// often it takes out a healthy one, beside the figures of the design:
//
//	go run ./benchmarks/cmd/ejection [-seeds 400] [-seed 1] [-rows REGEXP] [-json]
//
// It exits with 1 when a row misses its goal: detections within 1.25 × of the
// design's figures, false ejections within their confidence interval.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"runtime"
	"strconv"

	"github.com/holdfast-go/holdfast/benchmarks/ejection"
	"github.com/holdfast-go/holdfast/benchmarks/internal/flags"
)

// The exit codes.
const (
	exitPass   = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `Usage: ejection [flags]

Runs holdfast's call path in virtual time against scripted nodes and prints how
many calls an ill node gets before it is ejected, and how often a healthy one is.
Same seed, same output.

Flags:
  -seeds N      runs of each row, 1 to 100000 (default 400)
  -seed N       seed of the first run (default 1)
  -rows REGEXP  only the rows whose names match (default: all)
  -json         print one JSON document on standard output

Exit codes: 0 pass, 1 a row missed its goal, 2 usage.
`

// options are the command's flags.
type options struct {
	run  ejection.Options
	json bool
}

func parse(args []string) (*options, error) {
	o := &options{run: ejection.Options{Seeds: 400, Seed: 1, Workers: runtime.GOMAXPROCS(0)}}
	fs := flags.New("ejection")
	fs.Func("seeds", "", flags.Between(&o.run.Seeds, strconv.Atoi, 1, 100000, "%v to %v runs of each row"))
	fs.Func("seed", "", flags.Between(&o.run.Seed, flags.Unsigned, 0, math.MaxUint64, "%v to %v"))
	fs.Func("rows", "", func(s string) (err error) {
		o.run.Rows, err = regexp.Compile(s)
		return err
	})
	fs.BoolFunc("json", "", flags.Bool(&o.json))
	if err := flags.Parse(fs, args); err != nil {
		return nil, err
	}
	return o, nil
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitPass
	}
	if err != nil {
		fmt.Fprintf(stderr, "ejection: %s (ejection -h tells more)\n", flags.OneLine(err))
		return exitUsage
	}
	report, err := ejection.Run(o.run)
	if err != nil {
		fmt.Fprintln(stderr, "ejection:", flags.OneLine(err))
		return exitUsage
	}
	if o.json {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(report)
	} else {
		err = report.Print(stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "ejection: standard output:", err)
		return exitUsage
	}
	missed := report.Missed()
	for _, m := range missed {
		fmt.Fprintln(stderr, "ejection: missed:", m)
	}
	if len(missed) > 0 {
		return exitFailed
	}
	return exitPass
}
