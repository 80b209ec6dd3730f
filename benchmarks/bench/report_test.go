package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/report"
)

// results are those of a real run of crash, two seeds of three stacks.
const results = "../report/testdata/crash"

// tryThese takes arguments in which there are spaces.
func tryThese(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = Run(t.Context(), args, known, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &err})
	return code, out.String(), err.String()
}

func TestReport(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out.html")
	for _, args := range [][]string{{"report", results, "-o", file}, {"report", "-o", file, results}} {
		if code, stdout, stderr := tryThese(t, args...); code != cli.Pass || stdout != "" || !strings.Contains(stderr, file) {
			t.Errorf("%q: exit code %d, %q, %q", args, code, stdout, stderr)
		}
	}
	page, err := os.ReadFile(file)
	if err != nil || !bytes.HasSuffix(page, []byte("</html>\n")) {
		t.Errorf("%d bytes, %v", len(page), err)
	}
	if code, stdout, _ := tryThese(t, "report", results, "-o", "-"); code != cli.Pass || stdout != string(page) {
		t.Errorf("standard output: exit code %d, %d bytes, want the same %d", code, len(stdout), len(page))
	}
	if code, stdout, _ := tryThese(t, "report", results, "-benchfmt"); code != cli.Pass || strings.Count(stdout, "\nBenchmark") != 6 {
		t.Errorf("-benchfmt: exit code %d\n%s", code, stdout)
	}
}

// Markdown, with what somebody has written below it.
func TestReportMarkdown(t *testing.T) {
	dir := t.TempDir()
	file, prose := filepath.Join(dir, "RESULTS.md"), filepath.Join(dir, "prose.md")
	if err := os.WriteFile(prose, []byte("## What it says\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := tryThese(t, "report", results, "-markdown", file, "-append", prose); code != cli.Pass || stdout != "" || !strings.Contains(stderr, file) {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), "### holdfast\n") || !strings.HasSuffix(string(text), "\n\n## What it says\n") {
		t.Errorf("%v\n%s", err, text)
	}
	for _, args := range [][]string{{"-markdown", file, "-o", file}, {"-append", prose}} {
		if code, _, stderr := tryThese(t, append([]string{"report", results}, args...)...); code != cli.Usage || !strings.Contains(stderr, args[0]) {
			t.Errorf("%q: exit code %d, %q", args, code, stderr)
		}
	}
}

// By default it goes to where the results are.
func TestReportPlace(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(results)); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := tryThese(t, "report", dir); code != cli.Pass {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "report.html")); err != nil {
		t.Error(err)
	}
}

func TestAssertions(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"report", results, "-o", "-", "-assert", "holdfast: duplicated==0"}, cli.Pass, ""},
		{[]string{"report", results, "-o", "-", "-assert", "holdfast: duplicated==0", "-assert", "bare: failed==0"}, cli.Failed, "bare: failed==0: crash/bare/1: failed is 57\n"},
		{[]string{"report", results, "-o", "-", "-assert", "nobody: failed==0"}, cli.Failed, "no run matches"},
		{[]string{"report", results, "-o", "-", "-assert", "failed=0"}, cli.Usage, "want one of =="},
		{[]string{"run", "-assert", "p99<=old"}, cli.Usage, "bench compare only"},
		{[]string{"run", "-json", "-benchfmt"}, cli.Usage, "want one of them"},
		{[]string{"compare", results, results, "-assert", "failed<=old"}, cli.Failed, "crash/holdfast"},
		{[]string{"compare", results, results, "-assert", "median(failed)<=old", "-assert", "worse==0"}, cli.Pass, ""},
	} {
		code, _, stderr := tryThese(t, c.args...)
		if c.args[0] == "compare" && c.says != "" {
			c.says = "assertion failed: failed<=old: crash/" // whichever seed is above the median
		}
		if code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%q: exit code %d, want %d; says %q, want %q", c.args, code, c.code, stderr, c.says)
		}
		if c.code == cli.Usage && strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: not one line: %q", c.args, stderr)
		}
	}
}

func TestCompare(t *testing.T) {
	code, stdout, stderr := tryThese(t, "compare", results, results, "-json")
	var c report.Comparison
	if err := json.Unmarshal([]byte(stdout), &c); err != nil || code != cli.Pass {
		t.Fatalf("exit code %d, %v\n%s%s", code, err, stdout, stderr)
	}
	if c.SchemaVersion != 1 || len(c.Rows) == 0 {
		t.Fatalf("%+v", c)
	}
	for _, r := range c.Rows {
		if r.Verdict != report.TooFew {
			t.Errorf("two runs each: %+v", r)
		}
	}
	if code, stdout, _ := tryThese(t, "compare", results, results); code != cli.Pass || !strings.Contains(stdout, "too few runs") {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
}

// What cannot be read is told in one line.
func TestUnreadable(t *testing.T) {
	empty, broken, newer := t.TempDir(), t.TempDir(), t.TempDir()
	for dir, text := range map[string]string{broken: `{"schemaVersion":1,"runs":[{]}`, newer: `{"schemaVersion":2}`} {
		if err := os.WriteFile(filepath.Join(dir, report.SummaryFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"report"}, "no DIR"},
		{[]string{"report", results, "more"}, `"more"`},
		{[]string{"report", empty}, "no such file"},
		{[]string{"report", broken}, "invalid character"},
		{[]string{"report", newer}, "schemaVersion 2: want 1"},
		{[]string{"report", results, "-bogus"}, "-bogus"},
		{[]string{"compare", results}, "no NEW"},
		{[]string{"compare", results, empty}, "no such file"},
	} {
		code, stdout, stderr := tryThese(t, c.args...)
		if code != cli.Usage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit code %d, %q, %q; want %q in one line", c.args, code, stdout, stderr, c.want)
		}
	}
	for _, command := range []string{"report", "compare"} {
		if code, stdout, _ := tryThese(t, command, "-h"); code != cli.Pass || !strings.Contains(stdout, "-assert EXPR") {
			t.Errorf("%s -h: exit code %d\n%s", command, code, stdout)
		}
	}
}
