package bench

import (
	"context"
	"fmt"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/internal/flags"
	"github.com/holdfast-go/holdfast/benchmarks/report"
)

const compareUsage = `Usage: holdfast bench compare OLD NEW [flags]

Compares two folders of results, metric by metric: ratio and difference, each
with an interval, and a verdict: better, worse, no difference shown, or too few
runs (at least five valid ones are needed on each side).

Flags:
  -json            print one JSON document on standard output` + assertUsage + assertCompareUsage + "\n\n" + cli.ExitCodes

func compare(_ context.Context, args []string, _ []harness.Stack, std cli.Streams) int {
	var asserts assertions
	asJSON := false
	fs := flags.New("holdfast bench compare")
	fs.BoolFunc("json", "", flags.Bool(&asJSON))
	asserts.flag(fs, true)
	folders, err := parseFolders(fs, args, "OLD", "NEW")
	if err != nil {
		return refuse(std, "compare", compareUsage, err)
	}
	var both [2]*report.Summary
	for i, dir := range folders {
		if both[i], err = report.ReadSummary(dir); err != nil {
			return refuse(std, "compare", compareUsage, err)
		}
	}
	c, err := report.Compare(both[0], both[1])
	if err != nil {
		return refuse(std, "compare", compareUsage, err)
	}
	if asJSON {
		err = writeJSON(std.Out, c)
	} else {
		err = c.WriteText(std.Out)
	}
	if err != nil {
		fmt.Fprintln(std.Err, "holdfast bench compare: standard output:", err)
		return cli.Usage
	}
	return settle(std, "compare", c.Check(asserts))
}
