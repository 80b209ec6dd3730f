package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"

	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/internal/flags"
	"github.com/holdfast-go/holdfast/resilience/settingsfile"
)

const checkUsage = `Usage: holdfast config check [-json] FILE ...

Reads files of settings (resilience.Settings; YAML, or JSON where the name ends
in .json) as a client would that follows them, and prints all that is wrong, a
line each: file, line, field, and what is wanted there.

Flags:
  -json    print one JSON document on standard output

` + checkExitCodes

const checkExitCodes = "Exit codes: 0 all are right, 2 one is wrong or cannot be read, or usage.\n"

var configMenu = cli.Menu{
	Program: "holdfast config", About: "is for files of settings",
	Exit:     checkExitCodes,
	Commands: []cli.Command{{Name: "check", About: "print what is wrong with them, by file, line and field", Run: check}},
}

func configure(ctx context.Context, args []string, std cli.Streams) int {
	return configMenu.Run(ctx, args, std)
}

// checked is the document that -json prints.
type checked struct {
	SchemaVersion int           `json:"schemaVersion"`
	Files         []checkedFile `json:"files"`
}

type checkedFile struct {
	File     string    `json:"file"`
	OK       bool      `json:"ok"`
	Problems []problem `json:"problems"`
}

type problem struct {
	Line    int    `json:"line,omitempty"`
	Field   string `json:"field,omitempty"`
	Problem string `json:"problem"`
}

func check(_ context.Context, args []string, std cli.Streams) int {
	asJSON := false
	fs := flags.New("holdfast config check")
	fs.BoolFunc("json", "", flags.Bool(&asJSON))
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(std.Out, checkUsage)
		return cli.Pass
	case err == nil && fs.NArg() == 0:
		err = errors.New("want the names of files")
	}
	if err != nil {
		fmt.Fprintf(std.Err, "holdfast config check: %s (holdfast config check -h tells more)\n", flags.OneLine(err))
		return cli.Usage
	}
	doc, code := checked{SchemaVersion: 1}, cli.Pass
	for _, name := range fs.Args() {
		_, err := settingsfile.Read(name)
		file := checkedFile{File: name, OK: err == nil, Problems: []problem{}}
		each(err, func(err error) {
			code = cli.Usage
			var p *settingsfile.Problem
			if errors.As(err, &p) {
				file.Problems = append(file.Problems, problem{p.Line, p.Field, p.Err.Error()})
			} else {
				file.Problems = append(file.Problems, problem{Problem: err.Error()})
			}
			if !asJSON {
				fmt.Fprintln(std.Err, err)
			}
		})
		if file.OK && !asJSON {
			fmt.Fprintf(std.Out, "%s: ok\n", name)
		}
		doc.Files = append(doc.Files, file)
	}
	if asJSON {
		enc := json.NewEncoder(std.Out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(doc); err != nil {
			fmt.Fprintln(std.Err, "holdfast config check: standard output:", err)
			return cli.Usage
		}
	}
	return code
}

// each calls f for each of the errors that are joined in err.
func each(err error, f func(error)) {
	if list, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range list.Unwrap() {
			each(e, f)
		}
	} else if err != nil {
		f(err)
	}
}
