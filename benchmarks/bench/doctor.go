package bench

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/internal/flags"
	"github.com/holdfast-go/holdfast/benchmarks/report"
	"github.com/holdfast-go/holdfast/benchmarks/scenario"
)

const doctorUsage = `Usage: holdfast bench doctor [flags]

Says what can be run here and why not, and what the harness itself takes on this
machine as it is now: a stack that does nothing, under a load to which nothing
happens, for three seconds.

Flags:
  -json    print one JSON document on standard output

` + cli.MeasureExitCodes

// diagnosis is the document of `bench doctor -json`.
type diagnosis struct {
	listing
	Environment report.Environment  `json:"environment"`
	Harness     harness.LoadQuality `json:"harness"` // what its load was like
	P50Ms       float64             `json:"p50Ms"`   // what a request took that did nothing
	P99Ms       float64             `json:"p99Ms"`
}

func doctor(ctx context.Context, args []string, stacks []harness.Stack, std cli.Streams) int {
	asJSON := false
	fs := flags.New("holdfast bench doctor")
	fs.BoolFunc("json", "", flags.Bool(&asJSON))
	if err := flags.Parse(fs, args); err != nil {
		return refuse(std, "doctor", doctorUsage, err)
	}
	plan := scenario.None.Plan(scenario.Pace{Warm: 500 * time.Millisecond, Fault: 2 * time.Second, Recover: 500 * time.Millisecond, Rate: 200})
	r, err := harness.Bench(ctx, harness.BenchConfig{Plan: plan, Stack: harness.Null{}})
	if err != nil {
		return explain("doctor", err, std)
	}
	m := r.Measure()
	d := diagnosis{listing: lists(stacks), Environment: report.Here(time.Now(), args), Harness: r.Quality(), P50Ms: m.P50Ms, P99Ms: m.P99Ms}
	write := writeDiagnosis
	if asJSON {
		write = func(w io.Writer, d diagnosis) error { return writeJSON(w, d) }
	}
	if err := write(std.Out, d); err != nil {
		fmt.Fprintln(std.Err, "holdfast bench doctor: standard output:", err)
		return cli.Usage
	}
	if d.Harness.Invalid != "" {
		return cli.Invalid
	}
	return cli.Pass
}

func writeDiagnosis(w io.Writer, d diagnosis) error {
	if err := writeList(w, d.listing); err != nil {
		return err
	}
	e, q := d.Environment, d.Harness
	_, err := fmt.Fprintf(w, `
Machine:
  %s/%s, %d CPUs, kernel %s, %s
  a request that does nothing takes %.2f ms, 1 %% take %.2f ms or more
  requests go out %.2f ms late, 1 %% %.2f ms or more, the latest %.2f ms
  service times are overdrawn by %.2f ms at most, but for 1 %%
`, e.OS, e.Arch, e.CPUs, e.Kernel, e.Go, d.P50Ms, d.P99Ms, q.LagP50Ms, q.LagP99Ms, q.LagMaxMs, q.LateP99Ms)
	if err == nil && q.Invalid != "" {
		_, err = fmt.Fprintf(w, "  runs would not be valid now: %s\n", q.Invalid)
	}
	return err
}
