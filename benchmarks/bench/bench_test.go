package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/report"
	"github.com/holdfast-go/holdfast/benchmarks/stacks"
	"github.com/holdfast-go/holdfast/internal/leaktest"
)

// The test binary plays the command's processes.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == harness.RoleCommand {
		os.Exit(harness.RunRole(known, os.Stdin, os.Stdout))
	}
	leaktest.Main(m)
}

var known = []harness.Stack{stacks.Holdfast{}, stacks.Bare{}, absent{}}

// absent is a stack that cannot run anywhere.
type absent struct{ stacks.Bare }

func (absent) Name() string { return "absent" }
func (absent) Info() harness.Info {
	return harness.Info{What: "not here", Unavailable: errors.New("not installed")}
}

func try(t *testing.T, args string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = Run(t.Context(), strings.Fields(args), known, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &err})
	return code, out.String(), err.String()
}

func TestBadUsage(t *testing.T) {
	for args, want := range map[string][]string{
		"":                            {"no command", "list, run"},
		"blah":                        {`"blah"`, "doctor"},
		"list more":                   {`"more"`},
		"run -scenario burn":          {`"burn"`, "crash,refused"},
		"run -stack burn":             {`"burn"`, "holdfast,bare"},
		"run -seeds 0":                {"-seeds", "1 to 100"},
		"run -parallel 0":             {"-parallel", "1 to 64"},
		"run -again 11":               {"-again", "0 to 10"},
		"run -busy 5":                 {"-busy", "10 to 100"},
		"run -resume":                 {"-resume", "-out"},
		"run -keep /nonexistent":      {"-keep", "existing directory"},
		"run -command x":              {"-command", "NAME=PROGRAM"},
		"run -quick=perhaps":          {"-quick", "true or false"},
		"doctor -bogus":               {"-bogus", "doctor -h"},
		"run -scenario crash -seeds ": {"-seeds"},
	} {
		code, stdout, stderr := try(t, args)
		if code != cli.Usage || stdout != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: exit code %d, %q, %q; want %d and one line", args, code, stdout, stderr, cli.Usage)
		}
		for _, w := range want {
			if !strings.Contains(stderr, w) {
				t.Errorf("%q: %q does not say %q", args, stderr, w)
			}
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range []string{"help", "-h", "list -h", "run -h", "doctor -help"} {
		if code, stdout, stderr := try(t, args); code != cli.Pass || stderr != "" || !strings.Contains(stdout, "Usage: holdfast bench") {
			t.Errorf("%q: exit code %d, %q, %q", args, code, stdout, stderr)
		}
	}
}

func TestList(t *testing.T) {
	code, stdout, stderr := try(t, "list -json")
	var l listing
	if err := json.Unmarshal([]byte(stdout), &l); err != nil || code != cli.Pass || stderr != "" {
		t.Fatal(code, stderr, err)
	}
	if l.SchemaVersion != 1 || len(l.Scenarios) != 16 || len(l.Stacks) != len(known) {
		t.Errorf("%+v", l)
	}
	i := slices.IndexFunc(l.Stacks, func(s listed) bool { return s.Name == "absent" })
	if s := l.Stacks[i]; s.Available || s.Why != "not installed" || s.What == "" {
		t.Errorf("%+v", s)
	}
	if s := l.Stacks[0]; !s.Available || s.Why != "" {
		t.Errorf("%+v", s)
	}
	if _, stdout, _ = try(t, "list"); !strings.Contains(stdout, "not here: not installed") {
		t.Error(stdout)
	}
}

// What was asked for by name and cannot be had is exit code 3 with the reason,
// and nothing is run.
func TestUnavailable(t *testing.T) {
	code, stdout, stderr := try(t, "run -scenario crash -stack absent")
	if code != cli.Fault || stdout != "" || !strings.Contains(stderr, "absent cannot run here: not installed") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
}

// Results are not written over others.
func TestOutMustBeNew(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, report.EventsFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := try(t, "run -scenario none -stack null -out "+dir); code != cli.Usage || !strings.Contains(stderr, "-out") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}

// One run, end to end: the document on standard output is the one in the
// folder, and the other files tell of the same run.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes for several seconds")
	}
	dir := filepath.Join(t.TempDir(), "out")
	code, stdout, stderr := try(t, "run -scenario crash -stack bare -quick -seeds 1 -again 0 -json -out "+dir)
	if code != cli.Pass && code != cli.Invalid {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	written, err := os.ReadFile(filepath.Join(dir, report.SummaryFile))
	if err != nil || string(written) != stdout {
		t.Errorf("summary.json is not what was printed: %v", err)
	}
	var doc struct {
		SchemaVersion int
		Runs          []struct {
			Scenario, Stack string
			Seed            uint64
			Valid           bool
			Metrics, Bounds map[string]*float64
			Load            harness.LoadQuality
			CPUMs           float64
		}
	}
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.SchemaVersion != 1 || len(doc.Runs) != 1 {
		t.Fatalf("%+v", doc)
	}
	r := doc.Runs[0]
	for _, key := range harness.MetricKeys {
		if _, ok := r.Metrics[key]; !ok {
			t.Errorf("no metric %s", key)
		}
	}
	if r.Valid != (code == cli.Pass) {
		t.Errorf("exit code %d, valid: %v", code, r.Valid)
	}
	if r.CPUMs < 50 || r.CPUMs > 60_000 {
		t.Errorf("seven processes have used %v ms of CPU", r.CPUMs)
	}
	switch {
	case r.Valid && (*r.Metrics["failed"] == 0 || r.Bounds["failed"] == nil || r.Load.Invalid != ""):
		t.Errorf("a client that does nothing: %+v", r)
	case !r.Valid && (r.Metrics["failed"] != nil || r.Load.Invalid == ""):
		t.Errorf("an invalid run has figures, or no reason: %+v", r)
	}
	for file, want := range map[string]string{
		report.EventsFile: `"detail":"hello-5: kill"`, report.CoursesFile: `"sliceMs":100`,
		report.HistogramsFile: "Tag=" + report.Tag("crash", "bare", 1, "window") + ",",
	} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%s: no %s, %v", file, want, err)
		}
	}
}

