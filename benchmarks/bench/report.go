package bench

import (
	"bytes"
	"context"
	"errors"
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
                   standard output or to -o
  -markdown FILE   write Markdown to it instead: what was run, tables of medians beside bounds,
                   how holdfast stands and what it misses; - is standard output
  -append FILE     what is to follow in the Markdown, of your own` + assertUsage + "\n\n" + cli.ExitCodes

func makeReport(_ context.Context, args []string, _ []harness.Stack, std cli.Streams) int {
	var asserts assertions
	var out, markdown, more string
	asBench := false
	fs := flags.New("holdfast bench report")
	fs.StringVar(&out, "o", "", "")
	fs.BoolFunc("benchfmt", "", flags.Bool(&asBench))
	fs.StringVar(&markdown, "markdown", "", "")
	fs.StringVar(&more, "append", "", "")
	asserts.flag(fs, false)
	folders, err := parseFolders(fs, args, "DIR")
	if err != nil {
		return refuse(std, "report", reportUsage, err)
	}
	switch {
	case markdown != "" && (out != "" || asBench):
		err = errors.New("-markdown: want it without -o and -benchfmt")
	case more != "" && markdown == "":
		err = errors.New("-append: want it with -markdown")
	}
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
	if markdown != "" {
		out = markdown
		write = func(w io.Writer) error { return writeMarkdown(w, results.Summary, folders[0], more) }
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

// writeMarkdown writes the results, and what is in a file below them.
func writeMarkdown(w io.Writer, s *report.Summary, dir, more string) error {
	if err := report.WriteMarkdown(w, s, dir); err != nil || more == "" {
		return err
	}
	text, err := os.ReadFile(more)
	if err != nil {
		return err
	}
	_, err = w.Write(append([]byte("\n"), text...))
	return err
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
