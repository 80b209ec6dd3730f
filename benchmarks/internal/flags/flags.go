// Package flags is what the commands' flags have in common: values out of
// range and words that are none are refused in one line that names what is
// accepted.
package flags

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// New returns an empty set whose Parse prints nothing, but returns its error.
func New(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// Parse parses args with fs, which takes flags only. flag.ErrHelp means that
// -h or -help is among them.
func Parse(fs *flag.FlagSet, args []string) error {
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("argument %q: want flags only", fs.Arg(0))
	}
	return nil
}

// Between returns a function for [flag.FlagSet.Func] that reads a value
// between low and high. Its error is want, which formats the two.
func Between[T int | float64 | uint64 | time.Duration](dst *T, read func(string) (T, error), low, high T, want string) func(string) error {
	return func(s string) error {
		v, err := read(s)
		if err != nil || !(v >= low && v <= high) { // NaN is neither
			return fmt.Errorf("want "+want, low, high)
		}
		*dst = v
		return nil
	}
}

// Bool returns a function for [flag.FlagSet.BoolFunc].
func Bool(dst *bool) func(string) error {
	return func(s string) error {
		v, err := strconv.ParseBool(s)
		if err != nil {
			return errors.New("want true or false, or the flag alone for true")
		}
		*dst = v
		return nil
	}
}

// Float reads a float64.
func Float(s string) (float64, error) { return strconv.ParseFloat(s, 64) }

// Unsigned reads a decimal uint64.
func Unsigned(s string) (uint64, error) { return strconv.ParseUint(s, 10, 64) }

// OneLine is the text of err with its lines joined.
func OneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
