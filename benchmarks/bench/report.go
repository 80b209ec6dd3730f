package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/internal/flags"
	"github.com/holdfast-go/holdfast/benchmarks/report"
)

const reportUsage = `Usage: holdfast bench report DIR [flags]

Makes a report of the results in DIR: one HTML file that needs nothing else, no
network and no JavaScript.

Flags:
  -o FILE          where to write it; - is standard output (default DIR/report.html)
  -benchfmt        print the runs in the Go benchmark format instead, for benchstat, on
                   standard output or to -o` + assertUsage + "\n\n" + cli.ExitCodes

func makeReport(_ context.Context, args []string, _ []harness.Stack, std cli.Streams) int {
	var asserts assertions
	var out string
	asBench := false
	fs := flags.New("holdfast bench report")
	fs.StringVar(&out, "o", "", "")
	fs.BoolFunc("benchfmt", "", flags.Bool(&asBench))
	asserts.flag(fs, false)
	folders, err := parseFolders(fs, args, "DIR")
	if err != nil {
		return refuse(std, "report", reportUsage, err)
	}
	results, err := report.Read(folders[0])
	if err != nil {
		return refuse(std, "report", reportUsage, err)
	}
	write := func(w io.Writer) error { return report.WriteHTML(w, results) }
	if asBench {
		write = func(w io.Writer) error { return report.WriteBenchfmt(w, results.Summary) }
	}
	if out == "" && !asBench {
		out = filepath.Join(folders[0], "report.html")
	}
	if err := writeTo(out, std.Out, write); err != nil {
		fmt.Fprintln(std.Err, "holdfast bench report:", err)
		return cli.Usage
	}
	if out != "" && out != "-" {
		fmt.Fprintln(std.Err, "holdfast bench report: wrote", out)
	}
	return settle(std, "report", report.Check(asserts, results.Summary))
}

// writeTo writes to a file, or to standard output if there is no name: nothing
// if something goes wrong on the way.
func writeTo(name string, stdout io.Writer, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	if name == "" || name == "-" {
		_, err := stdout.Write(b.Bytes())
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}
