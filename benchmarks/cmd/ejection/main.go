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
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"

	"github.com/holdfast-go/holdfast/benchmarks/ejection"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("ejection", flag.ContinueOnError)
	fs.SetOutput(stderr)
	seeds := fs.Int("seeds", 400, "runs of each row, 1 to 100000")
	seed := fs.Uint64("seed", 1, "seed of the first run")
	rows := fs.String("rows", "", "only the rows whose names match this regular expression")
	asJSON := fs.Bool("json", false, "print one JSON document")
	if err := fs.Parse(args); err != nil {
		if err == flag.ErrHelp { //nolint:errorlint // as package flag documents it
			return 0
		}
		return 2
	}
	if *seeds < 1 || *seeds > 100000 || fs.NArg() > 0 {
		fmt.Fprintf(stderr, "ejection: -seeds %d, arguments %q: want 1 to 100000 seeds and no arguments\n", *seeds, fs.Args())
		return 2
	}
	match, err := regexp.Compile(*rows)
	if err != nil {
		fmt.Fprintln(stderr, "ejection: -rows:", err)
		return 2
	}
	o := ejection.Options{Seeds: *seeds, Seed: *seed, Workers: runtime.GOMAXPROCS(0), Rows: match}
	detections, err := ejection.Detections(o)
	if err != nil {
		fmt.Fprintln(stderr, "ejection:", err)
		return 2
	}
	falses, err := ejection.Falses(o)
	if err != nil {
		fmt.Fprintln(stderr, "ejection:", err)
		return 2
	}
	report := ejection.Report{SchemaVersion: 1, Seeds: *seeds, Seed: *seed, Detections: detections, Falses: falses}
	if *asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(report); err != nil {
			fmt.Fprintln(stderr, "ejection:", err)
			return 2
		}
	} else {
		report.Print(stdout)
	}
	missed := report.Missed()
	for _, m := range missed {
		fmt.Fprintln(stderr, "ejection: missed:", m)
	}
	if len(missed) > 0 {
		return 1
	}
	return 0
}
