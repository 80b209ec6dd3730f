package flags_test

import (
	"errors"
	"flag"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/internal/flags"
)

type values struct {
	n    int
	rate float64
	seed uint64
	d    time.Duration
	yes  bool
}

func parse(args string) (values, error) {
	v := values{n: 7}
	fs := flags.New("test")
	fs.Func("n", "", flags.Between(&v.n, strconv.Atoi, 1, 9, "%v to %v"))
	fs.Func("rate", "", flags.Between(&v.rate, flags.Float, .5, 9, "%v to %v a second"))
	fs.Func("seed", "", flags.Between(&v.seed, flags.Unsigned, 0, math.MaxUint64, "%v to %v"))
	fs.Func("d", "", flags.Between(&v.d, time.ParseDuration, time.Second, time.Minute, "%v to %v"))
	fs.BoolFunc("yes", "", flags.Bool(&v.yes))
	return v, flags.Parse(fs, strings.Fields(args))
}

func TestAccepted(t *testing.T) {
	for args, want := range map[string]values{
		"":                          {n: 7},
		"-n 1 -rate .5 -d 1s":       {1, .5, 0, time.Second, false},
		"-n=9 -rate 9 -d 1m -yes":   {9, 9, 0, time.Minute, true},
		"-yes=false":                {n: 7},
		"-seed 1844674407370955161": {n: 7, seed: 1844674407370955161},
	} {
		if got, err := parse(args); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", args, got, err, want)
		}
	}
}

func TestRefused(t *testing.T) {
	for args, want := range map[string]string{
		"-n 0":       "1 to 9",
		"-n 10":      "1 to 9",
		"-n one":     "1 to 9",
		"-rate NaN":  "0.5 to 9 a second",
		"-rate 9.01": "0.5 to 9 a second",
		"-seed -1":   "0 to 18446744073709551615",
		"-d 5":       "1s to 1m",
		"-yes=maybe": "true or false",
		"-bogus":     "-bogus",
		"more":       `"more": want flags only`,
	} {
		_, err := parse(args)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v; want one line with %q", args, err, want)
		}
	}
	if _, err := parse("-h"); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
}

func TestOneLine(t *testing.T) {
	if got := flags.OneLine(errors.Join(errors.New("a"), errors.New("b"))); got != "a; b" {
		t.Errorf("%q", got)
	}
}
