package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
)

// The test binary plays the command, and the processes that it starts.
func TestMain(m *testing.M) {
	if slices.Contains(os.Args[1:], harness.RoleCommand) || os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

const asCommand = "HOLDFAST_TEST_AS_COMMAND"

// try runs the command within the test.
func try(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &err})
	return code, out.String(), err.String()
}

// Wrong usage is told in one line that names what is wrong and what is
// accepted.
func TestBadUsage(t *testing.T) {
	for args, want := range map[string][]string{
		"":                             {"no command", "failover"},
		"blah":                         {`"blah"`, "failover"},
		"blah run":                     {`"blah"`, "bench"},
		"board":                        {"-from", "host:port"},
		"board -from x":                {`from[0] "x"`, "host:port"},
		"board -from a:1,a:1":          {"there twice"},
		"board -from a:1 -listen x":    {"-listen"},
		"board -from a:1 more":         {`"more"`},
		"config":                       {"no command", "check"},
		"config check":                 {"names of files"},
		"config check -x":              {"-x", "config check -h"},
		"failover -bogus":              {"-bogus", "failover -h"},
		"failover more":                {`"more"`},
		"failover -nodes 1":            {"-nodes", "2 to 20"},
		"failover -nodes -3":           {"-nodes", "2 to 20"},
		"failover -nodes 21":           {"-nodes", "2 to 20"},
		"failover -nodes two":          {"-nodes", "2 to 20"},
		"failover -nodes":              {"-nodes"},
		"failover -rate 0":             {"-rate", "20 to 5000"},
		"failover -rate -1":            {"-rate", "20 to 5000"},
		"failover -rate 20 -nodes 11":  {"-rate 20", "at least"},
		"failover -rate NaN":           {"-rate", "20 to 5000"},
		"failover -rate 1e9":           {"-rate", "20 to 5000"},
		"failover -duration 1s":        {"-duration", "3s to 10m"},
		"failover -duration -15s":      {"-duration", "3s to 10m"},
		"failover -duration 15":        {"-duration", "3s to 10m"},
		"failover -fault burn":         {"-fault", "kill, stop, refuse"},
		"failover -only nginx":         {"-only", "go-micro, go-micro+holdfast or holdfast"},
		"failover -seed -1":            {"-seed"},
		"failover -port -1":            {"-port", "65535"},
		"failover -port 65535":         {"-port 65535", "65532"},
		"failover -json=maybe":         {"-json", "true or false"},
		"failover -keep /nonexistent/": {"-keep", "existing directory"},
	} {
		code, stdout, stderr := try(t, strings.Fields(args)...)
		if code != cli.Usage || stdout != "" {
			t.Errorf("%q: exit code %d, standard output %q; want %d and nothing", args, code, stdout, cli.Usage)
		}
		if strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n") {
			t.Errorf("%q: want one line, got %q", args, stderr)
		}
		if _, word, ok := strings.Cut(args, "-fault "); ok && strings.Count(stderr, word) != 1 {
			t.Errorf("%q: want %q once in %q", args, word, stderr)
		}
		for _, w := range want {
			if !strings.Contains(stderr, w) {
				t.Errorf("%q: %q does not say %q", args, stderr, w)
			}
		}
	}
}

// Each way in which an experiment cannot be carried out has its exit code.
func TestExplain(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
		want string
	}{
		{fmt.Errorf("holdfast: %w", cli.ErrInterrupted), cli.Interrupted, "interrupted"},
		{fmt.Errorf("s: %w", &harness.PortError{Port: 8081, For: "user-api", Err: syscall.EADDRINUSE}), cli.Usage, "port 8081, for user-api"},
		{fmt.Errorf("s: %w", &harness.FaultError{Fault: harness.Stop, Node: "hello-2", Err: errors.ErrUnsupported}), cli.Fault, "fault stop on hello-2"},
		{errors.New("two\nlines"), cli.Fault, "two; lines"},
	} {
		var out bytes.Buffer
		if code := explain(c.err, new(options), &out); code != c.code || !strings.Contains(out.String(), c.want) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%v: exit code %d, %q; want %d and %q", c.err, code, out.String(), c.code, c.want)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range []string{"help", "-h", "--help", "failover -h", "failover -help"} {
		code, stdout, stderr := try(t, strings.Fields(args)...)
		if code != cli.Pass || stderr != "" || !strings.Contains(stdout, "Usage: holdfast") {
			t.Errorf("%q: exit code %d, %q, %q", args, code, stdout, stderr)
		}
	}
}

// Every flag is in the help text.
func TestHelpNamesEveryFlag(t *testing.T) {
	_, stdout, _ := try(t, "failover", "-h")
	for _, name := range []string{"nodes", "rate", "duration", "fault", "only", "seed", "port", "keep", "board", "open", "json"} {
		if !strings.Contains(stdout, "\n  -"+name) {
			t.Errorf("-%s is not explained", name)
		}
	}
}

func TestParseFailover(t *testing.T) {
	o, err := parseFailover(strings.Fields("-nodes 3 -rate 50.5 -duration 4s -fault stop -only go-micro -seed 9 -port 8080 -json"))
	if err != nil {
		t.Fatal(err)
	}
	c := o.cfg
	if c.Nodes != 3 || c.Rate != 50.5 || c.Duration.String() != "4s" || c.Fault != harness.Stop || c.Seed != 9 || c.Port != 8080 || !o.json {
		t.Errorf("%+v", o)
	}
	if len(c.Stacks) != 1 || c.Stacks[0].Name() != "go-micro" {
		t.Errorf("stacks %v", c.Stacks)
	}
	o, err = parseFailover(nil)
	if err != nil || len(o.cfg.Stacks) != 3 || o.cfg.Stacks[2].Name() != judged {
		t.Errorf("defaults: %+v, %v", o, err)
	}
	for _, s := range allStacks() {
		if o, err := parseFailover([]string{"-only", s.Name()}); err != nil || len(o.cfg.Stacks) != 1 || o.cfg.Stacks[0].Name() != s.Name() {
			t.Errorf("-only %s: %+v, %v", s.Name(), o, err)
		}
	}
}
