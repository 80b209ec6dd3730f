package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/internal/flags"
	"github.com/holdfast-go/holdfast/benchmarks/scenario"
)

const listUsage = `Usage: holdfast bench list [flags]

Prints the scenarios and the stacks, and why one of them cannot be run here.

Flags:
  -json    print one JSON document on standard output
`

// listing is the document of `bench list -json`.
type listing struct {
	SchemaVersion int      `json:"schemaVersion"`
	Scenarios     []listed `json:"scenarios"`
	Stacks        []listed `json:"stacks"`
}

type listed struct {
	Name      string `json:"name"`
	What      string `json:"what"`
	Available bool   `json:"available"`
	Why       string `json:"why,omitempty"` // it is not
}

func list(_ context.Context, args []string, stacks []harness.Stack, std cli.Streams) int {
	asJSON := false
	fs := flags.New("holdfast bench list")
	fs.BoolFunc("json", "", flags.Bool(&asJSON))
	if err := flags.Parse(fs, args); err != nil {
		return refuse(std, "list", listUsage, err)
	}
	l := lists(stacks)
	write := writeList
	if asJSON {
		write = func(w io.Writer, l listing) error { return writeJSON(w, l) }
	}
	if err := write(std.Out, l); err != nil {
		fmt.Fprintln(std.Err, "holdfast bench list: standard output:", err)
		return cli.Usage
	}
	return cli.Pass
}

func lists(stacks []harness.Stack) listing {
	l := listing{SchemaVersion: 1}
	for _, s := range scenario.All() {
		l.Scenarios = append(l.Scenarios, entry(s.Name, s.What, s.Possible()))
	}
	for _, s := range stacks {
		l.Stacks = append(l.Stacks, entry(s.Name(), s.Info().What, s.Info().Unavailable))
	}
	return l
}

func entry(name, what string, unavailable error) listed {
	e := listed{Name: name, What: what, Available: unavailable == nil}
	if unavailable != nil {
		e.Why = flags.OneLine(unavailable)
	}
	return e
}

func writeList(w io.Writer, l listing) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, part := range []struct {
		title string
		list  []listed
	}{{"Scenarios:", l.Scenarios}, {"\nStacks:", l.Stacks}} {
		fmt.Fprintln(t, part.title)
		for _, e := range part.list {
			fmt.Fprintf(t, "  %s\t%s\n", e.Name, e.What)
			if !e.Available {
				fmt.Fprintf(t, "\tnot here: %s\n", e.Why)
			}
		}
	}
	return t.Flush()
}

// refuse prints what is wrong with the arguments, or the help that they ask
// for, and returns the exit code.
func refuse(std cli.Streams, command, help string, err error) int {
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(std.Out, help)
		return cli.Pass
	}
	fmt.Fprintf(std.Err, "holdfast bench %s: %s (holdfast bench %s -h tells more)\n", command, flags.OneLine(err), command)
	return cli.Usage
}
