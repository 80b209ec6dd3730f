package bench

import (
	"flag"
	"fmt"

	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/report"
)

const assertUsage = `
  -assert EXPR     exit 1 unless it holds in every valid run; may be given several times.
                   Examples: 'failed==0', 'holdfast: p99<=2*baseline',
                   'crash/hold*: median(p99)<=1.25*bound'. Before the colon: SCENARIO, STACK or
                   SCENARIO/STACK, in which * stands for anything. Names: the metrics, with or
                   without Ms (times are in ms; 50ms and 2s may be written); bound and baseline
                   (what it was in the warm-up), of the metric named first; median(…) over the
                   seeds. What is about no run has failed`

const assertCompareUsage = `; of the new results; old is the median of the old
                   ones, worse and better are how many metrics have that verdict`

// assertions are what -assert has collected.
type assertions []*report.Assertion

func (a *assertions) flag(fs *flag.FlagSet, compare bool) {
	fs.Func("assert", "", func(text string) error {
		x, err := report.ParseAssertion(text, compare)
		*a = append(*a, x)
		return err
	})
}

// settle prints what does not hold and returns the exit code.
func settle(std cli.Streams, command string, broken []string) int {
	for _, line := range broken {
		fmt.Fprintf(std.Err, "holdfast bench %s: assertion failed: %s\n", command, line)
	}
	if len(broken) > 0 {
		return cli.Failed
	}
	return cli.Pass
}
