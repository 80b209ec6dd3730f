package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"
)

func try(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(args, &out, &err)
	return code, out.String(), err.String()
}

// Wrong usage is told in one line that names what is wrong and what is
// accepted.
func TestBadUsage(t *testing.T) {
	for args, want := range map[string][]string{
		"-bogus":        {"-bogus", "ejection -h"},
		"more":          {`"more"`, "flags only"},
		"-seeds 0":      {"-seeds", "1 to 100000"},
		"-seeds -1":     {"-seeds", "1 to 100000"},
		"-seeds 100001": {"-seeds", "1 to 100000"},
		"-seeds many":   {"-seeds", "1 to 100000"},
		"-seeds":        {"-seeds"},
		"-seed -1":      {"-seed", "0 to 18446744073709551615"},
		"-rows (":       {"-rows", "missing closing )"},
		"-rows ^zzz$":   {`"^zzz$"`, "crash"},
		"-json=maybe":   {"-json", "true or false"},
	} {
		code, stdout, stderr := try(strings.Fields(args)...)
		if code != exitUsage || stdout != "" {
			t.Errorf("%q: exit code %d, standard output %q; want %d and nothing", args, code, stdout, exitUsage)
		}
		if strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n") || !strings.HasPrefix(stderr, "ejection: ") {
			t.Errorf("%q: want one line, got %q", args, stderr)
		}
		for _, w := range want {
			if !strings.Contains(stderr, w) {
				t.Errorf("%q: %q does not say %q", args, stderr, w)
			}
		}
	}
}

func TestHelp(t *testing.T) {
	code, stdout, stderr := try("-h")
	if code != exitPass || stderr != "" {
		t.Errorf("exit code %d, standard error %q", code, stderr)
	}
	for _, name := range []string{"seeds", "seed", "rows", "json"} {
		if !strings.Contains(stdout, "\n  -"+name+" ") {
			t.Errorf("-%s is not explained", name)
		}
	}
}

func TestParse(t *testing.T) {
	o, err := parse(nil)
	if err != nil || o.run.Seeds != 400 || o.run.Seed != 1 || o.run.Workers < 1 || o.run.Rows != nil || o.json {
		t.Errorf("defaults: %+v, %v", o, err)
	}
	o, err = parse(strings.Fields("-seeds 7 -seed 18446744073709551615 -rows crash -json"))
	if err != nil || o.run.Seeds != 7 || o.run.Seed != math.MaxUint64 || o.run.Rows.String() != regexp.MustCompile("crash").String() || !o.json {
		t.Errorf("%+v, %v", o, err)
	}
}

// One row, as text and as one JSON document. Two seeds keep the goal.
func TestRun(t *testing.T) {
	args := []string{"-seeds", "2", "-rows", "^crash, N=2$"}
	code, stdout, stderr := try(args...)
	if code != exitPass || stderr != "" || strings.Count(stdout, "crash") != 1 {
		t.Errorf("exit code %d, %q,\n%s", code, stderr, stdout)
	}
	code, stdout, stderr = try(append(args, "-json")...)
	var doc struct {
		SchemaVersion, Seeds int
		Detections           []map[string]any
	}
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil {
		t.Fatal(err)
	}
	if code != exitPass || stderr != "" || doc.SchemaVersion != 1 || doc.Seeds != 2 || len(doc.Detections) != 1 {
		t.Errorf("exit code %d, %q,\n%s", code, stderr, stdout)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// A table that nobody could read is no pass.
func TestOutputFails(t *testing.T) {
	for _, format := range []string{"-json", "-json=false"} {
		var stderr bytes.Buffer
		if code := run([]string{"-seeds", "1", "-rows", "^crash, N=2$", format}, full{}, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "disk full") {
			t.Errorf("%s: exit code %d, %q", format, code, stderr.String())
		}
	}
}
