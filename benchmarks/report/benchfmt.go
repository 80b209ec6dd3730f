package report

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// benchUnit is a metric's unit in the Go benchmark format, in which times are
// in seconds. (Of nanoseconds benchstat would make seconds by itself, except of
// 0 of them, which golang.org/x/perf leaves in a unit of its own.)
func benchUnit(key string) (unit string, factor float64) {
	if name, isTime := strings.CutSuffix(key, "Ms"); isTime {
		return name + "-sec", 1e-3
	}
	return key, 1
}

// WriteBenchfmt prints the valid runs in the Go benchmark format, for
// benchstat: a line a run, so that benchstat has a sample a seed.
func WriteBenchfmt(out io.Writer, s *Summary) error {
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "goos: %s\ngoarch: %s\ncpus: %d\ngo: %s\n", s.Environment.OS, s.Environment.Arch, s.Environment.CPUs, s.Environment.Go)
	if s.Environment.Commit != "" {
		fmt.Fprintln(w, "commit:", s.Environment.Commit)
	}
	for _, key := range harness.MetricKeys {
		unit, _ := benchUnit(key)
		if key != "requests" {
			fmt.Fprintf(w, "Unit %s better=lower\n", unit)
		}
	}
	for _, r := range s.Runs {
		name := fmt.Sprintf("BenchmarkFailure/scenario=%s/stack=%s", r.Scenario, r.Stack)
		if !r.Valid {
			fmt.Fprintf(w, "# %s, seed %d, is not valid: %s\n", name, r.Seed, r.Load.Invalid)
			continue
		}
		fmt.Fprint(w, name, "\t1")
		for _, key := range harness.MetricKeys {
			if v, ok := r.Metrics.Value(key); ok {
				unit, factor := benchUnit(key)
				fmt.Fprint(w, "\t", strconv.FormatFloat(v*factor, 'g', 9, 64), " ", unit)
			}
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}