// What was interrupted is gone on with: the valid runs that are there are not
// done again, and the folder is as if nothing had happened.
func TestResume(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes for several seconds")
	}
	dir := filepath.Join(t.TempDir(), "out")
	const command = "run -scenario none -stack null -quick -again 5 -resume -out "
	if code, _, stderr := try(t, command+dir+" -seeds 1"); code != cli.Pass {
		t.Skipf("exit code %d, perhaps the machine is too busy: %s", code, stderr)
	}
	first, err := report.ReadSummary(dir)
	if err != nil {
		t.Fatal(err)
	}
	code, _, stderr := try(t, command+dir+" -seeds 2")
	if !strings.Contains(stderr, "1 runs, about") || !strings.Contains(stderr, "1 runs are there already") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	r, err := report.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := r.Summary
	if len(s.Runs) != 2 || !reflect.DeepEqual(s.Runs[0], first.Runs[0]) || s.Runs[1].Seed != 2 || s.TookMs <= first.TookMs {
		t.Errorf("%+v, then %+v", first, s)
	}
	if len(r.Courses) != 2 || len(r.Histograms) != 4 {
		t.Errorf("%d courses and %d histograms of 2 runs", len(r.Courses), len(r.Histograms))
	}
	if code, _, stderr := try(t, strings.Replace(command, "-quick", "", 1)+dir); code != cli.Usage || !strings.Contains(stderr, "-quick differs") {
		t.Errorf("another pace: exit code %d, %s", code, stderr)
	}
}

func TestDoctor(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes for several seconds")
	}
	code, stdout, stderr := try(t, "doctor -json")
	var d diagnosis
	if err := json.Unmarshal([]byte(stdout), &d); err != nil || (code == cli.Invalid) != (d.Harness.Invalid != "") || code != cli.Pass && code != cli.Invalid {
		t.Fatal(code, stderr, err)
	}
	if d.SchemaVersion != 1 || len(d.Scenarios) != 16 || d.P50Ms <= 0 || d.Harness.LagMaxMs <= 0 || d.Environment.CPUs == 0 {
		t.Errorf("%+v", d)
	}
}
