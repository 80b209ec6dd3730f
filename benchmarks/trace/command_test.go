package trace

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
)

func command(t testing.TB, in string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Run(context.Background(), args, cli.Streams{In: strings.NewReader(in), Out: &o, Err: &e})
	return code, o.String(), e.String()
}

// A log becomes a trace, and the trace a summary; where the file is cut off,
// the summary says so and counts what is before.
func TestImportThenSummary(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.ndjson")
	log := "time,node,latency,status,method\n"
	for i := range 200 {
		log += []string{"1795694410,a,0.010,200,get\n", "1795694420,b,0.030,500,put\n"}[i%2]
	}
	code, out, errs := command(t, log, "import", "-format", "csv", "-", "-o", file, "-client", "web-1")
	if code != cli.Pass || out != "" || !strings.Contains(errs, "200 attempts; rows skipped: 0") {
		t.Fatalf("%d %q %q", code, out, errs)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text[:len(text)-5], 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ = command(t, "", "summary", "-json", filepath.Dir(file))
	var s Summary
	if err := json.Unmarshal([]byte(out), &s); err != nil || code != cli.Pass {
		t.Fatal(code, err, out)
	}
	if s.SchemaVersion != 1 || s.Total.Attempts != 199 || s.Total.Failures != 99 || len(s.Nodes) != 2 || s.Nodes[0].Name != "a" ||
		s.Nodes[0].P99.Milliseconds() != 10 || s.Clients != 1 || len(s.Broken) != 1 || !strings.Contains(s.Broken[0], "line 201") {
		t.Errorf("%+v", s)
	}
	code, out, _ = command(t, "", "summary", file)
	for _, want := range []string{"199 attempts in ", "; files: 1, ", "broken at line 201", "ambiguous", "what is before it is counted"} {
		if code != cli.Pass || !strings.Contains(out, want) {
			t.Errorf("%q is not in %s", want, out)
		}
	}
}

// Nodes of one's own are called for a second, and the trace has it all.
func TestRecord(t *testing.T) {
	node := func(status int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://")
	}
	dir := filepath.Join(t.TempDir(), "trace")
	code, _, errs := command(t, "", "record", "-nodes", node(200)+","+node(500), "-o", dir, "-rate", "200", "-for", "1s", "-path", "/a,/b")
	if code != cli.Pass || !strings.Contains(errs, " 0 lost") {
		t.Fatal(code, errs)
	}
	set, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := set.Summarize()
	if len(s.Nodes) != 2 || s.Total.Failures == 0 || s.Total.Failures == s.Total.Attempts || len(s.Broken) != 0 || s.Retries == 0 {
		t.Errorf("%+v", s)
	}
}

func TestCommandRefuses(t *testing.T) {
	empty := t.TempDir()
	for _, row := range []struct {
		args []string
		why  string
	}{
		{[]string{"what"}, "unknown subcommand"},
		{[]string{"summary"}, "no FILE or FOLDER"},
		{[]string{"summary", empty}, "no *.ndjson files"},
		{[]string{"summary", filepath.Join(empty, "none")}, "no such file"},
		{[]string{"import", "x"}, "no -format"},
		{[]string{"import", "x", "-format", "word"}, "want csv, nginx"},
		{[]string{"import", "x", "-format", "csv", "-log-format", "$a"}, "with -format nginx only"},
		{[]string{"import", "-", "-format", "csv", "-columns", "time"}, "want name=column"},
		{[]string{"import", "-", "-format", "common"}, "nothing could be read"},
		{[]string{"record", "-nodes", "a:1"}, "no -o"},
		{[]string{"record", "-o", empty}, "no -nodes"},
		{[]string{"record", "-rate", "0"}, "0.1 to 10000"},
	} {
		code, out, errs := command(t, "", row.args...)
		if code != cli.Usage || out != "" || !strings.Contains(errs, row.why) {
			t.Errorf("%v: %d %q %q, want %q", row.args, code, out, errs, row.why)
		}
	}
	for _, c := range []string{"summary", "import", "record"} {
		if code, out, _ := command(t, "", c, "-h"); code != cli.Pass || !strings.HasPrefix(out, "Usage: holdfast trace "+c) {
			t.Errorf("%s -h: %d %q", c, code, out)
		}
	}
}
